"""Redaction while an invocation runs: the values it has seen that no log record, error or history entry may quote."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field

from durable_fsm.core.chart import Chart
from durable_fsm.core.redact import Redaction, longest_first, without
from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import loads


@dataclass(slots=True)
class SeenValues:
    """Payloads, data and results that texts may quote, and which of their members the chart redacts.

    `hidden` are texts that no other may quote, although no member of these values is.
    """

    redaction: Redaction
    values: list[Json] = field(default_factory=list[Json])
    hidden: list[str] = field(default_factory=list[str])

    def texts(self, *more: Json) -> list[str]:
        """The texts that no other may quote, the longest first."""
        texts = self.redaction.texts([*self.values, *more])
        return texts if set(texts).issuperset(self.hidden) else longest_first({*texts, *self.hidden})


_current: ContextVar[SeenValues | None] = ContextVar("seen_values", default=None)

current: Callable[[], SeenValues | None] = _current.get
"""The values seen so far; None if this invocation redacts nothing. A function of Python's own: every event asks."""


def begin(chart: Chart) -> SeenValues | None:
    """Begin to remember values, if the chart redacts any; return what `end` needs."""
    outer = _current.get()
    _current.set(SeenValues(chart.redaction) if chart.hosting.redact else None)
    return outer


def end(outer: SeenValues | None) -> None:
    _current.set(outer)


def seen(*values: Json) -> None:
    """Remember values; from now on no text may quote their redacted members."""
    current = _current.get()
    if current is not None:
        current.values += values


def seen_text(body: bytes) -> None:
    """Remember the value of a JSON text, if it is one."""
    if _current.get() is not None:
        with suppress(ValueError, RecursionError):
            seen(loads(body))


def clean(text: str) -> str:
    """*text* without redacted values."""
    current = _current.get()
    return text if current is None else without(text, current.texts())


def cleaned(value: Json) -> Json:
    """*value* without redacted members, and without their values anywhere else in it."""
    current = _current.get()
    if current is None:
        return value
    secrets = current.texts(value)
    return _without_secrets(current.redaction.members(value), secrets)


def _without_secrets(value: Json, secrets: list[str]) -> Json:
    if isinstance(value, str):
        return without(value, secrets)
    if isinstance(value, list):
        return [_without_secrets(item, secrets) for item in value]
    if isinstance(value, dict):
        return {name: _without_secrets(member, secrets) for name, member in value.items()}
    return value
