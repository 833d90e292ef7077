"""An unpaid invoice, rehearsed."""

from __future__ import annotations

import json

import pytest

from durable_fsm import Incoming, Request
from durable_fsm.testing import Rehearsal
from machines.reminders.machine import INTERVAL, PaymentTracker, posted

FAILED = {"customer": "ada"}


@pytest.fixture
def invoice() -> Rehearsal:
    """An overdue invoice, with the first reminder sent."""
    invoice = Rehearsal(PaymentTracker, key="inv-1")
    invoice.send("fail_payment", FAILED)
    invoice.finish("reminding")
    return invoice


def test_three_reminders_are_sent_a_day_apart_and_then_a_person_is_told(invoice: Rehearsal) -> None:
    for _ in range(2):
        invoice.advance(INTERVAL)
        invoice.finish("reminding")
    assert (invoice.data.reminders, invoice.configuration) == (3, ("overdue", "waiting"))

    invoice.advance(INTERVAL)
    invoice.finish("escalating")
    assert (invoice.data.reminders, invoice.configuration) == (3, ("escalated",))
    assert invoice.timers == {}


def test_paying_ends_the_reminders(invoice: Rehearsal) -> None:
    invoice.send("succeed", FAILED)

    assert (invoice.configuration, invoice.timers) == (("paid",), {})


def test_a_second_failure_does_not_start_a_second_round(invoice: Rehearsal) -> None:
    assert invoice.send("fail_payment", FAILED).outcome == "ignored"

    assert invoice.data.reminders == 1


def event(kind: str) -> bytes:
    return json.dumps({"id": "evt-1", "type": kind, "data": {"object": {"id": "inv-1", "customer": "ada"}}}).encode()


def test_a_post_of_the_provider_goes_to_the_machine_of_its_invoice() -> None:
    assert posted(Request("onStripeEvent", {}, event("invoice.payment_failed"))) == Incoming(
        "fail_payment", {"customer": "ada"}, key="inv-1", id="evt-1"
    )
    assert posted(Request("onStripeEvent", {}, event("customer.created"))) is None
