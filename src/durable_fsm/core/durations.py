"""Lengths of time as people write them."""

from __future__ import annotations

import re
from datetime import timedelta

UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def duration_of(text: str) -> timedelta:
    """`100ms`, `30s`, `15m`, `2h`, `1d`, or several: `1h30m`.

    Raises:
        ValueError: it is no such text, or longer than a timedelta can be.
    """
    if not text or _DURATION.sub("", text):
        raise ValueError(f"'{text}' is no duration; write 100ms, 30s, 15m, 2h or 1d.")
    try:
        return sum((float(number) * UNITS[unit] for number, unit in _DURATION.findall(text)), timedelta())
    except OverflowError as error:
        raise ValueError(f"'{text}' is too long a time.") from error
