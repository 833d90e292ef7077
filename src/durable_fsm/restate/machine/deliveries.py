"""Parking: a delivery that cannot be processed is sent again later, and listed for operators until then."""

from __future__ import annotations

from typing import cast

from restate import ObjectContext, ObjectSharedContext

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import milliseconds
from durable_fsm.core.values import Json, changed
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.http.requests import BYTES, MAX_SNAPSHOT
from durable_fsm.restate.machine.storage import load_list
from durable_fsm.restate.names import Handler, StateKey
from durable_fsm.restate.observability import report
from durable_fsm.restate.settings import HostedChart
from durable_fsm.restate.stored.deliveries import Delivery, ParkedDelivery, read_parked


def park(
    ctx: ObjectContext, hosted: HostedChart, delivery: Delivery, error: errors.DurableFSMError, *, tries: int
) -> ParkedDelivery:
    """Send a delivery, which failed with this error, to its machine again later."""
    again, delay = changed(delivery, tries=tries + 1), hosted.settings.parking.delay(tries)
    record = ParkedDelivery.of_failed(again, error, at=hosted.settings.stamp())
    report.parked(delivery.event.name, record.reason, tries, record.place)
    report.raised(error)
    ctx.generic_send(hosted.name, Handler.PARKED, again.encode(), key=ctx.key(), send_delay=delay)
    return changed(record, next=record.since + milliseconds(delay))


async def load_parked(ctx: ObjectContext | ObjectSharedContext, chart: Chart) -> dict[str, ParkedDelivery]:
    """The parked deliveries that operators see, by token."""
    return await load_list(ctx, chart, StateKey.PARKED, read_parked)


async def keep_parked(
    ctx: ObjectContext, chart: Chart, parked: list[ParkedDelivery], live: set[str] | None = None
) -> None:
    """List parked deliveries for operators; those whose token is not *live* any more leave the list.

    The list is as long as can be stored. A delivery that does not fit is missing from it, and is sent again all the same.
    """
    before = await load_parked(ctx, chart)
    latest = {one.token: changed(one, since=before.get(one.token, one).since) for one in parked}
    known = {**latest, **{token: old for token, old in before.items() if token not in latest}}
    listed: dict[str, Json] = {}
    room = MAX_SNAPSHOT
    for token, delivery in known.items():
        size = len(delivery.encode())
        if (live is None or token in live) and size <= room:
            room -= size
            listed[token] = cast("Json", delivery)
    if listed:
        ctx.set(StateKey.PARKED, dumps(listed), serde=BYTES)
    elif before:
        ctx.clear(StateKey.PARKED)
