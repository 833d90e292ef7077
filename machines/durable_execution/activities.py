"""The outside work of a subscription."""

from __future__ import annotations

from pydantic import BaseModel, Field

from durable_fsm import ActivityContext
from machines.world import ask


class SubscriptionData(BaseModel):
    user_id: str = Field(default="", min_length=1)
    credit_card: str = ""
    subscriptions: list[str] = []
    payment_id: str = ""
    payment: str = ""
    begun: int = 0


async def create_payment(ctx: ActivityContext, data: SubscriptionData) -> str:
    """Create the recurring payment; return its reference."""
    request = {"user_id": data.user_id, "credit_card": data.credit_card, "payment_id": data.payment_id}
    answer = await ctx.run("pay", ask, "/payments", request, key=data.payment_id)
    return str(answer["payment"])


async def create_subscription(ctx: ActivityContext, data: SubscriptionData) -> None:
    """Subscribe to the next item of the list."""
    wanted = data.subscriptions[data.begun - 1]
    request = {"user_id": data.user_id, "subscription": wanted, "payment": data.payment, "payment_id": data.payment_id}
    await ctx.run("subscribe", ask, "/subscriptions", request, key=ctx.stable_id)
