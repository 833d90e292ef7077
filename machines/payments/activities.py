"""The withdrawal: an HTTP call of the account. Restate recognises a repeated call."""

from __future__ import annotations

import os

import httpx

from durable_fsm import ActivityContext, TerminalError
from machines.payments.data import PaymentData

REFUSED = {400, 404, 410, 412, 422}
"""Statuses that a retry does not change; all others are retried."""


async def withdraw(ctx: ActivityContext, data: PaymentData) -> bool:
    """Take the money from the account, once; return whether there was enough."""
    return await ctx.run("withdraw", ask, data.account, data.cents, key=ctx.stable_id)


async def ask(account: str, cents: int, *, key: str) -> bool:
    async with httpx.AsyncClient(base_url=os.environ["RESTATE_INGRESS_URL"], timeout=30, trust_env=False) as restate:
        answer = await restate.post(
            f"/accounts/{account}/withdraw", json={"cents": cents}, headers={"idempotency-key": key}
        )
    if answer.status_code in REFUSED:
        raise TerminalError(answer.json()["message"], code=answer.status_code)
    answer.raise_for_status()
    return bool(answer.json()["reply"])
