"""Wait for a condition instead of sleeping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from durable_fsm.local.failures import NotObserved

__all__ = ["wait_until", "wait_until_async"]

T = TypeVar("T")

PATIENCE = timedelta(seconds=60)
"""Generous, because it is only reached on failure: a busy machine must not fail a test."""

_FIRST_INTERVAL_SECONDS = 0.01
_LAST_INTERVAL_SECONDS = 0.06
_GROWTH = 1.25  # to look costs the CPU that the observed may need, so a long wait looks less often


def wait_until(observe: Callable[[], T], timeout: timedelta = PATIENCE, what: str = "") -> T:
    """Call *observe* every few milliseconds until its result is true; return the result.

    An error of *observe* is raised at once. If an error is expected for a while, *observe* must catch it.

    Raises:
        NotObserved: After *timeout*; the message names *what* was awaited and the last result.
    """
    deadline, interval = time.monotonic() + timeout.total_seconds(), _FIRST_INTERVAL_SECONDS
    while not (seen := observe()):
        if time.monotonic() >= deadline:
            raise NotObserved(_message(observe, timeout, what, seen))
        time.sleep(interval)
        interval = min(interval * _GROWTH, _LAST_INTERVAL_SECONDS)
    return seen


async def wait_until_async(observe: Callable[[], Awaitable[T]], timeout: timedelta = PATIENCE, what: str = "") -> T:
    """Do the same as `wait_until` for an asynchronous *observe*, without blocking the event loop."""
    deadline, interval = time.monotonic() + timeout.total_seconds(), _FIRST_INTERVAL_SECONDS
    while not (seen := await observe()):
        if time.monotonic() >= deadline:
            raise NotObserved(_message(observe, timeout, what, seen))
        await asyncio.sleep(interval)
        interval = min(interval * _GROWTH, _LAST_INTERVAL_SECONDS)
    return seen


def _message(observe: Callable[[], object], timeout: timedelta, what: str, seen: object) -> str:
    awaited = what or getattr(observe, "__name__", repr(observe))
    return f"Waited {timeout.total_seconds():g} s for {awaited}. Seen last: {seen!r}."
