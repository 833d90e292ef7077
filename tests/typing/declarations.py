"""Declarations, as a user's type checker sees them. Checked by pyright and mypy, never executed."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_type

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import (
    ActivityContext,
    Chart,
    EventOf,
    Retry,
    TerminalError,
    activity,
    after,
    chart_from,
    durable,
    event,
)


class Checkout(BaseModel):
    total_cents: int


class OrderData(BaseModel):
    total_cents: int = 0
    receipt: str | None = None


async def fetch(number: int) -> Checkout:
    return Checkout(total_cents=number)


def signed() -> str:
    return "x"


async def charge_card(ctx: ActivityContext, data: OrderData) -> str:
    await ctx.sleep(timedelta(seconds=1))
    assert_type(await ctx.run("fetch", fetch, data.total_cents), Checkout)
    assert_type(await ctx.run("sign", signed), str)
    assert_type(await ctx.run("count", lambda: 3), int)
    signature = ctx.callback("signature", timeout=timedelta(days=3))
    assert_type(signature.id, str)
    await signature
    if not data.total_cents:
        raise TerminalError("nothing to charge", code=400)
    return f"{ctx.stable_id}"


@durable(version="1", handlers={"checkOut": "checkout"}, cancel_timers_over=timedelta(seconds=5))
class Order(StateChart[OrderData]):
    cart = State(initial=True)
    charging = State(invoke=activity(charge_card, retry=Retry(attempts=5), deadline=timedelta(hours=1)))
    on_hold = State()
    paid = State(final=True)
    expired = State(final=True)

    checkout = event(cart.to(charging), Checkout)
    done_invoke_charging = charging.to(paid)
    error_invoke_charging = charging.to(on_hold)
    pay_again = event(on_hold.to(charging))
    expire = after(timedelta(minutes=15), on_hold.to(expired))

    def on_checkout(self, data: OrderData, payload: Checkout) -> None:
        data.total_cents = payload.total_cents


assert_type(Order.checkout, EventOf[Checkout])
assert_type(Order.pay_again, EventOf[None])
assert_type(Order.expire, EventOf[None])
assert_type(chart_from(Order), Chart)

activity(charge_card, input="total_cents", timeout=timedelta(seconds=5), retry=Retry(give_up_on=(KeyError, OSError)))
activity(charge_card, input=("total_cents", "receipt"))
activity(charge_card, input=lambda data: data.total_cents)
activity(charge_card, input=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
activity(charge_card, timeout=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
after(15, Order.on_hold.to(Order.expired))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
durable(versoin="1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
durable(version=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
durable(after_end=timedelta(1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
durable(version="2", name="Order", defers=["pay"], operators_only=["repair"], workflow=True, history=None)
