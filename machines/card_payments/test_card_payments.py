"""A card payment, rehearsed: answers at once, and later, and in the wrong order."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from durable_fsm import Failure, Incoming, Request, Response
from durable_fsm.errors import Forbidden
from durable_fsm.testing import Rehearsal
from machines.card_payments.activities import Intent
from machines.card_payments.machine import PATIENCE, CardPayment, posted

A_MOMENT = timedelta(milliseconds=1)
DECLINED = "the account is empty"


def intent(status: str, problem: str = "") -> dict[str, str]:
    return {"id": "pi_1", "status": status, "problem": problem}


def settled(status: str, problem: str = "") -> Incoming:
    """The event that the decoder makes of a webhook."""
    return Incoming("settle", intent(status, problem))


@pytest.fixture
def payment() -> Rehearsal:
    """A payment that the provider was asked for."""
    payment = Rehearsal(CardPayment, key="p-1")
    payment.create({"method": "pm_card_visa", "cents": 500})
    return payment


@pytest.fixture
def waiting(payment: Rehearsal) -> Rehearsal:
    """A payment of which the provider has said that it takes a while."""
    payment.finish("requesting", intent("processing"))
    return payment


def test_a_card_that_is_charged_at_once_ends_the_payment(payment: Rehearsal) -> None:
    payment.finish("requesting", intent("succeeded"))

    assert (payment.configuration, payment.output) == (("succeeded",), {"intent": "pi_1"})


def test_a_declined_card_ends_the_payment_with_the_reason(payment: Rehearsal) -> None:
    payment.fail("requesting", DECLINED, code=402)

    assert payment.failure == Failure("Declined", DECLINED, code=402)


def test_a_payment_that_is_too_small_is_declined_without_the_provider() -> None:
    payment = Rehearsal(CardPayment)
    payment.create({"method": "pm_card_visa", "cents": 49})

    assert (payment.configuration, payment.running) == (("declined",), ())
    assert payment.failure == Failure("Declined", "49 cents are less than 50", code=402)


@pytest.mark.parametrize(("status", "end"), [("succeeded", "succeeded"), ("requires_payment_method", "declined")])
def test_a_webhook_decides_a_payment_that_takes_a_while(waiting: Rehearsal, status: str, end: str) -> None:
    waiting.receive(settled(status, DECLINED))

    assert waiting.configuration == (end,)


@pytest.mark.parametrize("status", ["processing", "succeeded"])
def test_a_webhook_that_comes_first_is_remembered(payment: Rehearsal, status: str) -> None:
    early = payment.receive(settled("succeeded"))
    payment.finish("requesting", intent(status))

    assert (early.outcome, payment.configuration) == ("deferred", ("succeeded",))


def test_a_webhook_that_comes_again_is_ignored(waiting: Rehearsal) -> None:
    outcomes = [waiting.receive(settled("succeeded")).outcome for _ in range(2)]

    assert (outcomes, waiting.configuration) == (["taken", "ignored"], ("succeeded",))


def test_only_the_provider_settles_a_payment(waiting: Rehearsal) -> None:
    with pytest.raises(Forbidden):
        waiting.send("settle", intent("succeeded"))


def test_a_payment_that_is_called_off_is_cancelled_at_the_provider(waiting: Rehearsal) -> None:
    waiting.send("call_off")
    assert (waiting.configuration, waiting.undo) == (("cancelling",), ("requesting",))

    waiting.finish("cancelling")
    assert waiting.failure == Failure("Cancelled", "the payment was called off", code=409)


def test_a_payment_is_called_off_only_when_the_provider_has_answered(payment: Rehearsal) -> None:
    assert payment.send("call_off").outcome == "deferred"

    payment.finish("requesting", intent("processing"))
    assert payment.configuration == ("cancelling",)


def test_a_payment_that_takes_too_long_is_cancelled_at_the_provider(waiting: Rehearsal) -> None:
    waiting.advance(PATIENCE - A_MOMENT)
    assert waiting.configuration == ("awaiting_webhook",)

    waiting.advance(A_MOMENT)
    waiting.finish("cancelling")
    assert waiting.configuration == ("timed_out",)


def test_a_payment_that_the_provider_does_not_cancel_is_decided_by_its_webhook(waiting: Rehearsal) -> None:
    waiting.send("call_off")
    waiting.receive(settled("succeeded"))
    waiting.fail("cancelling", "this payment is not yours")

    assert waiting.configuration == ("succeeded",)


def event(kind: str, **metadata: str) -> Request:
    said = {"id": "pi_1", "status": "succeeded", "metadata": metadata, "last_payment_error": None}
    return Request("stripe", {}, json.dumps({"id": "evt_1", "type": kind, "data": {"object": said}}).encode())


def test_a_webhook_names_its_payment_in_the_metadata() -> None:
    paid = Intent(id="pi_1", status="succeeded")

    assert posted(event("payment_intent.succeeded", payment="p-1")) == Incoming("settle", paid, "p-1", "evt_1")
    assert posted(event("payment_intent.created", payment="p-1")) == Response({"received": True})
    with pytest.raises(KeyError, match="payment"):
        posted(event("payment_intent.succeeded"))
