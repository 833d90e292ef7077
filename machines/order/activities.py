"""The order's outside work: HTTP requests to a warehouse, a bank and a bookkeeper.

Every request carries a stable id as its idempotency key, so that the other side recognises a request repeated after a
crash: it answers 409 with its first answer.
"""

from __future__ import annotations

import os
from typing import Any

import httpx

from durable_fsm import ActivityContext, TerminalError
from machines.order.data import Charge, OrderData

REFUSED = {400, 402, 404, 410}
"""Statuses that a retry does not change; all others are retried."""


async def reserve_stock(ctx: ActivityContext, data: OrderData) -> str:
    """Reserve the goods; return the number of the reservation. "Sold out" is final."""
    goods = {item.name: item.quantity for item in data.items}
    answer = await ctx.run("reserve", post, "/reservations", {"goods": goods, "order": ctx.key}, key=ctx.stable_id)
    return str(answer["reservation"])


async def release_stock(ctx: ActivityContext, result: str) -> None:
    """Put the goods back on the shelf."""
    await ctx.run("release", post, "/releases", {"reservation": result}, key=ctx.stable_id)


async def charge_card(ctx: ActivityContext, data: OrderData) -> Charge:
    """Charge the card once. A declined card is final, everything else is retried."""
    charge = {"card": data.card, "cents": data.total_cents, "order": ctx.key}
    return await ctx.run("charge", post, "/charges", charge, key=ctx.stable_id)


async def confirm_charge(ctx: ActivityContext, data: OrderData) -> Charge:
    """Charge the card with the customer's code. A wrong code is final."""
    proof = {"challenge": data.challenge, "code": data.code}
    return await ctx.run("confirm", post, "/confirmations", proof, key=ctx.stable_id)


async def give_back(ctx: ActivityContext, original: str) -> None:
    """Refund the charge with this stable id. If there was none, the bank refuses a later one."""
    await ctx.run("give back", post, "/refunds", {"charge": original}, key=ctx.stable_id)


async def refund_part(ctx: ActivityContext, data: OrderData) -> None:
    """Refund a part of the charge."""
    part = {"receipt": data.receipt, "cents": data.refund_cents}
    await ctx.run("refund", post, "/refunds", part, key=ctx.stable_id)


async def write_invoice(ctx: ActivityContext, data: OrderData) -> str:
    """Write the invoice; return its number."""
    invoice = {"order": ctx.key, "cents": data.total_cents, "address": data.address}
    answer = await ctx.run("invoice", post, "/invoices", invoice, key=ctx.stable_id)
    return str(answer["invoice"])


async def write_credit_note(ctx: ActivityContext, result: str) -> None:
    """Cancel the invoice with a credit note."""
    await ctx.run("credit", post, "/credit-notes", {"invoice": result}, key=ctx.stable_id)


async def post(path: str, body: dict[str, object], *, key: str) -> Any:  # Any: JSON
    """Send a request to the outside service; return its answer, also the first answer if the key is known."""
    async with httpx.AsyncClient(base_url=os.environ["OUTSIDE_URL"], timeout=30) as outside:
        answer = await outside.post(path, json=body, headers={"idempotency-key": key})
    if answer.status_code in REFUSED:
        raise TerminalError(answer.json()["reason"], code=answer.status_code)
    if answer.status_code not in (200, 201, 409):
        answer.raise_for_status()
    return answer.json()
