"""The ids of what a machine may have to cancel: activities, and timers that are due long after."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import cast

from restate import ObjectContext

from durable_fsm.core.chart import Chart
from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.http.requests import BYTES
from durable_fsm.restate.invocation_ids import InvocationIds, SentInvocation
from durable_fsm.restate.machine.storage import load_handles
from durable_fsm.restate.names import StateKey


async def keep_handles(
    ctx: ObjectContext,
    chart: Chart,
    ids: InvocationIds,
    *,
    ended: AbstractSet[str],
    sent: Mapping[str, SentInvocation],
    live: AbstractSet[str],
) -> None:
    """Cancel what has *ended*, and store the ids of what is *live*; all are named by their tokens."""
    handles = await load_handles(ctx, chart)
    before = dict(handles)
    for token in sorted(ended & handles.keys()):
        ctx.cancel_invocation(handles[token])
    for token, invocation in sent.items():
        handles[token] = await ids.of(invocation)
    handles = {token: handle for token, handle in handles.items() if token in live}
    if handles != before:
        ctx.set(StateKey.HANDLES, dumps(cast("Json", handles)), serde=BYTES)
