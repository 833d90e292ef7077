"""Coverage measures how tests of some folders run the core, in the processes that run tests, and nothing else."""

from __future__ import annotations

import atexit
import importlib
import os
import pkgutil
import sys
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from coverage import Coverage

import durable_fsm.core

TESTS = Path(__file__).parent
MEASURED = {"core", "frontends", "restate", "testing"}
"""Folders whose tests are measured: together they reach all of the core. Coverage makes every other test slower."""


@dataclass
class Measuring:
    """The coverage of this process, if it is measured, and whether that is on now."""

    coverage: Coverage | None = field(default_factory=Coverage.current)
    is_on: bool = True


MEASURING = Measuring()


def pytest_configure(config: pytest.Config) -> None:
    """Import the core while that is measured. Never measure the process that has workers.

    A worker ends without taking itself apart, which takes it most of a minute.
    """
    if hasattr(config, "workerinput"):
        atexit.register(os._exit, 0)  # what is registered later runs before
    if not config.getoption("numprocesses", None):
        leave_others_unmeasured()
        if MEASURING.coverage is not None:
            for module in pkgutil.walk_packages(durable_fsm.core.__path__, f"{durable_fsm.core.__name__}."):
                importlib.import_module(module.name)
    measure(on=False)


def leave_others_unmeasured() -> None:
    """Measure no process that tests start: those die by SIGKILL, and could not report."""
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Measure also the import of tests of the core: the cases of their tables call it."""
    measure(on=TESTS / "core" in collector.path.parents)
    try:
        return (yield)
    finally:
        measure(on=False)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Measure the tests of some folders only.

    Something that ran in this process may have put the variable back.
    """
    leave_others_unmeasured()
    measure(on=is_measured(item))


def is_measured(node: pytest.Item | pytest.Collector) -> bool:
    return TESTS in node.path.parents and node.path.relative_to(TESTS).parts[0] in MEASURED


def measure(*, on: bool) -> None:
    """Turn coverage on or off in this process, if it runs at all."""
    measured = MEASURING.coverage  # Coverage.current() does not know one that is off
    if measured is not None and on is not MEASURING.is_on:
        (measured.start if on else measured.stop)()
        MEASURING.is_on = on
        if on:
            forget()


def forget() -> None:
    """Empty the caches of the core: what a test filled while it was not measured would seem never to have run."""
    for name, module in list(sys.modules.items()):
        if name.startswith(f"{durable_fsm.core.__name__}."):
            for function in vars(module).values():
                if hasattr(function, "cache_clear"):
                    function.cache_clear()


def pytest_sessionfinish() -> None:
    """Save the measurements: a worker gets little time to end by itself."""
    if MEASURING.coverage is not None:
        MEASURING.coverage.save()
