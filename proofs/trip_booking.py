"""What must hold of a trip: `durable-fsm explore proofs/trip_booking.py`."""

from durable_fsm.explore import always, by_itself, can_always, domain, never, sometimes
from machines.trip_booking.machine import Trip

chart = Trip
domains = [
    domain("reserving_flight", "f-1"),
    domain("reserving_car", "c-1"),
    domain("paying", "p-1"),
]
properties = [
    always("a booked trip has everything", lambda m: "booked" not in m.active or all(m.output.values())),
    never("a trip that failed keeps a charge", lambda m: "failed" in m.active and "paying" in m.undo),
    never("it fails without an end", lambda m: m.status == "failed"),
    sometimes("a trip is called off after it was paid", lambda m: "compensating" in m.active and "paying" in m.undo),
    can_always("end", lambda m: m.status == "done"),
    by_itself(
        "a booking comes to an end",
        when=lambda m: "booking" in m.active,
        then=lambda m: m.status == "done" or "half_undone" in m.active,
    ),
]
