"""Fan-out: one activity run once for each of many items, each in an invocation of its own.

An item has its own journal, its own attempts and its own stable id. The fan-out only starts the items, a few at a time,
and collects their outcomes. Its next step depends only on the order in which Restate journaled these outcomes, so
a replay does the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import restate
from restate import RestateDurableCallFuture
from restate import TerminalError as RestateTerminalError

from durable_fsm.core.chart import Each
from durable_fsm.core.fan_out import Joining
from durable_fsm.core.values import Json
from durable_fsm.restate.activities.failures import ItemFailed, interruption
from durable_fsm.restate.stored.deliveries import Delivery

StartItem = Callable[[int, Json], RestateDurableCallFuture[bytes]]
"""Calls the run of one item, given its index and the item."""


async def fan_out(
    ctx: restate.Context, each: Each, items: list[Json], start: StartItem, stop: Callable[[], None]
) -> Json:
    """Run the items, `each.at_once` of them together, until their outcomes decide; return the results, joined.

    Items that still run then are cancelled, and have ended before this returns; *stop* tells their steps.

    Raises:
        ItemFailed: too few items can succeed.
    """
    waiting = deque(enumerate(items))
    running: dict[restate.RestateDurableFuture[bytes], tuple[int, RestateDurableCallFuture[bytes]]] = {}
    joining = Joining(each.join, len(items))
    decided = False
    while waiting or running:
        while waiting and len(running) < each.at_once:
            index, item = waiting.popleft()
            call = start(index, item)
            running[call] = index, call
        ended, _ = await restate.wait_completed(*running)
        for end in ended:
            index, _ = running.pop(end)
            outcome = await _outcome_of(end)
            if decided or not joining.ends(index, outcome.error or outcome.result):
                continue
            decided = True
            waiting.clear()
            if running:
                stop()
            for _, call in running.values():
                ctx.cancel_invocation(await call.invocation_id())
    if joining.failure is not None:
        raise ItemFailed(joining.failure)
    return joining.result


async def _outcome_of(call: restate.RestateDurableFuture[bytes]) -> Delivery:
    try:
        return Delivery.decode(await call)
    except RestateTerminalError as error:
        return Delivery("", error=interruption("the item", error))
