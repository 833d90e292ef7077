"""Tests marked `first` begin before all others; otherwise one of them may run alone at the end, while a core has nothing to do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests; pytest-randomly and conftest.py have done so before."""
    first = [item for item in items if item.get_closest_marker("first")]
    rest = [item for item in items if not item.get_closest_marker("first")]
    items[:] = dealt(first, rest, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def dealt(first: Sequence[T], rest: Sequence[T], workers: int) -> list[T]:
    """Deal *first* out to the workers: each begins with an equal part of the list, as xdist's worksteal divides it."""
    tests: list[T] = []
    left = [*rest]
    for worker in range(workers):
        mine = first[worker::workers]
        size = (len(first) + len(rest) - len(tests)) // (workers - worker)
        taken = max(0, size - len(mine))
        tests += [*mine, *left[:taken]]
        del left[:taken]
    return tests
