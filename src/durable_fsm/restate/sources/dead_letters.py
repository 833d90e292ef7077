"""Dead letters: the latest events of topics and webhooks that no machine could take, kept for operators."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import restate
from restate import ObjectContext, ObjectSharedContext
from restate.serde import JsonSerde

from durable_fsm.core.chart import Chart
from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import WireRecord, dumps, loads
from durable_fsm.restate.http.requests import FOR_EVER
from durable_fsm.restate.names import StateKey, rejected_name
from durable_fsm.restate.registration import BYTES, register

LETTERS = 100
"""How many rejected events are kept for each topic and webhook: the latest."""

LONGEST_PAYLOAD = 4 * 1024
"""Longest payload in bytes that is kept with a rejected event."""

LONGEST_REASON = 2_000


class DeadLetter(WireRecord, frozen=True):
    """A rejected event: where it came from, for which machine, and why it was rejected.

    `event` and `payload` are absent if the source could not be decoded, and `payload` also if it is too long to keep.
    """

    source: str
    place: str
    facts: dict[str, str]
    key: str | None
    status: int
    type: str | None
    reason: str
    event: str | msgspec.UnsetType = msgspec.UNSET
    payload: Json | msgspec.UnsetType = msgspec.UNSET


def keep(ctx: restate.Context | ObjectContext, chart: Chart, letter: DeadLetter) -> None:
    """Send a dead letter to the object that keeps those of its source."""
    ctx.generic_send(rejected_name(chart), "_add", letter.encode(), key=letter.source)


def rejected_object(chart: Chart) -> restate.VirtualObject:
    """The dead letters of a chart; the object's keys are sources: `kafka:orders`, `webhook:stripe`."""
    service = restate.VirtualObject(
        rejected_name(chart),
        description=f"Events of topics and webhooks that machines of {chart.name} could not take.",
        ingress_private="rejected" in chart.hosting.operators_only or None,
        invocation_retry_policy=FOR_EVER,
    )

    async def add(ctx: ObjectContext, body: bytes) -> bytes:
        """Keep one more dead letter, in place of the oldest."""
        total = await _total(ctx)
        at = datetime.fromtimestamp(await ctx.time(), UTC).isoformat(timespec="seconds")
        ctx.set(_slot(total + 1), dumps({"number": total + 1, "at": at, **loads(body)}), serde=BYTES)
        ctx.set(StateKey.TOTAL, total + 1, serde=JsonSerde[int]())
        return b""

    async def list_(ctx: ObjectSharedContext, body: bytes) -> bytes:
        """List the dead letters, the latest first, and the number of all events rejected so far."""
        total = await _total(ctx)
        letters: list[Json] = []
        for number in range(total, max(total - LETTERS, 0), -1):
            stored = await ctx.get(_slot(number), serde=BYTES)
            if stored is not None:
                letters.append(loads(stored))
        return dumps({"total": total, "rejected": letters})

    async def clear(ctx: ObjectContext, body: bytes) -> bytes:
        """Forget all dead letters."""
        ctx.clear_all()
        return b""

    register(service, "_add", add, chart=chart, retried=True, private=True, enable_lazy_state=True)
    register(service, "list", list_, chart=chart, retried=True, kind="shared", enable_lazy_state=True)
    register(service, "clear", clear, chart=chart, retried=True)
    return service


async def _total(ctx: ObjectContext | ObjectSharedContext) -> int:
    return await ctx.get(StateKey.TOTAL, serde=JsonSerde[int]()) or 0


def _slot(number: int) -> str:
    return f"letter-{(number - 1) % LETTERS:03}"
