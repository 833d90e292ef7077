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


def test_one_pays_first_and_is_then_subscribed_to_one_after_the_other(subscribe: Rehearsal) -> None:
    subscribe.finish("paying", "payment-1")
    assert (subscribe.configuration, subscribe.data.begun) == (("subscribing",), 1)
    subscribe.finish("subscribing")
    assert (subscribe.configuration, subscribe.data.begun) == (("subscribing",), 2)
    subscribe.finish("subscribing")

    assert (subscribe.configuration, subscribe.output) == (("done",), {"payment": "payment-1", "subscriptions": 2})


def test_whoever_wants_nothing_pays_all_the_same() -> None:
    subscribe = Rehearsal(Subscribe)
    subscribe.create(WANTED | {"subscriptions": []})
    subscribe.finish("paying", "payment-1")

    assert subscribe.configuration == ("done",)


def test_a_declined_card_ends_it_with_that(subscribe: Rehearsal) -> None:
    subscribe.fail("paying", "the card was declined", code=402)

    assert subscribe.configuration == ("failed",)
    assert subscribe.failure is not None
    assert (subscribe.failure.message, subscribe.failure.code) == ("the card was declined", 402)
    assert subscribe.running == ()
