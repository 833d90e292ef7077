"""The order's story, rehearsed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from durable_fsm import chart_from
from durable_fsm.errors import EventRejected, InvalidPayload
from durable_fsm.testing import Rehearsal
from machines.order import Order
from machines.order.machine import HOLD, RETURNS

A_MOMENT = timedelta(milliseconds=1)
CHECKOUT = {"card": "5555 1111", "address": "12 Harbour Street"}


@pytest.fixture
def order() -> Rehearsal:
    """An order with two lamps in the cart."""
    order = Rehearsal(Order, key="o-1")
    order.send("add_item", {"name": "lamp", "cents": 2100, "quantity": 2})
    return order


@pytest.fixture
def charging(order: Rehearsal) -> Rehearsal:
    """Checked out, with the lamps reserved."""
    order.send("checkout", CHECKOUT)
    order.finish("reserving", "reservation-1")
    return order


@pytest.fixture
def on_hold(charging: Rehearsal) -> Rehearsal:
    charging.fail("charging", "card 5555 1111 was declined")
    return charging


@pytest.fixture
def paid(charging: Rehearsal) -> Rehearsal:
    charging.finish("charging", {"receipt": "charge-1"})
    return charging


@pytest.fixture
def fulfilled(paid: Rehearsal) -> Rehearsal:
    paid.finish("invoicing", "invoice-1")
    paid.send("ship", {"tracking": "T-1"})
    return paid


def test_adding_an_item_answers_with_the_total(order: Rehearsal) -> None:
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


def test_goods_are_reserved_before_the_card_is_charged(order: Rehearsal) -> None:
    order.send("checkout", CHECKOUT)

    assert order.configuration == ("payment", "reserving")


def test_a_sold_out_order_is_not_charged(order: Rehearsal) -> None:
    order.send("checkout", CHECKOUT)
    order.fail("reserving", "lamps are sold out")

    assert (order.configuration, order.data.trouble, order.undo) == (("sold_out",), "lamps are sold out", ())


@pytest.mark.parametrize("invoice_first", [True, False])
def test_an_order_is_fulfilled_when_it_is_shipped_and_invoiced(paid: Rehearsal, invoice_first: bool) -> None:  # noqa: FBT001
    steps = [lambda: paid.finish("invoicing", "invoice-1"), lambda: paid.send("ship", {"tracking": "T-1"})]
    for step in steps if invoice_first else reversed(steps):
        assert "fulfilment" in paid.configuration
        step()

    assert paid.configuration == ("fulfilled",)
    assert (paid.data.receipt, paid.data.invoice, paid.data.tracking) == ("charge-1", "invoice-1", "T-1")


def test_a_challenged_customer_proves_who_they_are(charging: Rehearsal) -> None:
    charging.finish("charging", {"challenge": "challenge-1"})
    challenged = charging.configuration
    charging.send("prove", {"code": "1111"})
    charging.finish("confirming", {"receipt": "charge-1"})

    assert (challenged, charging.configuration[0]) == (("payment", "challenged"), "fulfilment")


def test_a_wrong_code_or_an_unanswered_challenge_puts_the_order_on_hold(charging: Rehearsal) -> None:
    charging.finish("charging", {"challenge": "challenge-1"})
    charging.send("prove", {"code": "0000"})
    charging.fail("confirming", "the code is wrong")
    assert charging.configuration == ("payment", "on_hold")

    charging.send("pay_again", {"card": "3000 2222"})
    charging.finish("charging", {"challenge": "challenge-2"})
    charging.advance(HOLD)
    assert charging.configuration == ("payment", "on_hold")


def test_a_declined_card_puts_the_order_on_hold_and_says_why(on_hold: Rehearsal) -> None:
    assert on_hold.configuration == ("payment", "on_hold")
    assert on_hold.data.trouble == "card 5555 1111 was declined"


def test_an_order_on_hold_is_charged_again_under_another_stable_id(charging: Rehearsal) -> None:
    first = charging.stable_id("charging")
    charging.fail("charging", "declined")
    charging.send("pay_again", {"card": "5555 2222"})

    assert charging.stable_id("charging") != first
    assert charging.data.card == "5555 2222"


def test_an_unpaid_order_expires_when_its_hold_is_over_and_its_goods_go_back(on_hold: Rehearsal) -> None:
    on_hold.advance(HOLD - A_MOMENT)
    held = on_hold.configuration
    on_hold.advance(A_MOMENT)

    assert (held, on_hold.configuration) == (("payment", "on_hold"), ("cancelling",))
    assert on_hold.undo == ("reserving", "charging")
    on_hold.finish("cancelling")
    on_hold.finish("cancelling")
    assert on_hold.configuration == ("expired",)


def test_paying_again_ends_the_hold(on_hold: Rehearsal) -> None:
    on_hold.send("pay_again", {"card": "5555 2222"})

    assert on_hold.timers == {}


def test_calling_off_a_paid_order_undoes_its_work_latest_first(paid: Rehearsal) -> None:
    paid.finish("invoicing", "invoice-1")
    paid.send("call_off")

    left = [paid.undo]
    while paid.configuration == ("cancelling",):
        paid.finish("cancelling")
        left.append(paid.undo)

    assert left == [("reserving", "charging", "invoicing"), ("reserving", "charging"), ("reserving",), ()]
    assert paid.configuration == ("cancelled",)


def test_after_a_failed_undo_a_person_can_try_again(paid: Rehearsal) -> None:
    paid.finish("invoicing", "invoice-1")
    paid.send("call_off")
    paid.fail("cancelling", "the bookkeeper is gone")
    assert (paid.configuration, paid.data.trouble) == (("half_undone",), "the bookkeeper is gone")

    paid.send("call_off")
    for _ in range(3):
        paid.finish("cancelling")
    assert paid.configuration == ("cancelled",)


def test_a_shipped_order_is_not_called_off(paid: Rehearsal) -> None:
    paid.send("ship", {"tracking": "T-1"})

    with pytest.raises(EventRejected, match="Guard 'is_here' says no"):
        paid.send("call_off")


def test_refunds_are_partial_until_nothing_is_left(fulfilled: Rehearsal) -> None:
    assert fulfilled.send("refund", {"cents": 1200}).reply == 1200
    fulfilled.finish("refunding")
    assert (fulfilled.configuration, fulfilled.data.kept_cents) == (("fulfilled",), 3000)
    with pytest.raises(EventRejected, match="Guard 'is_left' says no"):
        fulfilled.send("refund", {"cents": 3001})

    assert fulfilled.send("refund", {}).reply == 3000
    fulfilled.finish("refunding")
    assert (fulfilled.configuration, fulfilled.status) == (("refunded",), "done")


def test_a_refund_that_fails_leaves_the_order_fulfilled(fulfilled: Rehearsal) -> None:
    fulfilled.send("refund", {"cents": 100})
    fulfilled.fail("refunding", "the bank is closed")

    assert (fulfilled.configuration, fulfilled.data.refunded_cents) == (("fulfilled",), 0)
    assert fulfilled.data.trouble == "the bank is closed"


def test_a_fulfilled_order_is_closed_after_thirty_days(fulfilled: Rehearsal) -> None:
    fulfilled.advance(RETURNS)

    assert fulfilled.configuration == ("closed",)


def test_the_readme_shows_the_chart_as_it_is() -> None:
    rows = [
        f"| {edge.source} | {' '.join(edge.events)} | {' '.join(guard.label for guard in edge.guards)} "
        f"| {' '.join(edge.targets) or '·'} |"
        for edge in chart_from(Order).transitions
    ]
    table = "\n".join(["| state | event | guard | target |", "|---|---|---|---|", *rows])

    assert table in (Path(__file__).parent / "README.md").read_text()
