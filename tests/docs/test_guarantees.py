"""Every test that the pages on guarantees and on security name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROOF = re.compile(r"`(test_\w+\.py)(?:::(test_\w+))?`")


@pytest.mark.parametrize(("page", "least"), [("docs/guarantees.md", 25), ("docs/security.md", 5), ("README.md", 10)])
def test_every_test_that_the_page_names_exists(page: str, least: int) -> None:
    named = PROOF.findall((ROOT / page).read_text(encoding="utf-8"))

    missing = [f"{file}::{name}" for file, name in named if (f"\ndef {name}(" if name else "") not in text_of(file)]

    assert missing == []
    assert len(named) >= least


def test_nearly_all_tests_that_the_readme_names_kill_the_service_or_the_server() -> None:
    named = {file for file, _ in PROOF.findall((ROOT / "README.md").read_text(encoding="utf-8"))}

    assert {file for file in named if "kill" not in text_of(file)} == {"test_concurrency.py"}


def text_of(file: str) -> str:
    """The text of a test file; tests on the real server are in five folders."""
    places = [ROOT / "tests" / folder / file for folder in ("server", "serving", "cli", "acceptance", "console")]
    return "".join(place.read_text(encoding="utf-8") for place in places if place.exists())
