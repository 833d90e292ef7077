"""What all tests share: crashes of processes that they kill are not counted; each Restate server has one Kafka broker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browsing import _browser, page

if TYPE_CHECKING:
    from tests.kafka import Brokers

__all__ = ["_browser", "brokers", "page"]

os.environ.setdefault("DURABLE_FSM_CRASH_DIR", "")  # a test that wants them counted names a directory


@pytest.fixture(scope="session")
def brokers() -> Iterator[Brokers]:
    """A Kafka broker for each Restate server, for the whole run; tests use topics or keys of their own."""
    from tests.kafka import Brokers

    with Brokers() as brokers:
        yield brokers
