"""A delivery, and an order as its customer sees it."""

from __future__ import annotations

from statemachine import State, StateChart

from durable_fsm import Effects, Ids, durable, event
from machines.food.city import REGION, Place, anywhere, duration
from machines.food.data import DeliveryData, Job, Progress, Status, StatusData


def seen(data: StatusData | None) -> dict[str, str | float | None]:
    """The status of an order, and the seconds that its delivery will still take."""
    progress = data.progress if data else None
    return {"status": data.current if data else None, "eta": progress.eta if progress else None}


@durable(
    name="order-status",
    version="1",
    index=["current"],
    handlers={"setETA": "set_eta"},
    queries={"get": seen},
    ignores=["set_status", "set_eta"],
)
class OrderStatus(StateChart[StatusData]):
    """An order as its customer sees it."""

    open = State(initial=True)
    closed = State(final=True)

    set_status = event(open.to(closed, cond="is_last") | open.to.itself(internal=True), str)
    set_eta = event(open.to.itself(internal=True), Progress)

    def is_last(self, payload: str) -> bool:
        return payload in ("DELIVERED", "REJECTED", "CANCELLED")

    def on_set_status(self, data: StatusData, payload: Status) -> None:
        if data.statuses[-1:] != [payload]:
            data.statuses.append(payload)
        data.current = payload
        if payload == "DELIVERED" and data.progress is not None:
            data.progress.eta, data.progress.driver = 0, data.progress.customer

    def on_set_eta(self, data: StatusData, payload: Progress) -> None:
        data.progress = payload


@durable(name="delivery-manager", version="1")
class Delivery(StateChart[DeliveryData]):
    """A delivery: it finds a driver, and follows the drive. A driver who cannot take it is replaced by another."""

    class under_way(State.Parallel):
        class journey(State.Compound):
            requesting_driver = State(initial=True)
            assigning = State()
            to_restaurant = State()
            to_customer = State()

        class tracking(State.Compound):
            unlocated = State(initial=True)
            located = State()

    delivered = State(final=True)

    find_driver = event(under_way.journey.requesting_driver.to(under_way.journey.assigning), str)
    accept = under_way.journey.assigning.to(under_way.journey.to_restaurant)
    error_communication = under_way.journey.assigning.to(under_way.journey.requesting_driver)
    pick_up = under_way.journey.to_restaurant.to(under_way.journey.to_customer)
    hand_over = under_way.journey.to_customer.to(delivered)
    move = event(
        under_way.tracking.unlocated.to(under_way.tracking.located)
        | under_way.tracking.located.to.itself(internal=True),
        Place,
    )

    def on_enter_under_way(self, data: DeliveryData, ids: Ids) -> None:
        data.job = Job(restaurant=anywhere(ids.random), customer=anywhere(ids.random))

    def on_enter_requesting_driver(self, effects: Effects) -> None:
        effects.send("request_driver", to=("driver-delivery-matcher", REGION))

    def on_find_driver(self, data: DeliveryData, payload: str, effects: Effects) -> None:
        data.driver = payload
        effects.send("assign_job", data.job, to=payload)

    def on_accept(self, effects: Effects) -> None:
        effects.send("select_driver", to="#_parent")

    def on_pick_up(self, data: DeliveryData, effects: Effects) -> None:
        data.loaded = True
        effects.send("reach_restaurant", to="#_parent")

    def on_move(self, data: DeliveryData, payload: Place, effects: Effects) -> None:
        assert data.job is not None
        stops = [data.job.customer] if data.loaded else [data.job.restaurant, data.job.customer]
        progress = Progress(eta=duration(payload, *stops), driver=payload, **dict(data.job))
        effects.send("set_eta", progress, to=(OrderStatus, data.order))
