"""Fixtures: sites to build, and the browser that reads them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SHOP = '''
"""Charts of a site."""

from datetime import timedelta

from statemachine import State, StateChart

from durable_fsm import after


class Door(StateChart):
    """A door."""

    closed = State(initial=True)

    class opened(State.Compound):
        ajar = State(initial=True)
        wide = State()
        push_more = ajar.to(wide)
        pull_back = wide.to(ajar)

    gone = State(final=True)

    push = closed.to(opened)
    close_itself = after(timedelta(seconds=5), opened.to(closed))
    remove = opened.to(gone, cond="may_go")

    def may_go(self) -> bool:
        return True


class Sleepy(StateChart):
    """Nothing that can be made durable."""

    awake = State(initial=True)
    asleep = State(final=True)
    tire = awake.to(asleep)

    async def on_tire(self) -> None: ...


STREETS = 3
'''


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: needs Chromium")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Path]:
    """A directory with the module `shop_of_docs`; what is imported from it is forgotten again."""
    known, path = set(sys.modules), list(sys.path)
    (tmp_path / "shop_of_docs.py").write_text(SHOP, "utf-8")
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - known:
        if name.startswith("shop_of_docs"):
            del sys.modules[name]
