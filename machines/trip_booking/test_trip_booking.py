"""Booking a trip, rehearsed."""

from __future__ import annotations

import pytest

from durable_fsm.testing import Rehearsal
from machines.trip_booking.machine import Trip

WANTED = {
    "flight": {"flight_id": "LH 1", "passenger_name": "Ada"},
    "car": {"pickup_location": "Oslo", "rental_date": "2030-05-17"},
    "payment": {"card_number": "5555", "amount": 900},
}


@pytest.fixture
def trip() -> Rehearsal:
    trip = Rehearsal(Trip, key="t-1")
    trip.create(WANTED)
    trip.finish("reserving_flight", "flight-1")
    return trip


def test_flight_car_and_payment_are_booked(trip: Rehearsal) -> None:
    trip.finish("reserving_car", "car-1")
    trip.finish("paying", "charge-1")
    trip.finish("confirming")

    assert trip.configuration == ("booked",)
    assert trip.output == {"flight": "flight-1", "car": "car-1", "charge": "charge-1"}


def test_without_a_car_the_flight_is_cancelled(trip: Rehearsal) -> None:
    trip.fail("reserving_car", "there are no cars in Atlantis", code=410)
    assert (trip.configuration, trip.undo) == (("compensating",), ("reserving_flight",))
    trip.finish("compensating")

    assert trip.configuration == ("failed",)
    assert trip.failure is not None
    assert (trip.failure.message, trip.failure.code) == ("there are no cars in Atlantis", 410)


def test_a_refused_payment_is_refunded_as_well(trip: Rehearsal) -> None:
    trip.finish("reserving_car", "car-1")
    trip.fail("paying", "the card was declined", code=402)

    assert trip.undo == ("reserving_flight", "reserving_car", "paying")


def test_cancelling_waits_for_a_running_reservation_and_undoes_it_too(trip: Rehearsal) -> None:
    trip.send("call_off")
    trip.finish("reserving_car", "car-1")
    assert trip.undo == ("reserving_flight", "reserving_car")
    trip.finish("compensating")
    trip.finish("compensating")

    assert trip.failure is not None
    assert trip.failure.message == "the trip was cancelled"


def test_a_failed_undo_waits_for_a_person(trip: Rehearsal) -> None:
    trip.fail("reserving_car", "there are no cars in Atlantis")
    trip.fail("compensating", "the airline does not answer")
    assert trip.configuration == ("half_undone",)
    trip.send("try_again")
    trip.finish("compensating")

    assert trip.configuration == ("failed",)
