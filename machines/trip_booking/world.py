"""The outside services of trips: an airline, a car rental and a bank.

`python -m machines.trip_booking.world` serves them. A reservation has a number. The key of a request identifies its
charge, so that a charge can be refunded even if its answer was lost. Cards that begin with 4000 are declined, and there
are no cars in Atlantis.
"""

from __future__ import annotations

from typing import Any

from machines.world import Answer, World, serve


def reserve_flight(world: World, key: str, body: dict[str, Any]) -> Answer:
    return 201, {"flight": f"flight-{world.count('/flights/reserve') + 1}"}


def reserve_car(world: World, key: str, body: dict[str, Any]) -> Answer:
    if body["pickup_location"] == "Atlantis":
        return 410, {"reason": "there are no cars in Atlantis"}
    return 201, {"car": f"car-{world.count('/cars/reserve') + 1}"}


def charge(world: World, key: str, body: dict[str, Any]) -> Answer:
    if body["card_number"].startswith("4000"):
        return 402, {"reason": "the card was declined"}
    return 201, {"charge": f"charge-{world.count('/payments/charge') + 1}"}


def done(world: World, key: str, body: dict[str, Any]) -> Answer:
    return 201, {}


if __name__ == "__main__":
    serve(
        {
            "/flights/reserve": reserve_flight,
            "/flights/confirm": done,
            "/flights/cancel": done,
            "/cars/reserve": reserve_car,
            "/cars/confirm": done,
            "/cars/cancel": done,
            "/payments/charge": charge,
            "/payments/refund": done,
        },
        __doc__,
    )
