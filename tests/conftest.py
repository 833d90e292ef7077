"""What all tests share: crashes of processes that they kill are not counted; each Restate server has one Kafka broker."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.browsing import chromium, page, started_browser
from tests.scaling import TIMES

if TYPE_CHECKING:
    from tests.kafka import Brokers

__all__ = ["brokers", "chromium", "page", "started_browser"]

settings.register_profile("steady", deadline=None)  # a busy machine fails no test
settings.load_profile("steady")

os.environ.setdefault("DURABLE_FSM_CRASH_DIR", "")  # a test that wants them counted names a directory


@pytest.fixture(scope="session")
def brokers() -> Iterator[Brokers]:
    """A Kafka broker for each Restate server, for the whole run; tests use topics or keys of their own."""
    from tests.kafka import Brokers

    with Brokers() as brokers:
        yield brokers


@pytest.fixture(scope="session")
def scale() -> int:
    """How much more than usual to do: 1, or what SCALE says."""
    return TIMES


@pytest.fixture
def dice() -> random.Random:
    """Chance, with its seed printed; SEED repeats it."""
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(2**32))
    print(f"SEED={seed}")  # shown with a failure
    return random.Random(seed)
