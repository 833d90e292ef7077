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

_SHORTEST_INTERVAL_SECONDS = 0.01
_LONGEST_INTERVAL_SECONDS = 0.2
_PART = 1 / 8
"""Of the time waited so far. To look costs the CPU that the observed may need, so a long wait looks less often."""


def wait_until(observe: Callable[[], T], timeout: timedelta = PATIENCE, what: str = "") -> T:
    """Call *observe* every few milliseconds, later less often, until its result is true; return the result.

    An error of *observe* is raised at once. If an error is expected for a while, *observe* must catch it.

    Raises:
        NotObserved: After *timeout*; the message names *what* was awaited and the last result.
    """
    began = time.monotonic()
    while not (seen := observe()):
        if time.monotonic() - began >= timeout.total_seconds():
            raise NotObserved(_message(observe, timeout, what, seen))
        time.sleep(_interval(began))
    return seen


async def wait_until_async(observe: Callable[[], Awaitable[T]], timeout: timedelta = PATIENCE, what: str = "") -> T:
    """Do the same as `wait_until` for an asynchronous *observe*, without blocking the event loop."""
    began = time.monotonic()
    while not (seen := await observe()):
        if time.monotonic() - began >= timeout.total_seconds():
            raise NotObserved(_message(observe, timeout, what, seen))
        await asyncio.sleep(_interval(began))
    return seen


def _interval(began: float) -> float:
    return min(max(_SHORTEST_INTERVAL_SECONDS, (time.monotonic() - began) * _PART), _LONGEST_INTERVAL_SECONDS)


def _message(observe: Callable[[], object], timeout: timedelta, what: str, seen: object) -> str:
    awaited = what or getattr(observe, "__name__", repr(observe))
    return f"Waited {timeout.total_seconds():g} s for {awaited}. Seen last: {seen!r}."
