"""A driver as the system knows them, and the decoder of the locations that come from Kafka."""

from __future__ import annotations

from typing import Any

from statemachine import State, StateChart

from durable_fsm import Effects, Incoming, Kafka, Record, durable, event, ignore
from machines.food.city import REGION, TOPIC, Place
from machines.food.data import DriverData, Job
from machines.food.matcher import Matcher


def located(record: Record) -> Incoming:
    """Turn a location into an event; the record's key is the driver."""
    return Incoming("locate", Place.model_validate_json(record.value).model_dump())


def job_of(data: DriverData | None) -> dict[str, Any] | None:
    """The driver's job; None if there is none."""
    return data.job.model_dump() if data and data.job else None


@durable(
    name="driver-digital-twin",
    version="1",
    handlers={"setDriverAvailable": "set_available", "assignDeliveryJob": "assign_job"},
    queries={"getAssignedDelivery": job_of},
    sources=[Kafka(TOPIC, decode=located, events=("locate",))],
)
class Driver(StateChart[DriverData]):
    """A driver, as the system knows them: what they do, and where they are."""

    class known(State.Parallel):
        class duty(State.Compound):
            idle = State(initial=True)
            waiting = State()
            delivering = State()

        class location(State.Compound):
            unlocated = State(initial=True)
            located = State()

    ignore(known.duty.waiting, "set_available")
    ignore(known.duty.delivering, "set_available")

    set_available = known.duty.idle.to(known.duty.waiting)
    assign_job = event(known.duty.waiting.to(known.duty.delivering), Job)
    pick_up = event(known.duty.delivering.to.itself(internal=True))
    hand_over = known.duty.delivering.to(known.duty.idle)
    locate = event(
        known.location.unlocated.to(known.location.located) | known.location.located.to.itself(internal=True),
        Place,
        public=False,
    )

    def on_set_available(self, effects: Effects) -> None:
        effects.send("offer_driver", to=(Matcher, REGION))

    def on_assign_job(self, data: DriverData, payload: Job, event: Any, effects: Effects) -> None:
        data.job, data.delivery = payload, event.sender
        effects.send("accept", to=data.delivery)
        if data.location is not None:
            effects.send("move", data.location, to=data.delivery)

    def on_pick_up(self, data: DriverData, effects: Effects) -> None:
        effects.send("pick_up", to=data.delivery)

    def on_hand_over(self, data: DriverData, effects: Effects) -> None:
        effects.send("hand_over", to=data.delivery)
        data.job, data.delivery = None, ""
        data.delivered += 1

    def on_locate(self, data: DriverData, payload: Place, effects: Effects) -> None:
        data.location = payload
        data.locations += 1
        if data.delivery:
            effects.send("move", payload, to=data.delivery)
