"""Coverage measures the tests of some folders, in the processes that run tests, and nothing else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from coverage import Coverage

TESTS = Path(__file__).parent
MEASURED = {"core", "frontends", "restate", "testing"}
"""Folders whose tests are measured: together they reach all of the core. Coverage makes every other test slower."""


@dataclass
class Measuring:
    """Whether coverage is on in this process."""

    is_on: bool = True


MEASURING = Measuring()


def pytest_configure(config: pytest.Config) -> None:
    """Measure only processes that run tests. Those that they start die by SIGKILL, and could not report."""
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
    measured = Coverage.current()
    if measured is not None and on is not MEASURING.is_on:
        (measured.start if on else measured.stop)()
        MEASURING.is_on = on


def pytest_sessionfinish() -> None:
    """Save the measurements: a worker gets little time to end by itself."""
    if (measured := Coverage.current()) is not None:
        measured.save()
