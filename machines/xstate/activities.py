"""The outside work: HTTP requests to an authority, a bank and a mail server."""

from __future__ import annotations

from typing import TypedDict

from durable_fsm import ActivityContext
from machines.world import ask
from machines.xstate.data import CHECKING, AuthorityData, PaymentData


class Change(TypedDict):
    """A change of one balance."""

    user: str
    cents: int


async def authorize(ctx: ActivityContext, data: AuthorityData) -> str:
    """Check the code, which takes a while, and issue one token for it."""
    await ctx.sleep(CHECKING)
    answer = await ctx.run("issue", ask, "/tokens", {"code": data.code}, key=ctx.stable_id)
    return str(answer["token"])


async def update_balance(ctx: ActivityContext, change: Change) -> None:
    """Add to a balance, or take from it, once."""
    await ctx.run("update", ask, "/balances", change, key=ctx.stable_id)


async def send_mail(ctx: ActivityContext, mail: dict[str, str]) -> None:
    await ctx.run("send", ask, "/mails", mail, key=ctx.stable_id)


def debit(data: PaymentData) -> Change:
    return {"user": data.sender, "cents": -data.cents}


def credit(data: PaymentData) -> Change:
    return {"user": data.recipient, "cents": data.cents}


def refund(data: PaymentData) -> Change:
    return {"user": data.sender, "cents": data.cents}
