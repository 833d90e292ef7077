"""The addition: a request to a calculator, which takes its time."""

from __future__ import annotations

from pydantic import BaseModel

from durable_fsm import ActivityContext
from machines.world import ask


class Addition(BaseModel):
    """Two numbers, how urgent their sum is (the lowest number first), and the sum."""

    left: float
    right: float
    priority: int = 1
    sum: float | None = None


async def add(ctx: ActivityContext, data: Addition) -> float:
    """Add the numbers. If the calculator refuses them, that is final."""
    numbers = {"left": data.left, "right": data.right}
    answer = await ctx.run("add", ask, "/additions", numbers, key=ctx.stable_id)
    return float(answer["sum"])
