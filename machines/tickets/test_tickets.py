"""Carts, tickets and a checkout, rehearsed beside each other on one clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeAlias

import pytest

from durable_fsm import TerminalError
from durable_fsm.testing import Rehearsal
from machines.tickets.data import CheckoutData
from machines.tickets.machine import HELD, Cart, Checkout, Ticket

SEAT = {"seat": "A-1"}
Work: TypeAlias = Callable[[CheckoutData], None]
A_MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def ticket() -> Rehearsal:
    return Rehearsal(Ticket, key="A-1")


def cart_of(user: str, ticket: Rehearsal, *, paid: bool = True) -> Rehearsal:
    def reserve(wish: dict[str, str]) -> bool:
        return ticket.send("reserve", {"user": user, "number": wish["number"]}).reply is True

    return Rehearsal(Cart, key=user, answers={"reserving": reserve, "checking_out": lambda _: paid}, beside=ticket)


def test_a_seat_is_reserved_for_one_user(ticket: Rehearsal) -> None:
    ada, ben = cart_of("ada", ticket), cart_of("ben", ticket)

    assert [cart.send("add", SEAT).reply for cart in (ada, ben, ada)] == [True, False, False]
    assert (ada.configuration, ben.configuration) == (("filled",), ("empty",))


def test_a_seat_that_is_not_bought_in_time_is_available_again(ticket: Rehearsal) -> None:
    ada, ben = cart_of("ada", ticket), cart_of("ben", ticket)
    ada.send("add", SEAT)

    ticket.advance(HELD - A_MOMENT)
    assert (ada.configuration, ticket.configuration) == (("filled",), ("reserved",))
    ticket.advance(A_MOMENT)
    assert (ada.configuration, ticket.configuration) == (("empty",), ("available",))
    assert ben.send("add", SEAT).reply is True


def test_a_seat_that_is_removed_and_added_again_is_held_for_the_whole_time(ticket: Rehearsal) -> None:
    ada = cart_of("ada", ticket)
    ada.send("add", SEAT)
    ticket.advance(HELD / 2)
    assert [ada.send("remove", SEAT).reply, ada.send("add", SEAT).reply] == [True, True]

    ticket.advance(HELD - A_MOMENT)

    assert (ada.configuration, ticket.configuration) == (("filled",), ("reserved",))
    ticket.advance(A_MOMENT)
    assert (ada.configuration, ticket.configuration) == (("empty",), ("available",))


def test_the_end_of_a_former_reservation_does_not_end_the_next_one(ticket: Rehearsal) -> None:
    for number in ("first", "second"):
        assert ticket.send("reserve", {"user": "ada", "number": number}).reply is True

    assert ticket.send("unreserve", "first").outcome == "ignored"
    assert ticket.configuration == ("reserved",)


def test_what_is_bought_is_sold_for_good(ticket: Rehearsal) -> None:
    ada, ben = cart_of("ada", ticket), cart_of("ben", ticket)
    assert ada.send("checkout").reply is False
    ada.send("add", SEAT)

    assert ada.send("checkout").reply is True
    ticket.advance(HELD)

    assert (ada.configuration, ada.data.tickets, ticket.configuration) == (("empty",), {}, ("sold",))
    assert ticket.send("unreserve", "whatever").outcome == "ignored"
    assert (ben.send("add", SEAT).reply, ben.configuration) == (False, ("empty",))


def test_a_cart_that_is_not_paid_keeps_its_seats_and_their_timers(ticket: Rehearsal) -> None:
    ada = cart_of("ada", ticket, paid=False)
    ada.send("add", SEAT)

    assert ada.send("checkout").reply is False
    assert (ada.configuration, ticket.configuration) == (("filled",), ("reserved",))
    ticket.advance(HELD)
    assert ticket.configuration == ("available",)


def test_a_seat_that_cannot_be_asked_for_is_released(ticket: Rehearsal) -> None:
    ada = Rehearsal(Cart, key="ada", beside=ticket)
    ada.send("add", SEAT)
    ticket.send("reserve", {"user": "ada", "number": ada.data.wish.number})

    ada.fail("reserving", "an operator has cancelled it")

    assert (ada.configuration, ticket.configuration) == (("empty",), ("available",))


def succeed(data: CheckoutData) -> None: ...


def fail(data: CheckoutData) -> None:
    raise TerminalError("not today")


@pytest.mark.parametrize("mail", [succeed, fail])
@pytest.mark.parametrize(("payment", "output"), [(succeed, True), (fail, False)], ids=["paid", "declined"])
def test_a_checkout_ends_as_the_payment_did_whether_the_mail_arrives_or_not(
    payment: Work, mail: Work, output: object
) -> None:
    checkout = Rehearsal(Checkout, key="c-1", answers={"paying": payment, "notifying": mail, "apologizing": mail})
    checkout.create({"user": "ada", "seats": ["A-1", "A-2"]})

    assert (checkout.data.price, checkout.output) == (80, output)
