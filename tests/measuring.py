"""Coverage measures the tests of some folders, in the processes that run tests, and nothing else."""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from coverage import Coverage

TESTS = Path(__file__).parent
MEASURED = {"core", "frontends", "restate", "testing"}
"""Folders whose tests are measured: together they reach all of the core. Coverage makes every other test slower."""


@dataclass
class Measuring:
    """The coverage of this process, if it is measured, and whether that is on now."""

    coverage: Coverage | None = field(default_factory=Coverage.current)
    is_on: bool = True


MEASURING = Measuring()
ENDING: list[object] = []
"""Whether this worker knows how to end: `pytest_configure` is called before each test."""


def pytest_configure(config: pytest.Config) -> None:
    """Measure only processes that run tests. Those that they start die by SIGKILL, and could not report.

    A worker ends without taking itself apart, which takes it most of a minute.
    """
    if hasattr(config, "workerinput") and not ENDING:
        ENDING.append(atexit.register(os._exit, 0))  # what is registered later runs before
    if not config.getoption("numprocesses", None):
        os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Measure the tests of some folders only, and no process that they start.

    Something that ran in this process may have put the variable back.
    """
    pytest_configure(item.config)
    measure(on=TESTS in item.path.parents and item.path.relative_to(TESTS).parts[0] in MEASURED)


def measure(*, on: bool) -> None:
    """Turn coverage on or off in this process, if it runs at all."""
    measured = MEASURING.coverage  # Coverage.current() does not know one that is off
    if measured is not None and on is not MEASURING.is_on:
        (measured.start if on else measured.stop)()
        MEASURING.is_on = on


def pytest_sessionfinish() -> None:
    """Save the measurements: a worker gets little time to end by itself."""
    if MEASURING.coverage is not None:
        MEASURING.coverage.save()
