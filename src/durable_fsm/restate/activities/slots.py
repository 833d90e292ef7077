"""The slots of a machine's activities, as its `snapshot` shows them."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import restate
from restate import ObjectSharedContext

from durable_fsm.core.chart import Chart
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.values import Json
from durable_fsm.restate.activities.limits import LimitAddress
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.machine.storage import load_handles
from durable_fsm.restate.names import NAMED_LIMITS

PATIENCE = timedelta(seconds=3)
"""How long a limit that another application may keep is given to answer: that application may be down."""


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
            answer = await _answer_of(ctx, limit, handles[token])
            if answer is not None and (status := loads(answer)) is not None:
                found[token] = {"limit": limit.key, "status": status}
    return found


async def _answer_of(ctx: ObjectSharedContext, limit: LimitAddress, run: str) -> bytes | None:
    """The answer of the limit about a run; None if it does not come in time."""
    asked = ctx.generic_call(limit.service, "slot_of", dumps(run), key=limit.key)
    if limit.service != NAMED_LIMITS:
        return await asked
    first, answer = await restate.select(asked=asked, clock=ctx.sleep(PATIENCE))
    if first == "clock":
        await asked.cancel_invocation()
        return None
    return cast("bytes", answer)
