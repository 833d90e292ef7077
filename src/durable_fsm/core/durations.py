"""Lengths of time: as people write them, how long they may be, and as they grow from one try to the next."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
LONGEST_DELAY = timedelta(days=36_525)
"""A hundred years: what is due then still has a date."""

LATEST = datetime(9_999, 1, 1, tzinfo=UTC)
"""The last instant that a timer may be set to."""

DURATION = r"^(\d*\.?\d+(ms|min|s|m|h|d))+$"
"""How a duration is written in a request, for its schema."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PART = re.compile(r"(\d*\.?\d+)(ms|min|s|m|h|d)", re.IGNORECASE)
_NUMBER = re.compile(r"\d*\.?\d+")


def duration_of(text: str, *, unit: str = "") -> timedelta:
    """Read `100ms`, `30s`, `.5s`, `15m`, `15min`, `2h`, `1d`, or several: `1h30m`.

    Args:
        unit: of a number without one, which is refused otherwise.

    Raises:
        ValueError: the text is not a duration, or is longer than a timedelta can be.
    """
    written = text + unit if _NUMBER.fullmatch(text) else text
    if not written or _PART.sub("", written):
        raise ValueError(f"'{text}' is not a duration; write 100ms, 30s, 15m, 2h or 1d.")
    try:
        return sum((float(number) * UNITS[unit.lower()] for number, unit in _PART.findall(written)), timedelta())
    except OverflowError as error:
        raise ValueError(f"'{text}' is longer than any timer can be.") from error


def bounded(duration: timedelta, what: str) -> timedelta:
    """The duration itself.

    Raises:
        ValueError: it is longer than any timer can be; *what* names it.
    """
    if duration > LONGEST_DELAY:
        limit = LONGEST_DELAY.days
        raise ValueError(f"{what} is {duration.days} days, longer than any timer can be; use {limit} or less")
    return duration


def instant_in_utc(at: datetime, what: str) -> datetime:
    """The instant in UTC.

    Raises:
        ValueError: it has no time zone, or is later than any timer can be; *what* names it.
    """
    if at.tzinfo is None:
        raise ValueError("an instant needs a time zone: datetime(..., tzinfo=UTC)")
    try:
        instant = at.astimezone(UTC)
    except OverflowError:  # within hours of the first or the last instant that a datetime can express
        instant = datetime.max.replace(tzinfo=UTC) if at.year > _EPOCH.year else _EPOCH
    if instant > LATEST:
        raise ValueError(f"{what} is {at:%Y-%m-%d}, later than any timer can be; use {LATEST:%Y-%m-%d} or earlier")
    return instant


def instant_of(milliseconds: int) -> datetime:
    """The instant so many milliseconds after 1970; `LATEST` for one that has no date."""
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return LATEST


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that grow by a factor from one try to the next, up to the longest."""

    first: timedelta
    factor: float = 2.0
    longest: timedelta = timedelta.max

    def delay(self, tries: int) -> timedelta:
        """How long to wait after *tries* tries before this one."""
        try:
            return min(self.first * self.factor**tries, self.longest)
        except OverflowError:
            return self.longest
