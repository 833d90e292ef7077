"""Fan-out: one activity run once for each of many items, each by an invocation of its own.

An item has its own journal, its own attempts and its own stable id; here they are only started, a few at a time, and
their ends put together. What happens next depends on nothing but the order in which their ends were journaled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import restate
from restate import RestateDurableCallFuture
from restate import TerminalError as RestateTerminalError

from durable_fsm.core.chart import Each
from durable_fsm.core.codec import failure_to_json
from durable_fsm.core.events import Failure
from durable_fsm.core.fan_out import at_index
from durable_fsm.core.values import Json
from durable_fsm.restate.activities.failures import ItemFailed
from durable_fsm.restate.http.requests import Delivery

Start = Callable[[int, Json], RestateDurableCallFuture[bytes]]
"""Calls the run of one item, given its index and itself."""


async def fan_out(ctx: restate.Context, each: Each, items: list[Json], start: Start) -> list[Json]:
    """Run all items, `each.at_once` of them together; return their results in the order of the items.

    Raises:
        ItemFailed: the first failure, where items are not to settle; the others have been stopped.
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
            if outcome.error is None:
                results[index] = {"status": "done", "result": outcome.result} if each.settle else outcome.result
            elif each.settle:
                results[index] = {"status": "failed", "error": failure_to_json(outcome.error)}
            elif failed is None:
                failed = at_index(index, outcome.error)
                waiting.clear()
                for _, other in running.values():
                    ctx.cancel_invocation(await other.invocation_id())
    if failed is not None:
        raise ItemFailed(failed)
    return results


async def _outcome_of(call: restate.RestateDurableFuture[bytes]) -> Delivery:
    """How the run of an item ended; one that an operator killed has failed like any other."""
    try:
        return Delivery.decode(await call)
    except RestateTerminalError as error:
        kind = error.message if error.message in ("cancelled", "killed") else "lost"
        return Delivery("", error=Failure(kind, f"the item was {kind}.", error.status_code))
