"""What all tests share: in which processes coverage measures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from coverage import Coverage

if TYPE_CHECKING:
    import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Measure the processes that run tests, and none that these start: those die by SIGKILL, unread."""
    if not config.getoption("numprocesses", None):
        os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


def pytest_sessionfinish() -> None:
    """Write down what was measured: a worker is not given long to end by itself."""
    if (measured := Coverage.current()) is not None:
        measured.save()
