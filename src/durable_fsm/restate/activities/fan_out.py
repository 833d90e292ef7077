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
from durable_fsm.core.events import Failure
from durable_fsm.core.fan_out import at_index, settled
from durable_fsm.core.values import Json
from durable_fsm.restate.activities.failures import ItemFailed, interruption
from durable_fsm.restate.stored.deliveries import Delivery

StartItem = Callable[[int, Json], RestateDurableCallFuture[bytes]]
"""Calls the run of one item, given its index and the item."""


async def fan_out(ctx: restate.Context, each: Each, items: list[Json], start: StartItem) -> list[Json]:
    """Run all items, `each.at_once` of them together; return their results in the order of the items.

    Raises:
        ItemFailed: an item failed, unless items are to settle. The others were cancelled, and have ended.
    """
    waiting = deque(enumerate(items))
    running: dict[restate.RestateDurableFuture[bytes], tuple[int, RestateDurableCallFuture[bytes]]] = {}
    results: list[Json] = [None] * len(items)
    failed: Failure | None = None
    while waiting or running:
        while waiting and len(running) < each.at_once:
            index, item = waiting.popleft()
            call = start(index, item)
            running[call] = index, call
        ended, _ = await restate.wait_completed(*running)
        for end in ended:
            index, _ = running.pop(end)
            outcome = await _outcome_of(end)
            if each.settle:
                results[index] = settled(outcome.result if outcome.error is None else outcome.error)
            elif outcome.error is None:
                results[index] = outcome.result
            elif failed is None:
                failed = at_index(index, outcome.error)
                waiting.clear()
                for _, other in running.values():
                    ctx.cancel_invocation(await other.invocation_id())
    if failed is not None:
        raise ItemFailed(failed)
    return results


async def _outcome_of(call: restate.RestateDurableFuture[bytes]) -> Delivery:
    try:
        return Delivery.decode(await call)
    except RestateTerminalError as error:
        return Delivery("", error=interruption("the item", error))
