"""R20, food ordering: every part in a process of its own, each of which is killed while orders are on their way.

The payment service counts the charges, the restaurant the orders that it was asked to cook, and the broker the locations.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition

from durable_fsm import Incoming, chart_from
from durable_fsm.testing import KafkaBroker, RestateServer, ServiceProcess, free_port, wait_until
from machines.food.city import REGION, TOPIC
from machines.food.delivery import Delivery, OrderStatus
from machines.food.driver import Driver
from machines.food.machine import Order
from machines.food.matcher import Matcher
from machines.food.phone import DriverApp
from machines.food.test_food import PIZZA, TO_THE_DOOR, City
from tests.acceptance.applications import PATIENCE, ROOT, Outside, Stage, edges, hosted, rehearsed, serve, world
from tests.browsing import looked_at
from tests.kafka import Brokers
from tests.web import web

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.server

DRIVERS = ("driver-01", "driver-02")
TICK = 0.2
WHILE = timedelta(milliseconds=600)
PACE = {
    "FOOD_TICK_SECONDS": str(TICK),
    "FOOD_STEP_DEGREES": "0.06",
    "FOOD_KITCHEN_SECONDS": "4",
    "RESTAURANT_SECONDS": "0.1",
    "RESTAURANT_SECRET": "of-the-test",
}
Row = dict[str, Any]  # Any: JSON


@dataclass
class Town(Stage):
    """Orders and drivers on one server, the payment service, the restaurant, and the broker."""

    restaurant: ServiceProcess
    broker: KafkaBroker
    place: Path

    @contextmanager
    def drivers(self) -> Iterator[None]:
        """Two drivers are on duty in this block; it ends when both are free. It is known where they are."""
        for driver in DRIVERS:
            self.server.call("driver-mobile-app", driver, "startDriver")
        for driver in DRIVERS:  # the first records are consumed when the subscription has begun
            wait_until(partial(self.is_located, driver), PATIENCE, f"{driver} to be located")
        yield
        for driver in DRIVERS:
            wait_until(partial(self.is_free, driver), PATIENCE, f"{driver} to be free")
            self.server.call("driver-mobile-app", driver, "stopDriver")

    def is_located(self, driver: str) -> bool:
        return "located" in self.leaves("driver-digital-twin", driver)

    def is_free(self, driver: str) -> bool:
        return "delivering" not in self.leaves("driver-digital-twin", driver)

    def order(self, id: str, **more: object) -> httpx.Response:
        """Send an order, as the page does; its run is accepted, and goes on."""
        body = {"id": id, "items": [PIZZA], **more}
        return web.post(f"{self.server.ingress_url}/order-workflow.workflow/{id}/run/send", json=body)

    def snapshot(self, chart: str, key: str) -> Row:
        """A machine; empty as long as there is none."""
        answer = web.post(f"{self.server.ingress_url}/{chart}/{key}/snapshot", json=None)
        found: Row = answer.json()
        return found if answer.status_code == 200 else {}

    def statuses(self, id: str) -> list[str]:
        """All statuses that the customer of an order was told."""
        found: list[str] = self.snapshot("order-status", id).get("data", {}).get("statuses", [])
        return found

    def follow(self, *ids: str, until: str = "DELIVERED", look: Callable[[], object] = lambda: None) -> None:
        """Wait until the customers of these orders were told that status; *look* at something meanwhile."""

        def told() -> bool:
            look()
            return all(until in self.statuses(id) for id in ids)

        wait_until(told, PATIENCE, f"{ids} to be {until}: {[self.statuses(id) for id in ids]}")

    def eta(self, id: str) -> float | None:
        found: float | None = self.server.call("order-status", id, "get")["eta"]
        return found

    def leaves(self, chart: str, key: str) -> list[str]:
        found: list[str] = self.snapshot(chart, key).get("leaves", [])
        return found

    def events(self, chart: str, key: str) -> list[str]:
        """The events that a machine has taken."""
        entries: list[Row] = []
        after = 0
        while True:
            page = self.server.call(chart, key, "history", {"after": after})
            entries += page["entries"]
            if page.get("next") is None:
                return [entry["event"] for entry in entries if entry.get("outcome", "taken") == "taken"]
            after = page["next"]

    def cooked(self) -> list[Row]:
        found: list[Row] = web.get(f"{self.restaurant.url}/orders").json()
        return found

    def records(self) -> list[str]:
        """The drivers of all locations that the broker has."""
        consumer = Consumer({"bootstrap.servers": self.broker.bootstrap_servers, "group.id": "reader"})
        try:
            found: list[str] = []
            for partition in consumer.list_topics(TOPIC, timeout=60).topics[TOPIC].partitions:
                _, end = consumer.get_watermark_offsets(TopicPartition(TOPIC, partition), timeout=60)
                if end:
                    consumer.assign([TopicPartition(TOPIC, partition, 0)])
                    found += [(record.key() or b"").decode() for record in consumer.consume(end, timeout=60)]
        finally:
            consumer.close()
        return found


@contextmanager
def opened(server: RestateServer, place: Path, brokers: Brokers) -> Iterator[Town]:
    broker = brokers.of(server)
    broker.create(TOPIC, partitions=1)
    port = free_port()
    webhook = f"{server.ingress_url}/order-workflow.webhooks/restaurant"
    command = [sys.executable, "-m", "machines.food.restaurant", "--port", str(port), "--webhook", webhook]
    kitchen = ServiceProcess(command, port=port, log=place / "restaurant", cwd=ROOT, env=PACE, name="the restaurant")
    with world("food", place, "bank") as bank, kitchen as restaurant:
        env = {
            **PACE,
            "WORLD_URL": bank.url,
            "RESTAURANT_URL": restaurant.url,
            "RESTATE_INGRESS_URL": server.ingress_url,
            "KAFKA_BROKERS": broker.bootstrap_servers,
        }
        with serve("food", server, place, env) as served, broker.subscribed(server, Driver):
            yield Town("food", served, server, Outside(bank), restaurant, broker, place)


town_awake, town_replaying, town = hosted("town", opened, "brokers")


# ── an order ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_is_told_each_status_in_order_while_its_eta_falls_to_nothing(town: Town) -> None:
    etas: list[float] = []

    def look() -> None:
        eta = town.eta("o1")
        etas.extend([] if eta is None or eta in etas[-1:] else [eta])

    with town.drivers():
        accepted = town.order("o1", deliveryDelay=0)
        again = town.order("o1", deliveryDelay=0)
        town.follow("o1", look=look)
        look()

    assert (accepted.status_code, accepted.json()["status"]) == (202, "Accepted")
    assert again.json() == {**accepted.json(), "status": "PreviouslyAccepted"}
    assert town.statuses("o1") == TO_THE_DOOR
    assert len(etas) > 1
    assert etas[-1] == 0
    assert all(after < before + TICK for before, after in pairwise(etas)), "a location may come after the meal"
    output = web.get(f"{town.server.ingress_url}/restate/workflow/order-workflow.workflow/o1/attach")
    assert output.json() == {"status": "DELIVERED"}
    assert len(town.outside.done("/charges", order="o1")) == 1

    def counted() -> list[int]:
        return [town.snapshot("driver-digital-twin", driver)["data"]["locations"] for driver in DRIVERS]

    wait_until(lambda: sum(counted()) == len(town.records()), PATIENCE, "all locations to be consumed")
    assert counted() == [town.records().count(driver) for driver in DRIVERS]


def test_an_order_for_later_waits(town: Town) -> None:
    began = time.monotonic()
    with town.drivers():
        town.order("later", deliveryDelay=WHILE // timedelta(milliseconds=1))
        town.follow("later", until="IN_PREPARATION")
        waited = timedelta(seconds=time.monotonic() - began)
        town.follow("later")

    assert waited >= WHILE


def test_an_order_that_is_not_paid_is_rejected_and_nobody_cooks(town: Town) -> None:
    town.order("poor", card="4000 0002")
    town.follow("poor", until="REJECTED")

    assert town.statuses("poor") == ["CREATED", "REJECTED"]
    assert "poor" not in [ticket["order"] for ticket in town.cooked()]


def test_an_order_that_is_called_off_in_time_is_refunded(town: Town) -> None:
    town.order("regret", deliveryDelay=3_600_000)
    town.follow("regret", until="SCHEDULED")

    town.server.call("order-workflow", "regret", "call_off")
    town.follow("regret", until="CANCELLED")

    assert town.statuses("regret") == ["CREATED", "SCHEDULED", "CANCELLED"]
    [charge], [refund] = town.outside.done("/charges", order="regret"), town.outside.done("/refunds", order="regret")
    assert refund["body"]["receipt"] == charge["answer"]["receipt"]
    assert "regret" not in [ticket["order"] for ticket in town.cooked()]


def test_an_order_that_the_restaurant_refuses_is_refunded(town: Town) -> None:
    town.order("sushi", items=[{"product": "sushi", "cents": 1}])
    town.follow("sushi", until="CANCELLED")

    assert town.snapshot("order-workflow", "sushi")["data"]["problem"] == "not on the menu: sushi"
    assert len(town.outside.done("/refunds", order="sushi")) == 1


# ── crashes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Queue:
    """The deliveries that wait for a driver, as they were seen again and again."""

    seen: list[list[str]] = field(default_factory=list)

    def look(self, town: Town) -> None:
        waiting = town.snapshot("driver-delivery-matcher", REGION).get("data", {}).get("deliveries", [])
        self.seen.append([address.split("/")[1] for address in waiting])

    def overtaken(self) -> list[tuple[list[str], list[str]]]:
        """Where one left the queue that was not the first, or did not join it at its end."""
        found: list[tuple[list[str], list[str]]] = []
        for before, after in pairwise(self.seen):
            stayed = [order for order in after if order in before]
            if after[: len(stayed)] != stayed or before[len(before) - len(stayed) :] != stayed:
                found.append((before, after))
        return found


def test_five_orders_and_two_drivers_survive_the_death_of_every_part(town_awake: Town) -> None:
    town, queue = town_awake, Queue()
    orders = [f"five {number}" for number in range(1, 6)]

    def in_delivery() -> bool:
        queue.look(town)
        return any(town.statuses(order)[-1] == "IN_DELIVERY" for order in orders)

    town.restaurant.restart(env={"RESTAURANT_SECONDS": "60"}).wait_ready()
    for order in orders:
        town.order(order, deliveryDelay=2500)
    town.follow(*orders, until="SCHEDULED")
    assert "SCHEDULED" in {town.statuses(order)[-1] for order in orders}
    town.server.kill()
    town.server.start()

    town.follow(*orders, until="IN_PREPARATION")
    assert {ticket["order"]: ticket["told"] for ticket in town.cooked()} == dict.fromkeys(orders, 0)
    town.restaurant.kill()
    town.restaurant.restart(env={"RESTAURANT_SECONDS": "0.1"}).wait_ready()

    with town.drivers():
        wait_until(in_delivery, PATIENCE, "an order to be IN_DELIVERY")
        town.restart()
        town.follow(*orders, look=lambda: queue.look(town))

    assert [town.statuses(order) for order in orders] == [TO_THE_DOOR] * 5
    assert [len(town.outside.done("/charges", order=order)) for order in orders] == [1] * 5
    assert {ticket["order"] for ticket in town.cooked()} == set(orders)
    assert max(map(len, queue.seen)) > 1, "some had to wait"
    assert queue.overtaken() == []
    for driver in DRIVERS:
        jobs = [event for event in town.events("driver-digital-twin", driver) if event in ("assign_job", "hand_over")]
        assert jobs == ["assign_job", "hand_over"] * (len(jobs) // 2), "one job at a time"


# ── the pages ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def shop(town_awake: Town) -> Iterator[str]:
    """The address of the pages."""
    env = {**PACE, "RESTATE_INGRESS_URL": town_awake.server.ingress_url}
    log = town_awake.place / "page"
    app = "machines.food.page:app"
    with ServiceProcess.serving(app, log=log, app_dir=ROOT, env=env, fork=True, by="uvicorn") as served:
        yield served.url


def test_a_customer_buys_and_follows_the_order_to_the_door(town_awake: Town, shop: str, page: Page) -> None:
    page.goto(shop)
    page.get_by_role("button", name="Add Margherita").click()
    page.get_by_role("button", name="Add Tiramisù").click()
    page.get_by_role("button", name="One Margherita more").press("Enter")
    assert looked_at(page, "food-menu") == []

    page.get_by_label("Your name").fill("Ada <Lovelace>")
    with town_awake.drivers():
        page.get_by_role("button", name="Order for €23.60").click()
        page.wait_for_url("**/orders/*")
        seen = watched(page, "#headline")
        page.locator(".map .driver").wait_for()
        assert looked_at(page, "food-order") == []
        page.get_by_role("heading", name="Delivered").wait_for()

    order = page.url.rpartition("/")[2]
    headlines = seen()
    assert town_awake.statuses(order) == TO_THE_DOOR
    assert any("to go" in headline for headline in headlines), headlines
    assert headlines[-1] == "Delivered. Enjoy your meal!"
    assert page.locator(".steps .done").count() == 7
    assert page.get_by_text("Ada <Lovelace>’s order").is_visible()
    assert len(town_awake.outside.done("/charges", order=order)) == 1
    assert town_awake.outside.done("/charges", order=order)[0]["body"]["cents"] == 2360


def watched(page: Page, selector: str) -> Callable[[], list[str]]:
    """Note all texts of an element from now on; gives a function that returns them."""
    page.evaluate(
        """selector => {
          const read = () => document.querySelector(selector).textContent.trim()
          window.texts = [read()]
          new MutationObserver(() => window.texts.at(-1) === read() || window.texts.push(read()))
            .observe(document.body, {subtree: true, childList: true, characterData: true})
        }""",
        selector,
    )
    return lambda: list(page.evaluate("window.texts"))


def test_operations_see_the_order_in_the_state_that_it_is_in(town_awake: Town, shop: str, page: Page) -> None:
    town_awake.order("shown", deliveryDelay=3_600_000)
    town_awake.follow("shown", until="SCHEDULED")

    page.goto(f"{shop}/operations")
    page.get_by_role("link", name="shown").click()
    page.locator(".is-active[data-state=scheduled]").wait_for()
    assert looked_at(page, "food-operations") == []
    page.goto(f"{shop}/orders/shown")
    page.get_by_role("button", name="Cancel this order").click()
    page.get_by_role("heading", name="Your order was cancelled, and refunded").wait_for()

    page.goto(f"{shop}/operations/shown")
    page.locator(".is-active[data-state=cancelled]").wait_for()
    assert len(town_awake.outside.done("/refunds", order="shown")) == 1
    assert web.get(f"{shop}/orders/none").status_code == web.get(f"{shop}/operations/none").status_code == 404


# ── the charts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_chart_of_an_order_has_the_states_and_edges_of_the_story() -> None:
    assert set(edges(Order)) == {
        ("charging", "done.invoke.charging", ("scheduled",)),
        ("charging", "error.invoke.charging", ("rejected",)),
        ("charging", "call_off", ("cancelling",)),
        ("scheduled", "wake_kitchen", ("requesting_preparation",)),
        ("scheduled", "call_off", ("cancelling",)),
        ("requesting_preparation", "done.invoke.requesting_preparation", ("in_preparation",)),
        ("requesting_preparation", "error.invoke.requesting_preparation", ("cancelling",)),
        ("in_preparation", "ask_again", ("requesting_preparation",)),
        ("in_preparation", "finish_preparation", ("delivering",)),
        ("scheduling_delivery", "select_driver", ("waiting_for_driver",)),
        ("waiting_for_driver", "reach_restaurant", ("in_delivery",)),
        ("delivering", "done.invoke.delivery", ("delivered",)),
        ("delivering", "error.invoke.delivery", ("delivering",)),
        ("cancelling", "done.invoke.cancelling", ("cancelled",)),
        ("cancelling", "error.invoke.cancelling", ("unrefunded",)),
        ("unrefunded", "call_off", ("cancelling",)),
    }
    assert chart_from(Order).states["created"].parent == "active"


def test_the_other_charts_have_the_states_of_the_story() -> None:
    leaves = {
        definition: {state.id for state in chart_from(definition).states.values() if not state.children}
        for definition in (Delivery, Driver, Matcher, DriverApp)
    }

    assert leaves == {
        Delivery: {
            *("requesting_driver", "assigning", "to_restaurant", "to_customer", "delivered"),
            *("unlocated", "located"),
        },
        Driver: {"idle", "waiting", "delivering", "unlocated", "located"},
        Matcher: {"balanced", "drivers_waiting", "deliveries_waiting"},
        DriverApp: {"off", "signing_on", "looking", "pausing", "to_restaurant", "to_customer", "resting"},
    }


def test_the_server_does_what_the_rehearsal_does(town: Town) -> None:
    city = City()
    rehearsal, driver = city.order("told"), city.driver()
    rehearsal.receive(Incoming("finish_preparation"))
    driver.send("pick_up")
    driver.send("hand_over")

    with town.drivers():
        town.order("told")
        town.follow("told")

    assert town.recorded("order-workflow", "told") == rehearsed(rehearsal)


def test_restate_has_completed_the_invocations_of_every_part(town: Town) -> None:
    with town.drivers():
        town.order("counted")
        town.follow("counted")

    done = town.server.query(
        "SELECT DISTINCT target_service_name AS service FROM sys_invocation"
        " WHERE status = 'completed' AND completion_result = 'success'"
    )
    taken = town.server.query(
        "SELECT target_service_name AS service FROM sys_invocation WHERE invoked_by = 'subscription'"
    )
    names = {chart_from(chart).name for chart in (Order, OrderStatus, Delivery, Matcher, Driver, DriverApp)}
    assert {*names, "order-workflow.workflow"} <= {row["service"] for row in done}
    assert {"service": "driver-digital-twin"} in taken


def test_the_commands_of_the_readme_do_what_it_says(town: Town) -> None:
    here = {"localhost:9090": town.outside.url, "localhost:5050": town.restaurant.url}
    commands = town.run_readme({name: url.removeprefix("http://") for name, url in here.items()})
    with town.drivers():
        start, run, output, status, snapshot, cooked, ledger = commands

    assert (start["outcome"], run["status"]) == ("ignored", "Accepted")
    assert output == {"status": "DELIVERED"}
    assert status == {"status": "DELIVERED", "eta": 0}
    assert snapshot["data"]["statuses"] == TO_THE_DOOR
    assert [ticket["order"] for ticket in cooked].count("o-1") == 1
    assert [done["path"] for done in ledger if done["body"]["order"] == "o-1"] == ["/charges"]
