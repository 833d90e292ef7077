"""Spans and counters, where OpenTelemetry is installed and somebody has set it up; otherwise nothing at all.

Spans stand under the trace that Restate's own server has begun.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from durable_fsm.restate.observability.logging import is_replaying

Attributes = Mapping[str, str | int | bool | list[str]]


def _installed() -> ModuleType | None:
    """What speaks OpenTelemetry; None without the extra `otel`."""
    try:
        return import_module("durable_fsm.restate.observability.otel")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        return None


_otel = _installed()


LOOK_AGAIN = 1.0
"""Seconds until it is asked again whether somebody has set something up."""


class _SetUp:
    """Whether that has been done; once it has, it stays so. To look costs more than to remember, and every event asks."""

    __slots__ = ("_again", "_look", "_yes")

    def __init__(self, look: Callable[[], bool]) -> None:
        self._look, self._yes, self._again = look, False, 0.0

    def __call__(self) -> bool:
        if not self._yes and (now := time.monotonic()) >= self._again:
            self._yes, self._again = self._look(), now + LOOK_AGAIN
        return self._yes


is_traced = _SetUp(lambda: _otel is not None and bool(_otel.is_traced()))
"""Whether anybody has set up where spans go; it may take a second to be noticed."""

is_counted = _SetUp(lambda: _otel is not None and bool(_otel.is_counted()))
"""Whether anybody has set up where counts go; it may take a second to be noticed."""


def is_on() -> bool:
    """Whether anybody has set up where spans or counts go."""
    return is_traced() or is_counted()


def span(name: str, attributes: Attributes, *, began: int, problem: str | None = None) -> None:
    """A span from *began*, in nanoseconds since 1970, until now."""
    if _otel is not None and is_traced():
        _otel.span(name, attributes, began, problem)


@contextmanager
def spanning(name: str, attributes: Attributes) -> Generator[None]:
    """A span around work that is done in one go; what the work itself traces stands under it."""
    if _otel is None or not is_traced() or is_replaying():
        yield
        return
    with _otel.spanning(name, attributes):
        yield


def count(name: str, attributes: Attributes) -> None:
    """Count one more."""
    if _otel is not None:
        _otel.count(name, attributes)
