"""Fixtures: our site, other sites to build, and the browser that reads them."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "docs"
BEGUN = ROOT / "build" / "docs.built"
"""`make pages` leaves this file; its time is that at which the build began."""
SOURCES = ("docs", "machines", "src", "tests/errors", "mkdocs.yml", "pyproject.toml")

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


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our documentation as `make docs` builds it; built here, once a run, only if it has changed since `make pages`."""
    if BEGUN.exists() and all(path.stat().st_mtime < BEGUN.stat().st_mtime for path in sources_of_site()):
        return BUILT
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    folder, done = place / "site", place / "site.done"
    with (place / "site.lock").open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            patch.setenv("NO_MKDOCS_2_WARNING", "1")
            build(load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(folder)))
            done.touch()
    return folder


def sources_of_site() -> Iterator[Path]:
    """The files that the site is made of."""
    for name in SOURCES:
        files = (ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name]
        yield from (path for path in files if path.is_file() and "__pycache__" not in path.parts)


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
