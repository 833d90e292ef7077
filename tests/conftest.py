"""Fixtures of all tests: where coverage measures; and crashes of processes that tests kill are not counted."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from coverage import Coverage

os.environ.setdefault("DURABLE_FSM_CRASH_DIR", "")  # a test that wants them counted names a directory


def pytest_configure(config: pytest.Config) -> None:
    """Measure only processes that run tests. Those that they start die by SIGKILL, and could not report."""
    if not config.getoption("numprocesses", None):
        os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The same before each test: something that ran in this process may have put the variable back."""
    pytest_configure(item.config)


def pytest_sessionfinish() -> None:
    """Save the measurements: a worker gets little time to end by itself."""
    if (measured := Coverage.current()) is not None:
        measured.save()


@pytest.fixture
def unmeasured() -> Iterator[None]:
    """Turn coverage off for random charts, which would take twice as long; the tests of each module have it on."""
    measured = Coverage.current()
    if measured is not None:
        measured.stop()
    yield
    if measured is not None:
        measured.start()
