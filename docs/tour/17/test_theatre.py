from theatre import HELD, Cart, Ticket

from durable_fsm import TerminalError
from durable_fsm.testing import Rehearsal


def work(_: object) -> None: ...


def jam(_: object) -> None:
    raise TerminalError("a paper jam")


def rehearse(printer: object) -> tuple[Rehearsal, Rehearsal]:
    """The cart of Ada, and a ticket beside it."""
    ticket = Rehearsal(Ticket, key="A-1")
    wanted = {"user": "ada", "number": "r-1"}
    answers = {
        "reserving": lambda _: "r-1" if ticket.send("reserve", wanted).reply else "",
        "paying": work,
        "printing": printer,
        "refund": work,
    }
    return Rehearsal(Cart, key="ada", answers=answers, beside=ticket), ticket


def test_a_reservation_that_is_not_paid_expires() -> None:
    cart, ticket = rehearse(printer=work)
    cart.send("add", "A-1")
    ticket.advance(HELD)
    assert (cart.data.tickets, ticket.configuration) == ({}, ("available",))


def test_a_payment_is_refunded_if_the_printer_fails() -> None:
    cart, ticket = rehearse(printer=jam)
    cart.send("add", "A-1")
    assert cart.send("checkout").reply is False
    assert (cart.data.problem, ticket.configuration) == ("a paper jam", ("reserved",))
