"""The order's chart. Its outside work is in `activities`."""

from __future__ import annotations

import os
from datetime import timedelta

from statemachine import State, StateChart

from durable_fsm import Failure, Retry, activity, after, durable, event, undo_all
from machines.order import activities as do
from machines.order.data import Charge, Checkout, Complaint, Item, OrderData, Parcel, Payment, Proof

HOLD = timedelta(seconds=float(os.environ.get("ORDER_HOLD_SECONDS", "900")))
"""How long an order waits for its customer, with the goods reserved: 15 minutes, or ORDER_HOLD_SECONDS."""

RETURNS = timedelta(days=30)
"""How long a refund is possible."""

PATIENT = Retry(attempts=8, initial=timedelta(milliseconds=200), maximum=timedelta(seconds=30))


@durable(version="2")
class Order(StateChart[OrderData]):
    """An order, from cart to door. It can be called off until it is shipped; its completed work is then undone."""

    cart = State(initial=True)

    class payment(State.Compound):
        reserving = State(initial=True, invoke=activity(do.reserve_stock, retry=PATIENT, undo=do.release_stock))
        charging = State(invoke=activity(do.charge_card, retry=PATIENT, undo=do.give_back, undo_first=True))
        challenged = State()
        confirming = State(invoke=activity(do.confirm_charge, retry=PATIENT, undo=do.give_back, undo_first=True))
        on_hold = State()

        done_invoke_reserving = reserving.to(charging)
        error_invoke_charging = charging.to(on_hold, on="note_trouble")
        prove = event(challenged.to(confirming), Proof)
        error_invoke_confirming = confirming.to(on_hold, on="note_trouble")
        give_up = after(HOLD, challenged.to(on_hold))
        pay_again = event(on_hold.to(charging), Payment)

    class fulfilment(State.Parallel):
        class goods(State.Compound):
            paid = State(initial=True)
            shipped = State(final=True)
            ship = event(paid.to(shipped), Parcel)

        class invoice(State.Compound):
            invoicing = State(initial=True, invoke=activity(do.write_invoice, undo=do.write_credit_note))
            invoiced = State(final=True)
            unbilled = State(final=True)
            done_invoke_invoicing = invoicing.to(invoiced)
            error_invoke_invoicing = invoicing.to(unbilled, on="note_trouble")

    fulfilled = State()
    refunding = State(invoke=activity(do.refund_part, retry=PATIENT))
    cancelling = State(invoke=undo_all())
    half_undone = State()
    refunded = State(final=True)
    closed = State(final=True)
    sold_out = State(final=True)
    expired = State(final=True)
    cancelled = State(final=True)
    abandoned = State(final=True)

    add_item = event(cart.to.itself(internal=True), Item)
    checkout = event(cart.to(payment, cond="has_items"), Checkout)
    abandon = cart.to(abandoned)
    error_invoke_reserving = payment.reserving.to(sold_out, on="note_trouble")
    done_invoke_charging = payment.charging.to(payment.challenged, cond="is_challenged") | payment.charging.to(
        fulfilment
    )
    done_invoke_confirming = payment.confirming.to(fulfilment)
    expire = after(HOLD, payment.on_hold.to(cancelling))
    call_off = cancelling.from_(payment) | cancelling.from_(fulfilment, cond="is_here") | half_undone.to(cancelling)
    done_invoke_cancelling = cancelling.to(expired, cond="is_unpaid") | cancelling.to(cancelled)
    error_invoke_cancelling = cancelling.to(half_undone, on="note_trouble")
    done_state_fulfilment = fulfilment.to(fulfilled)
    refund = event(fulfilled.to(refunding, cond="is_left"), Complaint)
    done_invoke_refunding = refunding.to(refunded, cond="is_all") | refunding.to(fulfilled)
    error_invoke_refunding = refunding.to(fulfilled, on="note_trouble")
    close = after(RETURNS, fulfilled.to(closed))

    def has_items(self, data: OrderData) -> bool:
        return bool(data.items)

    def is_challenged(self, result: Charge) -> bool:
        return "challenge" in result

    def is_here(self, data: OrderData) -> bool:
        return data.tracking is None

    def is_unpaid(self, data: OrderData) -> bool:
        return data.unpaid

    def is_left(self, data: OrderData, payload: Complaint) -> bool:
        return (payload.cents or 0) <= data.kept_cents

    def is_all(self, data: OrderData) -> bool:
        return data.refund_cents == data.kept_cents

    def on_add_item(self, data: OrderData, payload: Item) -> int:
        data.items.append(payload)
        return data.total_cents

    def on_checkout(self, data: OrderData, payload: Checkout) -> int:
        data.card, data.address = payload.card, payload.address
        return data.total_cents

    def on_done_invoke_charging(self, data: OrderData, result: Charge) -> None:
        data.receipt, data.challenge, data.trouble = result.get("receipt"), result.get("challenge"), None

    def on_prove(self, data: OrderData, payload: Proof) -> None:
        data.code = payload.code

    def on_done_invoke_confirming(self, data: OrderData, result: Charge) -> None:
        data.receipt, data.trouble = result.get("receipt"), None

    def on_pay_again(self, data: OrderData, payload: Payment) -> None:
        data.card = payload.card

    def on_expire(self, data: OrderData) -> None:
        data.unpaid = True

    def on_done_invoke_invoicing(self, data: OrderData, result: str) -> None:
        data.invoice = result

    def on_ship(self, data: OrderData, payload: Parcel) -> None:
        data.tracking = payload.tracking

    def on_refund(self, data: OrderData, payload: Complaint) -> int:
        data.refund_cents = payload.cents or data.kept_cents
        return data.refund_cents

    def on_done_invoke_refunding(self, data: OrderData) -> None:
        data.refunded_cents += data.refund_cents

    def note_trouble(self, data: OrderData, error: Failure) -> None:
        data.trouble = error.message
