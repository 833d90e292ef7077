"""Numbers, durations and instants as people read them on the pages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from durable_fsm.core.durations import instant_of
from durable_fsm.diagram.words import duration

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def number(value: float) -> str:
    """`18 422`: a narrow space between thousands."""
    return f"{value:,.0f}".replace(",", "\u202f")


def rate(value: float) -> str:
    """How many things there are in a time, small numbers with one decimal: `0.4`, `13`, `1 204`."""
    if 0 < value < 0.05:
        return "< 0.1"
    return f"{value:.1f}" if 0 < value < 9.95 else number(value)


def ago(milliseconds: float | None) -> str:
    """A length of time in its two largest units: `1 d 4 h`, `3 min 20 s`, `0.4 s`."""
    if milliseconds is None:
        return ""
    seconds = max(milliseconds, 0) / 1_000
    if seconds < 1:
        return f"{milliseconds:.0f} ms" if milliseconds > 0 else "0 s"
    whole = int(seconds)
    for place, (size, unit) in enumerate(_STEPS):
        if whole >= size:
            first, rest = divmod(whole, size)
            if place + 1 < len(_STEPS):
                smaller, name = _STEPS[place + 1]
                second = rest // smaller
                return f"{first} {unit} {second} {name}" if second else f"{first} {unit}"
            return f"{first} {unit}"
    return "0 s"


def clock(milliseconds: int | None) -> str:
    """The time of day in UTC: `14:06:28`."""
    return "" if milliseconds is None else f"{instant_of(milliseconds):%H:%M:%S}"


def day(milliseconds: int | None) -> str:
    """The date in UTC: `2026-12-01`."""
    return "" if milliseconds is None else f"{instant_of(milliseconds):%Y-%m-%d}"


def stamp(milliseconds: int | None) -> str:
    """Date and time in UTC: `2026-12-01 14:06:28.123 UTC`."""
    return "" if milliseconds is None else f"{instant_of(milliseconds):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"


def iso(milliseconds: int | None) -> str:
    """As the attribute `datetime` of `<time>` has it."""
    return "" if milliseconds is None else instant_of(milliseconds).isoformat(timespec="milliseconds")


def now_ms() -> int:
    """Now, in milliseconds since 1970."""
    return int(datetime.now(UTC).timestamp() * 1_000)


def ms_of(at: datetime | None) -> int | None:
    """An instant in milliseconds since 1970."""
    return None if at is None else int(at.timestamp() * 1_000)


def length(milliseconds: int) -> str:
    """A declared duration: `15 min`, `30 d`."""
    return duration(timedelta(milliseconds=milliseconds))


def listed(names: Iterable[str]) -> str:
    """`a, b`"""
    return ", ".join(names)


def many(count: int, thing: str, things: str | None = None) -> str:
    """`1 machine`, `1 204 machines`."""
    return f"{number(count)} {thing if count == 1 else things or f'{thing}s'}"


def size(octets: int) -> str:
    """`2.3 KB`"""
    value = float(octets)
    for unit in ("bytes", "KB", "MB"):
        if value < 1_000 or unit == "MB":
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1_000
    return ""
