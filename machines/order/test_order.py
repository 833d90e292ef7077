"""The order's story, rehearsed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from durable_fsm import chart_from
from durable_fsm.errors import EventRejected, InvalidPayload
from durable_fsm.testing import Rehearsal
from machines.order import Order
from machines.order.machine import HOLD

A_MOMENT = timedelta(milliseconds=1)
CHECKOUT = {"card": "5555 1111", "address": "12 Harbour Street"}


@pytest.fixture
def order() -> Rehearsal:
    """A cart with two lamps in it."""
    order = Rehearsal(Order, key="o-1")
    order.send("add_item", {"name": "lamp", "cents": 2100, "quantity": 2})
    return order


@pytest.fixture
def on_hold(order: Rehearsal) -> Rehearsal:
    order.send("checkout", CHECKOUT)
    order.fail("charging", "card 5555 1111 was declined")
    return order


def test_an_item_is_answered_with_the_total(order: Rehearsal) -> None:
    receipt = order.send("add_item", {"name": "book", "cents": 800})

    assert (receipt.reply, receipt.configuration) == (5000, ("cart",))


def test_an_empty_cart_is_not_checked_out() -> None:
    order = Rehearsal(Order, key="o-2")
    order.create()

    with pytest.raises(EventRejected) as refused:
        order.send("checkout", CHECKOUT)

    assert str(refused.value) == (
        "Order/o-2: event 'checkout' is not accepted in state 'cart'. Guard 'has_items' says no."
        " Accepted now: 'abandon', 'add_item'."
    )


def test_an_item_that_costs_nothing_is_refused(order: Rehearsal) -> None:
    with pytest.raises(InvalidPayload, match=r"input should be greater than 0 at \$\.cents"):
        order.send("add_item", {"name": "air", "cents": 0})


def test_a_paid_order_is_shipped(order: Rehearsal) -> None:
    order.send("checkout", CHECKOUT)
    order.finish("charging", "charge-1")
    order.send("ship", {"tracking": "T-1"})

    assert (order.configuration, order.status) == (("shipped",), "done")
    assert (order.data.receipt, order.data.tracking) == ("charge-1", "T-1")


def test_a_declined_card_puts_the_order_on_hold_and_says_why(on_hold: Rehearsal) -> None:
    assert on_hold.configuration == ("payment", "on_hold")
    assert on_hold.data.trouble == "card 5555 1111 was declined"


def test_an_order_on_hold_is_charged_again_under_another_stable_id(order: Rehearsal) -> None:
    order.send("checkout", CHECKOUT)
    first = order.stable_id("charging")
    order.fail("charging", "declined")
    order.send("pay_again", {"card": "5555 2222"})

    assert order.stable_id("charging") != first
    assert order.data.card == "5555 2222"


def test_an_unpaid_order_expires_when_its_hold_is_over(on_hold: Rehearsal) -> None:
    on_hold.advance(HOLD - A_MOMENT)
    held = on_hold.configuration
    on_hold.advance(A_MOMENT)

    assert (held, on_hold.configuration) == (("payment", "on_hold"), ("expired",))


def test_paying_again_ends_the_hold(on_hold: Rehearsal) -> None:
    on_hold.send("pay_again", {"card": "5555 2222"})

    assert on_hold.timers == {}


def test_a_refund_that_fails_leaves_the_order_paid(order: Rehearsal) -> None:
    order.send("checkout", CHECKOUT)
    order.finish("charging", "charge-1")
    order.send("refund")
    order.fail("refunding", "the payment service is closed")
    assert order.configuration == ("paid",)

    order.send("refund")
    order.finish("refunding", "refund-1")
    assert order.configuration == ("refunded",)


def test_the_readme_shows_the_chart_as_it_is() -> None:
    rows = [
        f"| {edge.source} | {' '.join(edge.events)} | {' '.join(guard.label for guard in edge.guards)} "
        f"| {' '.join(edge.targets) or '·'} |"
        for edge in chart_from(Order).transitions
    ]
    table = "\n".join(["| state | event | guard | target |", "|---|---|---|---|", *rows])

    assert table in (Path(__file__).parent / "README.md").read_text()
