"""Orders, deliveries and drivers, rehearsed beside each other on one clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from durable_fsm import Incoming, Record
from durable_fsm.errors import EventRejected
from durable_fsm.testing import Rehearsal
from machines.food.city import REGION, STEP, TICK, Place, anywhere, distance, duration, way
from machines.food.delivery import OrderStatus
from machines.food.driver import Driver, located
from machines.food.machine import KITCHEN, Order
from machines.food.matcher import Matcher
from machines.food.phone import DriverApp

PIZZA = {"product": "margherita", "quantity": 2, "cents": 900}
READY = Incoming("finish_preparation")
TO_THE_DOOR = [
    "CREATED",
    "SCHEDULED",
    "IN_PREPARATION",
    "SCHEDULING_DELIVERY",
    "WAITING_FOR_DRIVER",
    "IN_DELIVERY",
    "DELIVERED",
]


@dataclass
class City:
    """A matcher, and what has been placed beside it."""

    matcher: Rehearsal = field(default_factory=lambda: Rehearsal(Matcher, key=REGION))
    statuses: dict[str, Rehearsal] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """The orders that the kitchen was asked to prepare."""

    def order(self, id: str = "o1", *, cooks: bool = True, **more: object) -> Rehearsal:
        """An order that is paid; unless *cooks*, the restaurant has not answered yet."""
        order = self.unpaid(id, cooks=cooks, **more)
        order.finish("charging", "receipt-1")
        return order

    def unpaid(self, id: str = "o1", *, cooks: bool = True, **more: object) -> Rehearsal:
        self.statuses[id] = Rehearsal(OrderStatus, key=id, beside=self.matcher)
        answers: dict[str, Callable[[Any], object]] = {"requesting_preparation": lambda _: self.asked.append(id)}
        order = Rehearsal(Order, key=id, beside=self.matcher, answers=answers if cooks else {})
        order.create({"id": id, "items": [PIZZA], **more})
        return order

    def driver(self, name: str = "driver-01") -> Rehearsal:
        driver = Rehearsal(Driver, key=name, beside=self.matcher)
        driver.send("set_available")
        return driver

    def told(self, id: str = "o1") -> list[str]:
        """The statuses that the customer of an order has seen."""
        statuses: list[str] = self.statuses[id].data.statuses
        return statuses


@pytest.fixture
def city() -> City:
    return City()


def drive(driver: Rehearsal, *places: Place) -> None:
    for place in places:
        driver.receive(located(Record("driver-updates", 0, 0, 0, driver.key, place.model_dump_json().encode())))


def test_an_order_goes_from_the_cart_to_the_door(city: City) -> None:
    order, driver = city.order(), city.driver()
    drive(driver, anywhere(Random(1)))
    order.receive(READY)
    job = driver.data.job
    etas: list[float] = []

    for place in way(driver.data.location, job.restaurant):
        drive(driver, place)
        etas.append(city.statuses["o1"].data.progress.eta)
    driver.send("pick_up")
    for place in way(job.restaurant, job.customer):
        drive(driver, place)
        etas.append(city.statuses["o1"].data.progress.eta)
    driver.send("hand_over")

    assert city.told() == TO_THE_DOOR
    assert etas == sorted(etas, reverse=True)
    assert etas[-1] == 0
    assert (order.leaves, order.output) == (("delivered",), {"status": "DELIVERED"})
    assert city.statuses["o1"].ask("get") == {"status": "DELIVERED", "eta": 0}
    assert (driver.leaves, driver.ask("getAssignedDelivery")) == (("idle", "located"), None)


def test_the_meal_that_is_ready_before_the_restaurant_has_answered_is_not_forgotten(city: City) -> None:
    order = city.order(cooks=False)

    assert order.receive(READY).outcome == "deferred"
    order.finish("requesting_preparation")

    assert order.leaves == ("scheduling_delivery",)
    assert order.receive(READY).outcome == "ignored"


def test_a_kitchen_that_is_not_heard_of_is_asked_again(city: City) -> None:
    order = city.order()

    order.advance(KITCHEN)

    assert city.asked == ["o1", "o1"]
    assert (order.leaves, city.told()) == (("in_preparation",), TO_THE_DOOR[:3])


def test_an_order_for_later_waits(city: City) -> None:
    order = city.order(deliveryDelay=3000)

    order.advance(timedelta(milliseconds=2999))
    assert city.told() == ["CREATED", "SCHEDULED"]
    order.advance(timedelta(milliseconds=1))
    assert city.told() == ["CREATED", "SCHEDULED", "IN_PREPARATION"]


def test_an_order_that_is_not_paid_is_rejected(city: City) -> None:
    order = city.unpaid()

    order.fail("charging", "the card was declined", code=402)

    assert (order.leaves, order.undo, city.told()) == (("rejected",), (), ["CREATED", "REJECTED"])


def test_a_scheduled_order_can_be_called_off_and_is_refunded(city: City) -> None:
    order = city.order(deliveryDelay=3000)

    order.send("call_off")
    assert (order.leaves, order.undo) == (("cancelling",), ("charging",))
    order.finish(order.running[0])

    assert (order.leaves, city.told()) == (("cancelled",), ["CREATED", "SCHEDULED", "CANCELLED"])


def test_an_order_in_the_kitchen_cannot_be_called_off(city: City) -> None:
    order = city.order()

    with pytest.raises(EventRejected, match="in_preparation"):
        order.send("call_off")


def test_an_order_that_the_kitchen_refuses_is_refunded(city: City) -> None:
    order = city.order(cooks=False)

    order.fail("requesting_preparation", "we are closed", code=409)

    assert (order.leaves, order.data.problem) == (("cancelling",), "we are closed")


def test_drivers_and_deliveries_are_matched_first_come_first_served(city: City) -> None:
    orders = [city.order(f"o{number}") for number in (1, 2, 3)]
    for order in orders[:2]:
        order.receive(READY)
    assert city.matcher.leaves == ("deliveries_waiting",)

    drivers = [city.driver(f"driver-{number}") for number in (1, 2, 3)]
    assert city.matcher.leaves == ("drivers_waiting",)
    orders[2].receive(READY)

    assert city.matcher.leaves == ("balanced",)
    assert [driver.data.delivery.split("/")[1] for driver in drivers] == ["o1", "o2", "o3"]


def test_a_driver_who_cannot_take_the_job_is_replaced(city: City) -> None:
    first, second = city.order("o1"), city.order("o2")
    busy = city.driver("busy")
    first.receive(READY)
    second.receive(READY)
    delivery = second.machines["delivery"]

    delivery.send("find_driver", "driver-digital-twin/busy")
    assert (delivery.leaves[0], second.leaves) == ("requesting_driver", ("scheduling_delivery",))
    free = city.driver("free")

    assert (free.leaves[0], delivery.leaves[0], second.leaves) == (
        "delivering",
        "to_restaurant",
        ("waiting_for_driver",),
    )
    assert busy.data.delivery.split("/")[1] == "o1"


def test_a_driver_whose_delivery_is_gone_gets_the_next_one(city: City) -> None:
    city.matcher.send("request_driver")  # of a sender that cannot be reached
    city.order().receive(READY)

    driver = city.driver()

    assert driver.data.delivery.split("/")[1] == "o1"


def test_a_driver_takes_one_job_at_a_time(city: City) -> None:
    order, driver = city.order(), city.driver()
    order.receive(READY)

    with pytest.raises(EventRejected, match="delivering"):
        driver.send("assign_job", driver.data.job)


def test_the_app_looks_for_work_drives_and_rests() -> None:
    app = Rehearsal(DriverApp, key="driver-01")
    job = {"restaurant": anywhere(Random(1)), "customer": anywhere(Random(2))}
    seen: list[str] = []
    app.send("start")

    for activity, result in (
        ("signing_on", None),
        ("looking", {"job": None}),
        ("looking", {"job": job}),
        ("to_restaurant", job["restaurant"]),
        ("to_customer", job["customer"]),
    ):
        app.finish(activity, result)
        seen += app.leaves
        app.advance(TICK)

    assert seen == ["looking", "pausing", "to_restaurant", "to_customer", "resting"]
    assert (app.data.location, app.data.job) == (job["customer"], None)
    app.advance(TICK)
    assert app.leaves == ("signing_on",)


def test_a_driver_comes_one_step_nearer_in_each_tick() -> None:
    start, end = anywhere(Random(1)), anywhere(Random(2))

    steps = list(way(start, end))

    assert steps[-1] == end
    assert len(steps) - 1 < distance(start, end) / STEP <= len(steps)
    assert duration(end, end) == 0
    assert duration(start, end, start) == pytest.approx(2 * duration(start, end), abs=0.002)
