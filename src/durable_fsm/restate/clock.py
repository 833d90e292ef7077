"""The clock of this process, and instants as people read them. Both inform; no decision may depend on them."""

from __future__ import annotations

import time

from durable_fsm.core.durations import instant_of


def now() -> int:
    """Now, in milliseconds since 1970."""
    return int(time.time() * 1_000)


def instant(at: int) -> str:
    """As people read it: `2030-01-01T12:00:00.000+00:00`."""
    return instant_of(at).isoformat(timespec="milliseconds")
