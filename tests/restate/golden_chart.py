"""The chart of the machines in `golden.json`."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from statemachine import State, StateChart

from durable_fsm import activity, after, defer, durable, event, machine, undo_all


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class Passenger(Camel):
    full_name: str
    seat_number: int | None = None


class TripData(Camel):
    trip_number: int = 0
    all_passengers: list[Passenger] = []
    was_told: str = ""


class Seat(Camel):
    full_name: str
    seat_number: int


async def book(data: TripData) -> dict[str, str]:
    return {"bookingId": "b-1"}


async def cancel(result: dict[str, str]) -> None: ...


async def refund(data: TripData) -> None: ...


class Escort(StateChart):
    walking = State(initial=True)
    there = State(final=True)

    arrive = walking.to(there)


@durable(version="1")
class Trip(StateChart[TripData]):
    planned = State(initial=True)
    booking = State(invoke=[activity(book, undo=cancel), machine(Escort, id="escort")])
    waiting = State()
    undoing = State(invoke=undo_all("booking"))
    over = State(final=True)

    defer(booking, "take_seat")

    begin = planned.to(booking)
    done_invoke_booking = booking.to(waiting)
    error_invoke_booking = booking.to(planned)
    error_invoke_escort = booking.to(planned)
    take_seat = event(waiting.to.itself(internal=True), Seat)
    remind = after(timedelta(hours=1), waiting.to.itself(internal=True))
    give_up = waiting.to(undoing)
    done_invoke_undoing = undoing.to(over)
    error_invoke_undoing = undoing.to(over)

    def on_take_seat(self, data: TripData, payload: Seat) -> None:
        data.all_passengers.append(Passenger(fullName=payload.full_name, seatNumber=payload.seat_number))

    def on_remind(self, data: TripData) -> None:
        data.was_told = "soon"
