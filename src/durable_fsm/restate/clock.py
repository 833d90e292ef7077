"""The clocks of the host: stamps for people, which no decision reads, and the time that callbacks may decide by.

A stamp is another one whenever an invocation is replayed, so the endpoint has Restate not compare what is written with
what was written before. A deployment that wants the comparison, as our tests do, has all stamps stand still.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

import restate
from restate.entry_codec import JournalValueCodec

from durable_fsm.core.chart import Chart

COMPARED = bool(os.environ.get("DURABLE_FSM_PAYLOAD_CHECKS"))
"""Whether Restate compares payloads on replay; stamps are then all zero."""


def stamp() -> int:
    """Now, in milliseconds since 1970."""
    return 0 if COMPARED else now()


def now() -> int:
    """Now, in milliseconds since 1970, also where stamps stand still: for delays, which are never compared."""
    return int(time.time() * 1_000)


async def decision_time(ctx: restate.Context, chart: Chart) -> datetime | None:
    """The time that callbacks may decide by, from Restate's journal: a replay reads the same. None without `clock=True`."""
    return datetime.fromtimestamp(await ctx.time(), UTC) if chart.hosting.clock else None


class _AsItIs(JournalValueCodec):
    """Writes every value as it is. Its presence is what matters: values are then not compared on replay."""

    def encode(self, buf: bytes) -> bytes:
        return buf

    async def decode(self, buf: bytes) -> bytes:
        return buf


def codec() -> JournalValueCodec | None:
    """The codec of the endpoint."""
    return None if COMPARED else _AsItIs()
