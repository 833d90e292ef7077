"""Pages whose files form a project with tests: a reader copies them, and runs pytest on the real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.testing.test_plugin import pytest_in

DOCS = Path(__file__).parents[2] / "docs"
FILES = re.compile(r'^```python title="(.+?)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
PROJECTS = {"testing-on-a-server": 9, "fastapi": 4}
"""Pages, and how many tests their files have. They share one server, and so no two files have the same name."""


@pytest.mark.server
def test_the_tests_of_a_page_pass_in_a_project_of_its_files(tmp_path: Path) -> None:
    for page in PROJECTS:
        folder = tmp_path / page
        folder.mkdir()
        source = (DOCS / f"{page}.md").read_text("utf-8")
        files = FILES.findall(source)
        assert len(files) == source.count("\n```python")
        for name, text in files:
            with (folder / name).open("a", encoding="utf-8") as file:  # a page may show a file in several pieces
                file.write(f"{text}\n\n")

    ran = pytest_in(tmp_path, *PROJECTS)

    assert ran.returncode == 0, ran.stdout
    assert f"{sum(PROJECTS.values())} passed" in ran.stdout
