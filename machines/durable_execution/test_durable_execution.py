"""Subscribing, rehearsed."""

from __future__ import annotations

import pytest

from durable_fsm.testing import Rehearsal
from machines.durable_execution.machine import Subscribe

WANTED = {"user_id": "ada", "credit_card": "5555", "subscriptions": ["news", "chess"]}


@pytest.fixture
def subscribe() -> Rehearsal:
    subscribe = Rehearsal(Subscribe)
    subscribe.create(WANTED)
    return subscribe


def test_the_payment_comes_first_then_one_subscription_after_the_other(subscribe: Rehearsal) -> None:
    subscribe.finish("paying", "payment-1")
    assert (subscribe.configuration, subscribe.data.begun) == (("subscribing",), 1)
    subscribe.finish("subscribing")
    assert (subscribe.configuration, subscribe.data.begun) == (("subscribing",), 2)
    subscribe.finish("subscribing")

    assert (subscribe.configuration, subscribe.output) == (("done",), {"payment": "payment-1", "subscriptions": 2})


def test_an_empty_list_of_subscriptions_is_paid_too() -> None:
    subscribe = Rehearsal(Subscribe)
    subscribe.create(WANTED | {"subscriptions": []})
    subscribe.finish("paying", "payment-1")

    assert subscribe.configuration == ("done",)


def test_a_declined_card_ends_the_flow_with_that_failure(subscribe: Rehearsal) -> None:
    subscribe.fail("paying", "the card was declined", code=402)

    assert subscribe.configuration == ("failed",)
    assert subscribe.failure is not None
    assert (subscribe.failure.message, subscribe.failure.code) == ("the card was declined", 402)
    assert subscribe.running == ()
