"""The provider, as the payment calls it: Stripe's PaymentIntents over HTTP.

STRIPE_URL is its address, STRIPE_API_KEY the key of our account.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
from pydantic import BaseModel, Field

from durable_fsm import ActivityContext, TerminalError

REFUSED = {400, 402, 404}
"""Statuses that a retry does not change; all others are retried."""

ATTEMPT = timedelta(seconds=30)


class PaymentData(BaseModel):
    method: str = Field(min_length=1)
    cents: int = Field(gt=0)
    intent: str = ""
    problem: str = ""
    late: bool = False


class Intent(BaseModel):
    """The part of a PaymentIntent that we keep."""

    id: str
    status: str
    problem: str = ""


def intent_of(said: Mapping[str, Any]) -> Intent:  # Any: the provider's JSON
    failure = said.get("last_payment_error") or {}
    return Intent(id=said["id"], status=said["status"], problem=failure.get("message", ""))


async def request_payment(ctx: ActivityContext, data: PaymentData) -> Intent:
    """Request the money, once. The metadata tell our webhook whose payment it is."""
    order = {
        "amount": data.cents,
        "currency": "usd",
        "payment_method": data.method,
        "confirm": "true",
        "metadata[payment]": ctx.key,
    }
    return await ctx.run("request", request, order, key=ctx.stable_id)


async def cancel_payment(ctx: ActivityContext, result: dict[str, str]) -> None:
    """Cancel the payment. If it has succeeded meanwhile, refund it."""
    intent = await ctx.run("cancel", cancel, result["id"], key=ctx.stable_id)
    if intent.status == "succeeded":
        await ctx.run("refund", post, "/v1/refunds", {"payment_intent": intent.id}, key=f"{ctx.stable_id}/refund")


async def request(order: Mapping[str, object], *, key: str) -> Intent:
    return intent_of(await post("/v1/payment_intents", order, key=key))


async def cancel(intent: str, *, key: str) -> Intent:
    """Cancel; return the payment as it is now, also if it is too late to cancel it."""
    try:
        return intent_of(await post(f"/v1/payment_intents/{intent}/cancel", {}, key=key))
    except TerminalError as refused:
        if not refused.metadata:
            raise
        return intent_of(refused.metadata)


async def post(path: str, form: Mapping[str, object], *, key: str) -> Any:  # Any: the provider's JSON
    """Send a request to the provider, which recognises a repeated one by its key."""
    headers = {"authorization": f"Bearer {os.environ['STRIPE_API_KEY']}", "idempotency-key": key}
    async with httpx.AsyncClient(base_url=os.environ["STRIPE_URL"], trust_env=False, timeout=None) as stripe:
        answer = await stripe.post(path, data=form, headers=headers)
    if answer.status_code in REFUSED:
        error = answer.json()["error"]
        raise TerminalError(error["message"], code=answer.status_code, metadata=error.get("payment_intent"))
    answer.raise_for_status()
    return answer.json()
