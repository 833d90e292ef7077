"""Defaults that differ from call to call, a random id or the time: drawn once, and kept in Restate's journal.

A handler may run again, from its beginning. Pydantic would then draw other defaults, while the client got the first ones.
So what was given is completed before the step, and the step finds nothing to draw. Types without such defaults cost nothing
here; with them, each value that leaves one open costs one entry of the journal.
"""

from __future__ import annotations

from typing import TypeVar, cast

import restate
from restate import ObjectContext, RunOptions

from durable_fsm.core.chart import Chart
from durable_fsm.core.events import Event, Failure
from durable_fsm.core.values import Completed, Json, ValueType, changed
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.http.requests import BYTES
from durable_fsm.restate.stored.deliveries import Delivery

D = TypeVar("D", bound=Delivery)


async def with_defaults(ctx: restate.Context | ObjectContext, type_: ValueType, given: Json) -> Json:
    """The value with its defaults, as they were drawn the first time that this invocation came here."""
    completed = type_.completed(given)
    return given if completed is None else await kept(ctx, completed)


async def kept(ctx: restate.Context | ObjectContext, completed: Completed) -> Json:
    """The value of the first attempt."""
    text = await ctx.run_typed("defaults", lambda: dumps(completed.value), RunOptions(serde=BYTES))
    value: Json = loads(text)
    return value


async def event_with_defaults(ctx: restate.Context | ObjectContext, chart: Chart, event: Event) -> Event:
    """The event with the defaults of its payload."""
    declared = chart.events.get(event.name)
    if declared is None or declared.payload is None or isinstance(event.payload, Failure):
        return event
    given = cast("Json", event.payload)  # as it was sent
    payload = await with_defaults(ctx, declared.payload, given)
    return event if payload is given else changed(event, payload=payload)


async def delivery_with_defaults(ctx: restate.Context | ObjectContext, chart: Chart, delivery: D) -> D:
    """The delivery with the defaults of its result."""
    event = delivery.event
    completed = await event_with_defaults(ctx, chart, event)
    return delivery if completed is event else changed(delivery, result=cast("Json", completed.payload))
