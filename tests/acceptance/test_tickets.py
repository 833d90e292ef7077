"""R27, theatre tickets: a seat is reserved for one user, and expires or is sold once, whatever is killed.

Payments and mails are counted by the services outside. A reservation lasts 15 minutes; where it shall expire, an operator
lets its timer be due now.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_fsm.testing import Rehearsal, RestateServer, wait_until
from machines.tickets.machine import HELD, Cart, Checkout, Ticket
from tests.acceptance.applications import PATIENCE, Outside, Stage, edges, hosted, rehearsed, staged

pytestmark = pytest.mark.server


@dataclass
class Theatre(Stage):
    """Carts, seats and checkouts on one server, with the payment provider and the mail server."""

    def ask(self, user: str, what: str, body: object = None, **headers: str) -> Any:
        """Send an event to a cart; returns its reply."""
        answer = self.post(f"CartObject/{user}/{what}", body, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["reply"]

    def add(self, user: str, seat: str) -> Any:
        return self.ask(user, "addTicket", {"seat": seat})

    def remove(self, user: str, seat: str) -> Any:
        return self.ask(user, "removeTicket", {"seat": seat})

    def cart(self, user: str) -> tuple[str, list[str]]:
        """The state of a cart, and its seats."""
        found = self.server.call("CartObject", user, "snapshot")
        return found["leaves"][0], list(found["data"]["tickets"])

    def timers(self, user: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.server.call("CartObject", user, "snapshot")["timers"]
        return found

    def scheduled(self, user: str) -> list[datetime]:
        """When Restate is going to deliver each timer of a cart."""
        rows = self.server.query(
            "SELECT scheduled_at, scheduled_start_at FROM sys_invocation WHERE status = 'scheduled'"  # one needs the other
            f" AND target_service_name = 'CartObject' AND target_service_key = '{user}'"
        )
        return [datetime.fromisoformat(row["scheduled_start_at"]) for row in rows]

    def send(self, user: str, what: str, body: object = None) -> str:
        """Send an event to a cart, and do not wait."""
        return self.server.send("CartObject", user, what, body)

    @contextmanager
    def busy(self, user: str) -> Iterator[None]:
        """Let a cart check out in this block, and fail after it. What it is sent meanwhile it does then, in order."""
        self.outside.trouble("/payments", status=402, reason="the card was declined")
        with self.outside.holding("/payments") as held:
            self.send(user, "checkout")
            held()
            yield

    def over(self, user: str, seat: str) -> dict[str, object]:
        """What `repair` is told, so that the time of a reservation is over right after it."""
        number = self.server.call("CartObject", user, "snapshot")["data"]["tickets"][seat]
        return {"timer": number, "after": 0.001, "reason": "the time is over"}

    def seat(self, seat: str) -> str:
        found: str = self.server.call("TicketObject", seat, "snapshot")["leaves"][0]
        return found

    def wait_seat(self, seat: str, state: str) -> None:
        """Wait for the message from a cart, which arrives a moment after the cart has answered."""
        wait_until(lambda: self.seat(seat) == state, PATIENCE, f"{seat} to be {state}")

    def payments(self, user: str) -> list[int]:
        return [one["body"]["amount"] for one in self.outside.done("/payments", user=user)]

    def mails(self, user: str) -> list[str]:
        return [one["body"]["text"] for one in self.outside.done("/mails", to=user)]


@contextmanager
def opened(server: RestateServer, place: Path) -> Iterator[Theatre]:
    with staged("tickets", server, place, {"RESTATE_INGRESS_URL": server.ingress_url}) as stage:
        yield Theatre(stage.name, stage.served, stage.server, Outside(stage.outside.process))


theatre_awake, theatre_replaying, theatre = hosted("theatre", opened)


def test_a_seat_is_reserved_for_the_user_who_comes_first(theatre: Theatre) -> None:
    assert [theatre.add(user, "A-1") for user in ("ada", "ben", "ada")] == [True, False, False]

    assert (theatre.cart("ada"), theatre.cart("ben")) == (("filled", ["A-1"]), ("empty", []))
    assert theatre.seat("A-1") == "reserved"
    assert theatre.remove("ben", "A-1") is False
    assert theatre.seat("A-1") == "reserved"


def test_a_seat_that_is_not_bought_in_time_is_available_and_no_longer_in_the_cart(theatre: Theatre) -> None:
    theatre.add("cem", "B-1")
    [due] = theatre.scheduled("cem")
    assert abs(due - datetime.now(UTC) - HELD) < timedelta(minutes=5)

    theatre.send("cem", "repair", theatre.over("cem", "B-1"))

    theatre.wait_seat("B-1", "available")
    assert theatre.cart("cem") == ("empty", [])
    assert theatre.add("dora", "B-1") is True


def test_the_timer_of_a_seat_that_was_removed_does_not_end_its_next_reservation(theatre: Theatre) -> None:
    for user, seat in (("eve", "C-1"), ("other", "C-2")):
        theatre.add(user, seat)
    [former] = theatre.timers("eve")

    with theatre.busy("eve"):
        theatre.send("eve", "repair", theatre.over("eve", "C-1"))
        changes = [theatre.send("eve", change, {"seat": "C-1"}) for change in ("removeTicket", "addTicket")]
    assert [theatre.server.output(change)["reply"] for change in changes] == [True, True]

    theatre.send("other", "repair", theatre.over("other", "C-2"))
    theatre.wait_seat("C-2", "available")
    assert (theatre.cart("eve"), theatre.seat("C-1")) == (("filled", ["C-1"]), "reserved")
    [timer] = theatre.timers("eve")
    assert timer["id"] != former["id"]
    assert len(theatre.scheduled("eve")) == 1


def test_a_seat_whose_time_is_over_during_the_checkout_is_sold(theatre: Theatre) -> None:
    theatre.add("fay", "D-1")

    with theatre.busy("fay"):
        theatre.send("fay", "repair", theatre.over("fay", "D-1"))
        checkout = theatre.send("fay", "checkout")

    assert theatre.server.output(checkout)["reply"] is True
    theatre.wait_seat("D-1", "sold")
    assert (theatre.cart("fay"), theatre.timers("fay")) == (("empty", []), [])


def test_a_checkout_sells_what_is_in_the_cart_with_one_payment_and_one_mail(theatre: Theatre) -> None:
    assert theatre.ask("gil", "checkout") is False
    for seat in ("E-1", "E-2"):
        theatre.add("gil", seat)

    assert theatre.ask("gil", "checkout") is True

    for seat in ("E-1", "E-2"):
        theatre.wait_seat(seat, "sold")
    assert (theatre.cart("gil"), theatre.timers("gil")) == (("empty", []), [])
    assert theatre.payments("gil") == [80]
    assert theatre.mails("gil") == ["Your seats: E-1, E-2. You have paid 80."]


def test_a_payment_that_fails_twice_is_made_under_one_id(theatre: Theatre) -> None:
    theatre.add("hal", "F-1")
    theatre.outside.trouble("/payments", times=2)

    assert theatre.ask("hal", "checkout") is True

    refused = [one["key"] for one in theatre.outside.refused("/payments") if one["body"]["user"] == "hal"]
    [done] = theatre.outside.done("/payments", user="hal")
    assert (refused, done["body"]["amount"]) == ([done["key"]] * 2, 40)


def test_a_declined_card_leaves_the_cart_as_it_is(theatre: Theatre) -> None:
    theatre.add("broke", "G-1")

    assert theatre.ask("broke", "checkout") is False

    assert (theatre.cart("broke"), theatre.seat("G-1")) == (("filled", ["G-1"]), "reserved")
    assert theatre.mails("broke") == ["The payment of 40 has failed. Your seats stay reserved for a while."]
    theatre.send("broke", "repair", theatre.over("broke", "G-1"))
    theatre.wait_seat("G-1", "available")


def test_a_checkout_pays_and_mails_once_although_the_service_and_restate_are_killed(theatre_awake: Theatre) -> None:
    theatre = theatre_awake
    theatre.add("ida", "H-1")
    theatre.outside.withhold("/payments")
    theatre.outside.withhold("/mails")
    with ThreadPoolExecutor() as caller:
        asked = caller.submit(theatre.ask, "ida", "checkout", idempotency_key="ida-1")
        theatre.outside.wait_done("/payments", user="ida")
        theatre.restart()
        theatre.outside.wait_done("/mails", to="ida")
        theatre.server.kill()
        theatre.server.start()
        with pytest.raises(httpx.TransportError):
            asked.result()

    assert theatre.ask("ida", "checkout", idempotency_key="ida-1") is True
    theatre.wait_seat("H-1", "sold")
    assert (theatre.cart("ida"), theatre.payments("ida"), len(theatre.mails("ida"))) == (("empty", []), [40], 1)


def test_a_repeated_checkout_gets_the_first_answer_and_pays_once(theatre: Theatre) -> None:
    theatre.add("jan", "I-1")

    assert [theatre.ask("jan", "checkout", idempotency_key="jan-1") for _ in range(2)] == [True, True]

    assert (theatre.payments("jan"), len(theatre.mails("jan"))) == ([40], 1)
    assert theatre.ask("jan", "checkout") is False


def test_a_sold_seat_is_never_reserved_again(theatre: Theatre) -> None:
    theatre.add("kim", "J-1")
    theatre.ask("kim", "checkout")
    theatre.wait_seat("J-1", "sold")
    number = theatre.server.call("TicketObject", "J-1", "snapshot")["data"]["held"]["number"]

    theatre.server.call("TicketObject", "J-1", "unreserve", number)

    assert [theatre.add(user, "J-1") for user in ("kim", "lea")] == [False, False]
    assert (theatre.seat("J-1"), theatre.cart("kim"), theatre.cart("lea")) == ("sold", ("empty", []), ("empty", []))


def test_the_charts_have_the_states_and_edges_of_the_story() -> None:
    assert set(edges(Ticket)) == {
        ("available", "reserve", ("reserved",)),
        ("reserved", "reserve", ()),
        ("reserved", "unreserve", ("available",)),
        ("reserved", "sell", ("sold",)),
    }
    assert set(edges(Cart)) >= {
        ("empty", "add", ("reserving",)),
        ("filled", "add", ("reserving",)),
        ("reserving", "done.invoke.reserving", ("filled",)),
        ("filled", "expire", ()),
        ("filled", "checkout", ("checking_out",)),
        ("checking_out", "done.invoke.checking_out", ("empty",)),
        ("checking_out", "done.invoke.checking_out", ("filled",)),
    }
    assert set(edges(Checkout)) >= {
        ("paying", "done.invoke.paying", ("notifying",)),
        ("paying", "error.invoke.paying", ("apologizing",)),
        ("notifying", "done.invoke.notifying", ("done",)),
        ("apologizing", "done.invoke.apologizing", ("unpaid",)),
    }


def test_the_server_does_what_the_rehearsal_does(theatre: Theatre) -> None:
    ticket = Rehearsal(Ticket, key="K-1")
    checkout = Rehearsal(Checkout, key="c-1", answers=dict.fromkeys(("paying", "notifying"), lambda _: None))

    def reserve(wish: dict[str, str]) -> object:
        return ticket.send("reserve", {"user": "max", "number": wish["number"]}).reply

    def buy(_: object) -> object:
        checkout.create({"user": "max", "seats": ["K-1"]})
        return checkout.output

    cart = Rehearsal(Cart, key="max", answers={"reserving": reserve, "checking_out": buy}, beside=ticket)
    for event in ("add", "remove", "add"):
        cart.send(event, {"seat": "K-1"})
    cart.send("checkout")

    theatre.add("max", "K-1")
    theatre.remove("max", "K-1")
    theatre.wait_seat("K-1", "available")
    theatre.add("max", "K-1")
    theatre.ask("max", "checkout")
    theatre.wait_seat("K-1", "sold")

    [run] = theatre.server.query(
        "SELECT target_service_key AS key FROM sys_invocation WHERE target_service_name = 'CheckoutService.workflow'"
        " AND target_handler_name = 'run' AND target_service_key LIKE '%/max/%'"
    )
    assert theatre.recorded("TicketObject", "K-1") == rehearsed(ticket)
    assert theatre.recorded("CartObject", "max") == rehearsed(cart)
    told = [step for step in theatre.recorded("CheckoutService", run["key"]) if any(step)]
    assert told == [step for step in rehearsed(checkout) if any(step)]


def test_restate_has_completed_the_requests(theatre: Theatre) -> None:
    theatre.add("ned", "L-1")
    theatre.ask("ned", "checkout")
    theatre.wait_seat("L-1", "sold")

    done = theatre.server.query(
        "SELECT target_service_name, target_handler_name, completion_result FROM sys_invocation"
        " WHERE status = 'completed' AND (target_service_key IN ('ned', 'L-1') OR target_service_key LIKE '%/ned/%')"
    )
    answered = {(row["target_service_name"], row["target_handler_name"], row["completion_result"]) for row in done}
    assert {
        ("CartObject", "addTicket", "success"),
        ("CartObject", "checkout", "success"),
        ("TicketObject", "send", "success"),
        ("CheckoutService.workflow", "run", "success"),
    } <= answered


def test_the_commands_of_the_readme_do_what_it_says(theatre: Theatre) -> None:
    instead = {"/ada/": "/page-a/", "/ben/": "/page-b/", "A-1": "P-1", "localhost:9090": theatre.outside.url}
    commands = theatre.run_readme(instead)

    assert [next(commands)["reply"] for _ in range(3)] == [True, False, True]
    assert next(commands)["reply"] is False
    done = [one for one in next(commands) if "page-a" in one["body"].values()]
    assert [(one["path"], one["body"].get("amount")) for one in done] == [("/payments", 40), ("/mails", None)]
