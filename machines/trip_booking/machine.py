"""The trip's chart. Its outside work, and how to undo it, is in `activities`."""

from __future__ import annotations

from statemachine import State, StateChart

from durable_fsm import Failure, activity, durable, undo_all
from machines.trip_booking.activities import (
    TripData,
    cancel_car,
    cancel_flight,
    charge,
    confirm,
    refund,
    reserve_car,
    reserve_flight,
)


@durable(name="BookingWorkflow", version="1", workflow=True, redact=("card_number",))
class Trip(StateChart[TripData]):
    """A flight, a car and a payment: all are booked, or the completed bookings are undone, latest first."""

    class booking(State.Compound):
        reserving_flight = State(initial=True, invoke=activity(reserve_flight, undo=cancel_flight))
        reserving_car = State(invoke=activity(reserve_car, undo=cancel_car))
        paying = State(invoke=activity(charge, undo=refund, undo_first=True))
        confirming = State(invoke=activity(confirm))

        done_invoke_reserving_flight = reserving_flight.to(reserving_car)
        done_invoke_reserving_car = reserving_car.to(paying)
        done_invoke_paying = paying.to(confirming)

    compensating = State(invoke=undo_all("booking"))
    half_undone = State()
    booked = State(final=True)
    failed = State(final=True)

    done_invoke_confirming = booking.to(booked)
    error_execution = booking.to(compensating)
    call_off = booking.to(compensating)
    done_invoke_compensating = compensating.to(failed)
    error_invoke_compensating = compensating.to(half_undone)
    try_again = half_undone.to(compensating)

    def on_done_invoke_reserving_flight(self, data: TripData, result: str) -> None:
        data.flight_number = result

    def on_done_invoke_reserving_car(self, data: TripData, result: str) -> None:
        data.car_number = result

    def on_done_invoke_paying(self, data: TripData, result: str) -> None:
        data.charge = result

    def on_error_execution(self, data: TripData, error: Failure) -> None:
        data.problem, data.code = error.message, error.code or 500

    def on_enter_booked(self, data: TripData) -> dict[str, str]:
        return {"flight": data.flight_number, "car": data.car_number, "charge": data.charge}

    def on_enter_failed(self, data: TripData) -> Failure:
        return Failure("NotBooked", data.problem, code=data.code)
