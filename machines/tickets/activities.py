"""The outside work: a cart calls tickets and the checkout, a checkout calls the payment provider and the mail server."""

from __future__ import annotations

import os

from durable_fsm import ActivityContext, Client, Retry
from durable_fsm.errors import EventError, MachineError
from machines.tickets.data import CartData, CheckoutData, Reservation, Wish
from machines.world import ask

RESTATE = os.environ.get("RESTATE_INGRESS_URL", "http://localhost:8080")

UNLESS_REFUSED = Retry(give_up_on=(EventError, MachineError))
"""Retry until a machine answers; it does not change its mind when it refuses."""


async def reserve(ctx: ActivityContext, wish: dict[str, str]) -> bool:
    """Reserve the seat; return whether it was available."""
    wanted = Wish.model_validate(wish)
    return await ctx.run("reserve", reserve_for, ctx.key, wanted, key=ctx.stable_id)


async def reserve_for(user: str, wish: Wish, *, key: str) -> bool:
    reservation = Reservation(number=wish.number, user=user)
    async with Client(RESTATE) as restate:
        ticket = restate.machine("TicketObject", wish.seat)
        return (await ticket.send("reserve", reservation, idempotency_key=key)).reply is True


async def buy(ctx: ActivityContext, data: CartData) -> bool:
    """Run the checkout of everything in the cart; return whether it was paid."""
    order = CheckoutData(user=ctx.key, seats=list(data.tickets))
    return await ctx.run("check out", check_out, ctx.stable_id, order)


async def check_out(number: str, order: CheckoutData) -> bool:
    async with Client(RESTATE) as restate:
        return await restate.machine("CheckoutService", number).run(order) is True


async def pay(ctx: ActivityContext, data: CheckoutData) -> None:
    """Take the price, once: the provider recognises a repeated request by its key."""
    await ctx.run("pay", ask, "/payments", {"user": data.user, "amount": data.price}, key=ctx.stable_id)


async def send_tickets(ctx: ActivityContext, data: CheckoutData) -> None:
    await mail(ctx, data.user, f"Your seats: {', '.join(data.seats)}. You have paid {data.price}.")


async def send_regrets(ctx: ActivityContext, data: CheckoutData) -> None:
    await mail(ctx, data.user, f"The payment of {data.price} has failed. Your seats stay reserved for a while.")


async def mail(ctx: ActivityContext, user: str, text: str) -> None:
    await ctx.run("mail", ask, "/mails", {"to": user, "text": text}, key=ctx.stable_id)
