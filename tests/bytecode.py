"""Bytecode of what tests import, made once; otherwise each worker, and many a process of a test, would make it again.

pytest keeps bytecode of its own for the modules whose assertions it rewrites. In a fresh checkout this costs a worker
more than all the rest of its collection. And pytest itself, imported before it has read conftest.py, would never be
compiled where PYTHONDONTWRITEBYTECODE is set: tests that start pytest would wait for that each time.
"""

from __future__ import annotations

import compileall
import contextlib
import gc
import multiprocessing
import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import pytest
from _pytest.assertion.rewrite import (
    PYC_TAIL,
    AssertionRewritingHook,
    _read_pyc,
    _rewrite_test,
    _write_pyc,
    assertstate_key,
    get_cache_dir,
)

import durable_fsm
from tests.distributions import needed_by
from tests.measuring import measure

ROOT = Path(__file__).parents[1]
PACKAGE = Path(durable_fsm.__file__).parent
TEMPLATES = PACKAGE / "cli" / "templates"
"""Not Python before `new` fills it in."""


def pytest_configure(config: pytest.Config) -> None:
    """Make it before the workers begin, with as many processes as there are cores."""
    if hasattr(config, "workerinput"):
        return
    ours = sorted(path for folder in (PACKAGE, ROOT / "machines", ROOT / "tests") for path in folder.rglob("*.py"))
    sources = [path for path in ours if not path.is_relative_to(TEMPLATES)]
    rewritten: list[Path] = []
    if config.getoption("numprocesses", None):
        rewritten += filter(is_rewritten, sources)
        sources += requirements()
    for module in list(sys.modules.values()):
        path = Path(getattr(module, "__file__", None) or "")
        if path.suffix == ".py":
            (rewritten if isinstance(module.__loader__, AssertionRewritingHook) else sources).append(path)
    if "fork" in multiprocessing.get_all_start_methods():
        in_forks(config, sources, rewritten)
    else:
        make(config, sources, rewritten)


def requirements() -> list[Path]:
    """The modules of all that durable_fsm requires: services import them in processes of their own."""
    found = map(metadata.distribution, needed_by(["durable-fsm"]))
    files = (Path(str(one.locate_file(file))) for one in found for file in one.files or ())
    return [path for path in files if path.suffix == ".py"]


def is_rewritten(path: Path) -> bool:
    """Whether pytest rewrites this file: those of tests, and the package of a plugin."""
    return path.name.startswith("test_") or path.name == "conftest.py" or path.is_relative_to(PACKAGE)


def in_forks(config: pytest.Config, sources: Sequence[Path], rewritten: Sequence[Path]) -> None:
    """Divide the work among forks of this process."""
    cores = os.cpu_count() or 1
    forking = multiprocessing.get_context("fork")
    forks = [
        forking.Process(target=make, args=(config, sources[one::cores], rewritten[one::cores])) for one in range(cores)
    ]
    for fork in forks:
        fork.start()
    for fork in forks:
        fork.join()


def make(config: pytest.Config, sources: Sequence[Path], rewritten: Sequence[Path]) -> None:
    """Write what is not there yet, or is old. What is wrong with a file is said where it is imported."""
    measure(on=False)
    gc.disable()  # syntax trees are freed without it
    for path in sources:
        compileall.compile_file(path, quiet=2)
    for path in rewritten:
        folder = get_cache_dir(path)
        kept = folder / (path.stem + PYC_TAIL)
        if folder.is_dir() and _read_pyc(path, kept) is None:
            with contextlib.suppress(SyntaxError):
                digest, code = _rewrite_test(path, config)
                _write_pyc(config.stash[assertstate_key], code, digest, kept)
