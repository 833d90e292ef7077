"""What all tests share: where coverage measures."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from coverage import Coverage


def pytest_configure(config: pytest.Config) -> None:
    """Measure the processes that run tests, and none that these start: those die by SIGKILL, unread."""
    if not config.getoption("numprocesses", None):
        os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


def pytest_sessionfinish() -> None:
    """Write down what was measured: a worker is not given long to end by itself."""
    if (measured := Coverage.current()) is not None:
        measured.save()


@pytest.fixture
def unmeasured() -> Iterator[None]:
    """Leave coverage to the tests of each module: measured, a thousand random charts take twice as long."""
    measured = Coverage.current()
    if measured is not None:
        measured.stop()
    yield
    if measured is not None:
        measured.start()
