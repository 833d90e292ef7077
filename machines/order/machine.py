"""The order's chart. What it does to the outside world is in `activities`."""

from __future__ import annotations

import os
from datetime import timedelta

from statemachine import State, StateChart

from durable_fsm import Retry, activity, after, durable, event
from machines.order.activities import charge_card, refund_charge
from machines.order.data import Checkout, Item, OrderData, Parcel, Payment

HOLD = timedelta(seconds=float(os.environ.get("ORDER_HOLD_SECONDS", "900")))
"""How long an unpaid order waits for another card: 15 minutes, unless the environment says otherwise."""

PATIENT = Retry(attempts=8, initial=timedelta(milliseconds=200), maximum=timedelta(seconds=30))


@durable(version="1")
class Order(StateChart[OrderData]):
    """An order, from cart to door. A shipped order is not refunded here; that would be a return."""

    cart = State(initial=True)

    class payment(State.Compound):
        charging = State(initial=True, invoke=activity(charge_card, retry=PATIENT))
        on_hold = State()

    paid = State()
    refunding = State(invoke=activity(refund_charge, retry=PATIENT))
    shipped = State(final=True)
    refunded = State(final=True)
    expired = State(final=True)
    abandoned = State(final=True)

    add_item = event(cart.to.itself(internal=True), Item)
    checkout = event(cart.to(payment, cond="has_items"), Checkout)
    done_invoke_charging = payment.charging.to(paid)
    error_invoke_charging = payment.charging.to(payment.on_hold)
    pay_again = event(payment.on_hold.to(payment.charging), Payment)
    expire = after(HOLD, payment.on_hold.to(expired))
    ship = event(paid.to(shipped), Parcel)
    refund = paid.to(refunding)
    done_invoke_refunding = refunding.to(refunded)
    error_invoke_refunding = refunding.to(paid)
    abandon = cart.to(abandoned) | payment.on_hold.to(abandoned)

    def has_items(self, data: OrderData) -> bool:
        return bool(data.items)

    def on_add_item(self, data: OrderData, payload: Item) -> int:
        data.items.append(payload)
        return data.total_cents

    def on_checkout(self, data: OrderData, payload: Checkout) -> int:
        data.card, data.address = payload.card, payload.address
        return data.total_cents

    def on_pay_again(self, data: OrderData, payload: Payment) -> None:
        data.card = payload.card

    def on_done_invoke_charging(self, data: OrderData, result: str) -> None:
        data.receipt, data.trouble = result, None

    def on_error_invoke_charging(self, data: OrderData, error: object) -> None:
        data.trouble = getattr(error, "message", str(error))

    def on_ship(self, data: OrderData, payload: Parcel) -> None:
        data.tracking = payload.tracking
