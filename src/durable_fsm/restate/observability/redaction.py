"""What an invocation has seen that must not be repeated, for as long as it runs."""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field

from durable_fsm.core.chart import Chart
from durable_fsm.core.redact import Redaction, without
from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import loads


@dataclass(slots=True)
class Seen:
    """The values that may be quoted: payloads, data, results."""

    redaction: Redaction
    values: list[Json] = field(default_factory=list[Json])


_seen: ContextVar[Seen | None] = ContextVar("seen", default=None)


def begin(chart: Chart) -> Seen | None:
    """Begin to remember, if the chart names anything; return what was remembered before, for `end`."""
    before = _seen.get()
    _seen.set(Seen(chart.redaction) if chart.hosting.redact else None)
    return before


def end(before: Seen | None) -> None:
    _seen.set(before)


def seen(*values: Json) -> None:
    """Remember values whose named members no text may quote."""
    here = _seen.get()
    if here is not None:
        here.values += values


def seen_text(body: bytes) -> None:
    """Remember what somebody sent, if it can be read."""
    if _seen.get() is not None:
        with suppress(ValueError, RecursionError):
            seen(loads(body))


def is_redacting() -> bool:
    return _seen.get() is not None


def clean(text: str) -> str:
    """*text* without what the chart names."""
    here = _seen.get()
    return text if here is None else without(text, here.redaction.texts(here.values))


def cleaned(value: Json) -> Json:
    """*value* without the members that the chart names, and without their values anywhere else in it."""
    here = _seen.get()
    if here is None:
        return value
    return _texts(here.redaction.members(value), here.redaction.texts([*here.values, value]))


def _texts(value: Json, secrets: list[str]) -> Json:
    if isinstance(value, str):
        return without(value, secrets)
    if isinstance(value, list):
        return [_texts(item, secrets) for item in value]
    if isinstance(value, dict):
        return {name: _texts(member, secrets) for name, member in value.items()}
    return value
