"""A service written by hand, for the tests of the testing tools: no machine of ours is in it."""

import os
import random
from datetime import timedelta

import restate

from durable_fsm.testing.effects import effect

counter = restate.VirtualObject("Counter")
shop = restate.VirtualObject("Shop")


@counter.handler()
async def add(ctx: restate.ObjectContext, amount: int) -> int:
    """Add to the total and return it."""
    total = (await ctx.get("total", type_hint=int) or 0) + amount
    ctx.set("total", total)
    return total


@counter.handler()
async def nap(ctx: restate.ObjectContext, ms: int) -> str:
    """Sleep durably."""
    await ctx.sleep(timedelta(milliseconds=ms))
    return "rested"


@counter.handler()
async def never(ctx: restate.ObjectContext) -> None:
    """Wait for what nobody sends."""
    await ctx.signal("never")


@counter.handler()
async def roll(ctx: restate.ObjectContext) -> str:
    """Write what differs at every attempt, then wait: right only as long as nothing is replayed."""
    ctx.set("rolled", random.random())
    await ctx.sleep(timedelta(milliseconds=50))
    return "rolled"


@counter.handler(kind="shared")
async def hash_seed(ctx: restate.ObjectSharedContext) -> str:
    """Which PYTHONHASHSEED this process was given."""
    return os.environ["PYTHONHASHSEED"]


@counter.handler()
async def refuse(ctx: restate.ObjectContext) -> None:
    """Fail for good."""
    raise restate.TerminalError("refused", 409)


@shop.handler()
async def buy(ctx: restate.ObjectContext) -> int:
    """Charge once, as far as one can know, and count the purchases."""
    await ctx.run_typed("charge", effect, name="charge", key=ctx.key(), idempotency_key=str(ctx.request().id))
    bought = (await ctx.get("bought", type_hint=int) or 0) + 1
    ctx.set("bought", bought)
    return bought


app = restate.app([counter, shop])
