"""Spans and counters, where OpenTelemetry is installed and somebody has set it up; otherwise nothing at all.

Spans stand under the trace that Restate's own server has begun.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from durable_fsm.restate.logs import is_replaying

Attributes = Mapping[str, str | int | bool | list[str]]


def _installed() -> ModuleType | None:
    """What speaks OpenTelemetry; None without the extra `otel`."""
    try:
        return import_module("durable_fsm.restate.otel")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        return None


_otel = _installed()


def is_traced() -> bool:
    """Whether anybody has set up where spans go."""
    return _otel is not None and bool(_otel.is_traced())


def is_counted() -> bool:
    """Whether anybody has set up where counts go."""
    return _otel is not None and bool(_otel.is_counted())


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
