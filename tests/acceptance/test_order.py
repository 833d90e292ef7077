"""The order lifecycle: calling an order off undoes once what was done for it, as the services outside count it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_fsm.testing import Rehearsal, RestateServer, ServiceProcess, wait_until
from machines.order import Order
from tests.acceptance.applications import Application, edges, hosted, rehearsed, serve, world
from tests.web import web

pytestmark = pytest.mark.server

PATIENCE = timedelta(seconds=60)
HOLD = 1.5
GOOD, DECLINED, CHALLENGED = "5555 1111", "4000 1111", "3000 1234"


@dataclass
class Shop(Application):
    """Orders on one server, and the services outside that count what was done for them."""

    outside: ServiceProcess

    def send(self, key: str, event: str, payload: object = None) -> Any:
        return self.server.call("Order", key, event, payload)

    def order(self, key: str, card: str = GOOD, name: str = "lamp") -> None:
        self.send(key, "add_item", {"name": name, "cents": 2100, "quantity": 2})
        self.send(key, "checkout", {"card": card, "address": "12 Harbour Street"})

    def states(self, key: str) -> list[str]:
        found: list[str] = self.server.call("Order", key, "snapshot")["configuration"]
        return found

    def wait_for(self, key: str, *states: str) -> None:
        wait_until(lambda: set(states) <= set(self.states(key)), PATIENCE, f"{key} to be {states}")

    def withhold(self, card: str) -> None:
        web.post(f"{self.outside.url}/withhold", json={"card": card}).raise_for_status()

    def counted(self, key: str) -> dict[str, Any]:
        """The effects of one order: goods reserved and released, cents charged and refunded, invoices and credit notes."""
        book = web.get(f"{self.outside.url}/ledger").json()
        aside = [one["reservation"] for one in book["reservations"] if one["order"] == key]
        charges = [one for one in book["charges"] if one["order"] == key]
        receipts = {one["receipt"] for one in charges}
        invoices = [one["invoice"] for one in book["invoices"] if one["order"] == key]
        return {
            "aside": len(aside),
            "back": sum(one in aside for one in book["releases"]),
            "charged": [one["cents"] for one in charges],
            "given back": [one["cents"] for one in book["refunds"] if one["of"] in receipts],
            "invoices": len(invoices),
            "credits": sum(one in invoices for one in book["credit_notes"]),
        }


def all_undone(*, charged: bool, invoiced: bool = False) -> dict[str, Any]:
    cents = [4200] if charged else []
    return {
        "aside": 1,
        "back": 1,
        "charged": cents,
        "given back": cents,
        "invoices": int(invoiced),
        "credits": int(invoiced),
    }


@contextmanager
def opened(server: RestateServer, place: Path) -> Iterator[Shop]:
    with world("order", place, "outside") as outside:
        env = {"OUTSIDE_URL": outside.url, "ORDER_HOLD_SECONDS": str(HOLD)}
        with serve("order", server, place, env) as served:
            yield Shop("order", served, server, outside)


shop_awake, shop_replaying, shop = hosted("shop", opened)


def test_an_order_is_fulfilled_and_paid_back_in_part_and_then_whole(shop: Shop) -> None:
    shop.order("whole")
    shop.wait_for("whole", "paid", "invoiced")
    shop.send("whole", "ship", {"tracking": "T-1"})
    shop.wait_for("whole", "fulfilled")

    assert shop.send("whole", "refund", {"cents": 1200})["reply"] == 1200
    shop.wait_for("whole", "fulfilled")
    with pytest.raises(httpx.HTTPStatusError, match="409"):
        shop.send("whole", "refund", {"cents": 3001})
    shop.send("whole", "refund", {})

    shop.wait_for("whole", "refunded")
    assert shop.counted("whole") == {
        "aside": 1,
        "back": 0,
        "charged": [4200],
        "given back": [1200, 3000],
        "invoices": 1,
        "credits": 0,
    }


def test_a_challenged_customer_is_charged_when_they_have_proved_who_they_are(shop: Shop) -> None:
    shop.order("challenged", CHALLENGED)
    shop.wait_for("challenged", "challenged")
    assert shop.counted("challenged")["charged"] == []

    shop.send("challenged", "prove", {"code": "1234"})

    shop.wait_for("challenged", "paid")
    assert shop.counted("challenged")["charged"] == [4200]


def test_an_unpaid_order_expires_and_its_goods_go_back(shop: Shop) -> None:
    shop.order("unpaid", DECLINED)
    shop.wait_for("unpaid", "expired")

    assert shop.counted("unpaid") == all_undone(charged=False)


def test_a_sold_out_item_is_not_charged(shop: Shop) -> None:
    shop.order("rare", name="unicorn")
    shop.wait_for("rare", "sold_out")

    assert shop.counted("rare")["charged"] == []


@pytest.mark.parametrize("card", [DECLINED, CHALLENGED], ids=["on hold", "challenged"])
def test_an_order_that_waits_for_its_customer_is_called_off(shop: Shop, card: str) -> None:
    key = f"waiting {card}"
    shop.order(key, card)
    shop.wait_for(key, "challenged" if card == CHALLENGED else "on_hold")

    shop.send(key, "call_off")

    shop.wait_for(key, "cancelled")
    assert shop.counted(key) == all_undone(charged=False)


def test_a_paid_order_is_called_off(shop: Shop) -> None:
    shop.order("paid")
    shop.wait_for("paid", "paid", "invoiced")

    shop.send("paid", "call_off")

    shop.wait_for("paid", "cancelled")
    assert shop.counted("paid") == all_undone(charged=True, invoiced=True)


def test_a_charge_whose_answer_is_lost_is_refunded_when_the_order_is_called_off_and_the_service_killed(
    shop_awake: Shop,
) -> None:
    card = "5555 7777"
    shop_awake.withhold(card)
    shop_awake.order("lost", card)
    wait_until(lambda: shop_awake.counted("lost")["charged"] == [4200], PATIENCE, "the bank to charge it")
    assert "charging" in shop_awake.states("lost")

    asked = shop_awake.server.send("Order", "lost", "call_off")
    shop_awake.restart()

    shop_awake.server.output(asked)
    shop_awake.wait_for("lost", "cancelled")
    assert shop_awake.counted("lost") == all_undone(charged=True)


def test_a_shipped_order_is_not_called_off_and_stays_paid(shop: Shop) -> None:
    shop.order("gone")
    shop.wait_for("gone", "paid")
    shop.send("gone", "ship", {"tracking": "T-2"})

    with pytest.raises(httpx.HTTPStatusError, match="409"):
        shop.send("gone", "call_off")

    shop.wait_for("gone", "fulfilled")
    assert shop.counted("gone")["given back"] == []


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    assert set(edges(Order)) >= {
        ("reserving", "done.invoke.reserving", ("charging",)),
        ("charging", "done.invoke.charging", ("challenged",)),
        ("charging", "done.invoke.charging", ("fulfilment",)),
        ("challenged", "prove", ("confirming",)),
        ("on_hold", "expire", ("cancelling",)),
        ("payment", "call_off", ("cancelling",)),
        ("fulfilment", "call_off", ("cancelling",)),
        ("fulfilled", "refund", ("refunding",)),
    }


def test_the_server_does_what_the_rehearsal_does(shop: Shop) -> None:
    answers = {
        "reserving": lambda _: "reservation-1",
        "charging": lambda _: {"receipt": "charge-1"},
        "invoicing": lambda _: "invoice-1",
    }
    rehearsal = Rehearsal(Order, key="told", answers=answers)
    rehearsal.send("add_item", {"name": "lamp", "cents": 2100, "quantity": 2})
    rehearsal.send("checkout", {"card": GOOD, "address": "12 Harbour Street"})
    rehearsal.send("ship", {"tracking": "T-3"})

    shop.order("told")
    shop.wait_for("told", "paid", "invoiced")
    shop.send("told", "ship", {"tracking": "T-3"})
    shop.wait_for("told", "fulfilled")

    assert shop.recorded("Order", "told") == rehearsed(rehearsal)


def test_restate_has_completed_the_requests(shop: Shop) -> None:
    shop.order("counted")
    shop.wait_for("counted", "paid")

    done = shop.server.query(
        "SELECT target_handler_name, completion_result FROM sys_invocation WHERE status = 'completed'"
        " AND target_service_name = 'Order' AND target_service_key = 'counted'"
    )
    answered = {(row["target_handler_name"], row["completion_result"]) for row in done}
    assert {("add_item", "success"), ("checkout", "success"), ("_deliver", "success")} <= answered


def test_the_commands_of_the_readme_do_what_it_says(shop: Shop) -> None:
    answers = [*shop.run_readme()]

    assert [answer.get("reply") for answer in answers[:2]] == [1200, 1200]
    assert answers[2]["data"]["address"] == "12 Harbour Street"
