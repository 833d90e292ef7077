"""The order's outside work: charging and refunding through a payment service that speaks HTTP.

Every request carries `ctx.stable_id` as its idempotency key, so that a request repeated after a crash is recognised:
the service answers 409 and the receipt of the first one.
"""

from __future__ import annotations

import os

import httpx

from durable_fsm import ActivityContext, TerminalError
from machines.order.data import OrderData


async def charge_card(ctx: ActivityContext, data: OrderData) -> str:
    """Charge the card once; answer with the receipt. A declined card is final, everything else is tried again."""
    order = {"card": data.card, "cents": data.total_cents, "order": ctx.key}
    return await ctx.run("charge", post, "/charges", order, key=ctx.stable_id)


async def refund_charge(ctx: ActivityContext, data: OrderData) -> str:
    """Give back what the receipt says was taken."""
    return await ctx.run("refund", post, "/refunds", {"receipt": data.receipt}, key=ctx.stable_id)


async def post(path: str, body: dict[str, object], *, key: str) -> str:
    """Ask the payment service; return the receipt, also where it has seen this key before."""
    async with httpx.AsyncClient(base_url=os.environ["PAYMENT_URL"], timeout=30) as payments:
        answer = await payments.post(path, json=body, headers={"idempotency-key": key})
    if answer.status_code in (201, 409):
        return answer.json()["receipt"]
    if answer.status_code in (402, 404):
        raise TerminalError(answer.json()["reason"], code=answer.status_code)
    answer.raise_for_status()
    raise TerminalError(f"the payment service answered {answer.status_code}", code=answer.status_code)
