"""A ticket, a checkout and a cart. Their outside work is in `activities`, their data in `data`."""

from __future__ import annotations

import os
from datetime import timedelta

from statemachine import State, StateChart

from durable_fsm import Effects, Ids, Retry, activity, durable, event, ignore
from machines.tickets.activities import UNLESS_REFUSED, buy, pay, reserve, send_regrets, send_tickets
from machines.tickets.data import CartData, CheckoutData, Reservation, Seat, TicketData, Wish

HELD = timedelta(seconds=float(os.environ.get("TICKETS_HELD_SECONDS", "900")))
"""How long a seat stays reserved: 15 minutes, or TICKETS_HELD_SECONDS."""

PRICE = 40
SOON = timedelta(milliseconds=100)


@durable(name="TicketObject", version="1", handlers={"markAsSold": "sell"}, ignores=["unreserve"])
class Ticket(StateChart[TicketData]):
    """One seat: available, reserved for one user, sold for good."""

    available = State(initial=True)
    reserved = State()
    sold = State(final=True)

    ignore(sold, "reserve")

    reserve = event(
        available.to(reserved, on="hold")
        | reserved.to.itself(internal=True, cond="is_theirs", on="hold")
        | reserved.to.itself(internal=True, on="refuse"),
        Reservation,
    )
    unreserve = event(reserved.to(available, cond="is_held"), str)
    sell = event(reserved.to(sold, cond="is_held"), str)

    def is_theirs(self, data: TicketData, user: str) -> bool:
        return data.held.user == user

    def is_held(self, data: TicketData, payload: str) -> bool:
        return data.held.number == payload

    def hold(self, data: TicketData, payload: Reservation) -> bool:
        data.held = payload
        return True

    def refuse(self) -> bool:
        return False


@durable(name="CheckoutService", version="1", workflow=True)
class Checkout(StateChart[CheckoutData]):
    """Prices the seats, takes the payment, and tells the user by mail how it went."""

    pricing = State(initial=True)
    paying = State(invoke=activity(pay, retry=Retry(initial=SOON)))
    notifying = State(invoke=activity(send_tickets, retry=Retry(attempts=5, initial=SOON)))
    apologizing = State(invoke=activity(send_regrets, retry=Retry(attempts=5, initial=SOON)))
    done = State(final=True)
    unpaid = State(final=True)

    pricing.to(paying)
    done_invoke_paying = paying.to(notifying)
    error_invoke_paying = paying.to(apologizing)
    done_invoke_notifying = notifying.to(done)
    error_invoke_notifying = notifying.to(done)
    done_invoke_apologizing = apologizing.to(unpaid)
    error_invoke_apologizing = apologizing.to(unpaid)

    def on_enter_pricing(self, data: CheckoutData) -> None:
        data.price = PRICE * len(data.seats)

    def on_enter_done(self) -> bool:
        return True

    def on_enter_unpaid(self) -> bool:
        return False


@durable(name="CartObject", version="1", handlers={"addTicket": "add", "removeTicket": "remove"})
class Cart(StateChart[CartData]):
    """The seats that one user has reserved. Each has its own timer, which belongs to its reservation."""

    empty = State(initial=True)
    reserving = State(invoke=activity(reserve, input="wish", exclusive=True, retry=UNLESS_REFUSED))
    filled = State()
    checking_out = State(invoke=activity(buy, exclusive=True, retry=UNLESS_REFUSED))

    add = event(
        empty.to(reserving, on="choose")
        | filled.to.itself(internal=True, cond="has_it", on="refuse")
        | filled.to(reserving, on="choose"),
        Seat,
    )
    done_invoke_reserving = reserving.to(filled, cond="succeeded", on="keep") | reserving.to(filled, on="refuse")
    error_invoke_reserving = reserving.to(filled, on="give_up")
    remove = event(
        filled.to.itself(internal=True, cond="has_it", on="let_go")
        | filled.to.itself(internal=True, on="refuse")
        | empty.to.itself(internal=True, on="refuse"),
        Seat,
    )
    expire = event(filled.to.itself(internal=True, on="let_go"), Seat, public=False)
    filled.to(empty, cond="is_empty")
    checkout = filled.to(checking_out) | empty.to.itself(internal=True, on="refuse")
    done_invoke_checking_out = checking_out.to(empty, cond="succeeded", on="sell") | checking_out.to(
        filled, on="refuse"
    )
    error_invoke_checking_out = checking_out.to(filled, on="refuse")

    def has_it(self, data: CartData, seat: str) -> bool:
        return seat in data.tickets

    def is_empty(self, data: CartData) -> bool:
        return not data.tickets

    def succeeded(self, result: object) -> bool:
        return result is True

    def choose(self, data: CartData, seat: str, ids: Ids) -> None:
        data.wish = Wish(seat=seat, number=str(ids.uuid()))

    def keep(self, data: CartData, effects: Effects) -> bool:
        data.tickets[data.wish.seat] = data.wish.number
        effects.send("expire", {"seat": data.wish.seat}, after=HELD, id=data.wish.number)
        return True

    def give_up(self, data: CartData, effects: Effects) -> bool:
        effects.send("unreserve", data.wish.number, to=(Ticket, data.wish.seat))
        return False

    def let_go(self, data: CartData, seat: str, effects: Effects) -> bool:
        number = data.tickets.pop(seat)
        effects.cancel(number)
        effects.send("unreserve", number, to=(Ticket, seat))
        return True

    def sell(self, data: CartData, effects: Effects) -> bool:
        for seat, number in data.tickets.items():
            effects.cancel(number)
            effects.send("sell", number, to=(Ticket, seat))
        data.tickets = {}
        return True

    def refuse(self) -> bool:
        return False
