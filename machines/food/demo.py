"""Order food in your browser, or watch five customers do it.

    python -m machines.food.demo [--story]

A real Restate server, a Kafka broker, the machines, the payment service, the restaurant and the pages run as separate
processes, on free ports of the loopback interface, and two drivers are on duty. The story kills the Restate server, the
restaurant and the machines' process while orders are on their way, and ends with a table.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from durable_fsm import SyncClient
from durable_fsm.errors import NotStarted
from durable_fsm.testing import wait_until
from machines.food.city import DRIVERS, TOPIC
from machines.food.data import Item, OrderData
from machines.food.delivery import OrderStatus
from machines.food.driver import Driver
from machines.food.machine import Order
from machines.food.menu import MENU
from machines.food.phone import DriverApp
from machines.stage import Stage, is_asked, keep, perform, tell

PATIENCE = timedelta(minutes=2)
CUSTOMERS = ("ada", "ben", "cem", "dora", "eve")
PACE = {"FOOD_STEP_DEGREES": "0.01", "FOOD_KITCHEN_SECONDS": "10"}
FASTER = {"FOOD_TICK_SECONDS": "0.4", "RESTAURANT_SECONDS": "3", "FOOD_KITCHEN_SECONDS": "5"}


class Shop:
    """All parts of the application, and what a customer does."""

    def __init__(self, stage: Stage, *, faster: bool) -> None:
        pace = {**PACE, **(FASTER if faster else {})}
        env = {"RESTAURANT_SECRET": "whsec_of-the-demo"} | {name: os.environ.get(name, pace[name]) for name in pace}
        self.server = stage.server
        ingress = stage.server.ingress_url
        webhook = f"{ingress}/order-workflow.webhooks/restaurant"
        self.bank = stage.outside("machines.food.bank")
        self.restaurant = stage.outside("machines.food.restaurant", "--webhook", webhook, env=env)
        broker = stage.broker()
        broker.create(TOPIC, partitions=1)
        env |= {"WORLD_URL": self.bank.url, "RESTAURANT_URL": self.restaurant.url, "RESTATE_INGRESS_URL": ingress}
        self.served = stage.serve("machines.food.service:app", {**env, "KAFKA_BROKERS": broker.bootstrap_servers})
        stage.subscribe(broker, Driver)
        self.page = stage.page("machines.food.page:app", env)
        self.client = SyncClient(ingress)
        for driver in DRIVERS:
            self.client.machine(DriverApp, driver).send(DriverApp.start)

    def order(self, customer: str, *, after: timedelta = timedelta(0), card: str = "5555 1111") -> None:
        product = MENU[CUSTOMERS.index(customer) % len(MENU)] if customer in CUSTOMERS else MENU[0]
        items = [Item(product=product.id, quantity=2, cents=product.cents)]
        wait = after // timedelta(milliseconds=1)
        data = OrderData(id=customer, customer=customer, items=items, card=card, deliveryDelay=wait)
        self.client.machine(Order, customer).submit(data)

    def statuses(self, customer: str) -> list[str]:
        try:
            return list(self.client.machine(OrderStatus, customer).snapshot().data.statuses)
        except NotStarted:
            return []

    def follow(self, status: str, *customers: str) -> None:
        """Wait until all of these orders have, or had, that status."""

        def reached() -> bool:
            return all(status in self.statuses(customer) for customer in customers)

        wait_until(reached, PATIENCE, f"{', '.join(customers)} to be {status}")

    def ledger(self, path: str, customer: str) -> list[Any]:
        done = httpx.get(f"{self.bank.url}/ledger", timeout=5).json()
        return [one for one in done if one["path"] == path and one["body"]["order"] == customer]


# ── the story ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def five_customers_order_for_later(shop: Shop) -> None:
    for customer in CUSTOMERS:
        shop.order(customer, after=timedelta(seconds=3))
    shop.follow("SCHEDULED", *CUSTOMERS)


def the_restate_server_is_killed_while_they_are_scheduled(shop: Shop) -> None:
    shop.server.kill()
    shop.server.start()


def a_card_is_declined(shop: Shop) -> None:
    shop.order("poor", card="4000 0002")
    shop.follow("REJECTED", "poor")


def a_customer_changes_their_mind_and_is_refunded(shop: Shop) -> None:
    shop.order("fay", after=timedelta(hours=1))
    shop.follow("SCHEDULED", "fay")
    shop.client.machine(Order, "fay").send(Order.call_off)
    shop.follow("CANCELLED", "fay")


def the_restaurant_is_killed_while_it_cooks(shop: Shop) -> None:
    shop.follow("IN_PREPARATION", *CUSTOMERS)
    shop.restaurant.restart().wait_ready()


def it_is_asked_again_and_the_first_meal_is_on_its_way(shop: Shop) -> None:
    wait_until(lambda: any("IN_DELIVERY" in shop.statuses(one) for one in CUSTOMERS), PATIENCE, "a meal on its way")


def the_service_is_killed_while_drivers_are_on_the_road(shop: Shop) -> None:
    shop.served.restart()


def everyone_eats(shop: Shop) -> None:
    shop.follow("DELIVERED", *CUSTOMERS)


STORY = (
    five_customers_order_for_later,
    the_restate_server_is_killed_while_they_are_scheduled,
    a_card_is_declined,
    a_customer_changes_their_mind_and_is_refunded,
    the_restaurant_is_killed_while_it_cooks,
    it_is_asked_again_and_the_first_meal_is_on_its_way,
    the_service_is_killed_while_drivers_are_on_the_road,
    everyone_eats,
)

ENDS = {**dict.fromkeys(CUSTOMERS, ("DELIVERED", 1, 0)), "poor": ("REJECTED", 0, 0), "fay": ("CANCELLED", 1, 1)}
"""How each order must end, and how many charges and refunds there must be for it."""


def told(shop: Shop, console: Console) -> int:
    """Play the story; return 0 if it ended as it must."""
    tell(STORY, shop, console)
    table = Table(title="Orders")
    for column in ("order", "ended", "charges", "refunds"):
        table.add_column(column, justify="right" if column in ("charges", "refunds") else "left")
    ends = {
        order: (shop.statuses(order)[-1], len(shop.ledger("/charges", order)), len(shop.ledger("/refunds", order)))
        for order in ENDS
    }
    for order, end in ends.items():
        table.add_row(order, *map(str, end))
    console.print(table)
    if ends != ENDS:
        console.print("The story did not end as it must.", style="red")
        return 1
    console.print("Every meal was delivered, and paid exactly once. 'make food' leaves it all running for you.")
    return 0


def main() -> int:
    story = is_asked("story", "plays the story and ends", __doc__)

    def act(stage: Stage, console: Console) -> int:
        shop = Shop(stage, faster=story)
        if story:
            return told(shop, console)
        addresses = {
            "order here": shop.page.url,
            "operations": f"{shop.page.url}/operations",
            "Restate": f"{shop.server.admin_url}/ui/",
        }
        return keep(addresses, console)

    return perform(act)


if __name__ == "__main__":
    sys.exit(main())
