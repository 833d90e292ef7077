"""Snippets of README.md and docs/ are executed: a page that lies fails like any test."""

from __future__ import annotations

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md"],
).pytest()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the snippets of a page back into their order: a page is read from its beginning."""
    for page in {item.path for item in items if item.path.suffix == ".md"}:
        places = [place for place, item in enumerate(items) if item.path == page]
        snippets = sorted((items[place] for place in places), key=lambda item: item.reportinfo()[1] or 0)
        for place, snippet in zip(places, snippets, strict=True):
            items[place] = snippet
