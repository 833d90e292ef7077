"""The outside work of the two machines."""

from __future__ import annotations

from pydantic import BaseModel, Field

from durable_fsm import ActivityContext
from machines.world import ask


class SubscriptionData(BaseModel):
    asked_by: str = ""
    numbers: list[str] = []


class BlocksData(BaseModel):
    subscription: str = ""
    number: str = ""
    word: str = ""
    receipt: str = ""
    trouble: str = ""


class Request(BaseModel):
    subscription: str = Field(min_length=1)


async def create(ctx: ActivityContext, data: SubscriptionData) -> str:
    """Subscribe; return the number."""
    answer = await ctx.run("create", ask, "/subscriptions", {"subscription": ctx.key}, key=ctx.stable_id)
    return str(answer["number"])


async def hear(ctx: ActivityContext, data: BlocksData) -> object:
    """Wait for a word from outside; the machine's snapshot lists the id of the callback."""
    return await ctx.callback("word")


async def charge(ctx: ActivityContext, data: BlocksData) -> str:
    """Charge the account; the bank recognises a repeated request by its stable id."""
    answer = await ctx.run("charge", ask, "/charges", {"machine": ctx.key, "word": data.word}, key=ctx.stable_id)
    return str(answer["receipt"])
