"""Every row of the tables of the two libraries' pages is shown by a test, or by a definition of the corpus."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.corpus import CLASSES, MACHINES

ROOT = Path(__file__).parents[2]
TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)`")
IDIOM = re.compile(r"`test_corpus\.py`: \*([^*]+)\*")
PAGES = ("transitions.md", "python-statemachine.md")
HEADINGS = ("## As the library", "## Different, and why", "## Refused")


def rows(page: str, heading: str) -> Iterator[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    yield from [line for line in text.splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize("heading", HEADINGS)
@pytest.mark.parametrize("page", PAGES)
def test_every_row_names_what_shows_it(page: str, heading: str) -> None:
    found = [*rows(page, heading)]

    for row in found:
        named, idioms = TEST.findall(row), IDIOM.findall(row)
        assert named or idioms, row
        assert [name for file, name in named if f"\ndef {name}(" not in _all(file)] == []
        assert [name for name in idioms if name not in (MACHINES if page == PAGES[0] else CLASSES)] == []
    assert len(found) >= 8


def _all(file: str) -> str:
    """The texts of all test files of a name: some folders have files of the same one."""
    return "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob(file))
