"""Snippets of README.md and docs/ are executed, so that a wrong page fails like any test. And bytecode is kept.

Without bytecode pytest would rewrite every test module in every run, which costs each worker ten seconds, and each of the
many processes that tests start would compile durable_fsm again; see tests/bytecode.py. An environment may forbid it by
PYTHONDONTWRITEBYTECODE; here it is kept all the same for what this repository holds and not for what a test writes: a
module that changes twice within a second must not be taken from its bytecode.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

_FORBIDDEN, sys.dont_write_bytecode = sys.dont_write_bytecode, False

pytest_plugins = ["tests.reporting", "tests.measuring", "tests.bytecode", "tests.ordering", "tests.acceptance.figures"]

collect_ignore_glob = ["docs/tour/*/test_*.py"]  # a reader of the tour runs these: tests/docs/test_tour.py

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/reference/*.md"],
    # executed by tests/docs/test_tutorial.py, test_howto.py, test_statecharts.py and test_projects.py
    excludes=[
        "docs/fastapi.md",
        "docs/howto.md",
        "docs/statecharts.md",
        "docs/testing-on-a-server.md",
        "docs/tutorial.md",
    ],
).pytest()

_pages: dict[Path, list[Any]] = {}  # Any: a snippet, in a class of Sybil
_run: set[str] = set()


def pytest_collection(session: pytest.Session) -> None:
    """Look for no garbage meanwhile: what is imported stays."""
    if not session.config.getoption("numprocesses", None):  # otherwise the workers collect
        gc.disable()


def pytest_collection_finish() -> None:
    """From now on modules are imported that tests have written.

    And what was imported stays: to look through all of it for garbage again and again takes a quarter of the tests' time.
    To look after every 700 new objects, as Python does unless told otherwise, takes a tenth of the rest.
    """
    sys.dont_write_bytecode = _FORBIDDEN
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the snippets of a page back into their order, because they depend on each other."""
    for page in {item.path for item in items if item.path.suffix == ".md"}:
        places = [place for place, item in enumerate(items) if item.path == page]
        snippets = sorted((items[place] for place in places), key=lambda item: item.reportinfo()[1] or 0)
        _pages[page] = snippets
        for place, snippet in zip(places, snippets, strict=True):
            items[place] = snippet


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Run the snippets before this one, if another process has begun the page."""
    for snippet in _pages.get(item.path, ()):
        if snippet is item:
            _run.add(item.nodeid)
            return
        if snippet.nodeid not in _run:
            _run.add(snippet.nodeid)
            snippet.example.evaluate()
