"""The slots of a machine's activities, as its `snapshot` shows them."""

from __future__ import annotations

from restate import ObjectSharedContext

from durable_fsm.core.chart import Chart
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.values import Json
from durable_fsm.restate.activities.limits import LimitAddress
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.machine.storage import load_handles


async def slots_of(ctx: ObjectSharedContext, chart: Chart, machine: Snapshot) -> dict[str, Json]:
    """By token, the limit of each activity that runs, and whether it waits for a slot; as far as that is known.

    The items of a fan-out have slots of their own, which are not told.
    """
    found: dict[str, Json] = {}
    running = {one.token: chart.activities.get(one.id) for one in machine.activities}
    limited = {token: one for token, one in running.items() if one is not None and one.limit is not None}
    handles = await load_handles(ctx, chart) if limited else {}
    for token, activity in limited.items():
        if token in handles:
            limit = LimitAddress.of(chart, activity)
            asked = await ctx.generic_call(limit.service, "slot_of", dumps(handles[token]), key=limit.key)
            if (status := loads(asked)) is not None:
                found[token] = {"limit": limit.key, "status": status}
    return found
