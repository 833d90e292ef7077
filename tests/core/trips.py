"""A trip whose bookings can be undone: the chart of the tests of sagas."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from durable_fsm.core.chart import Activity, Chart, Undo
from durable_fsm.core.effects import StartActivity, Step
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.snapshot import Running
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import Json
from tests.building import Driven, action, chart, edge

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

TRIP = """
    planned
    booking
        flight
        car
        paying
    undoing
    again
    booked
    over final
    stuck
"""

EDGES = (
    edge("planned", "book", "flight"),
    edge("planned", "finish", "over"),
    edge("flight", "done.invoke.flight", "car"),
    edge("car", "done.invoke.car", "paying"),
    edge("paying", "done.invoke.paying", "booked"),
    edge("booking", "error.*", "undoing"),
    edge("booking", "cancel", "undoing"),
    edge("booking", "finish", "over"),
    edge("booked", "cancel", "undoing"),
    edge("booked", "book", "flight"),
    edge("undoing", "leave", "stuck"),
    edge(
        "undoing",
        "done.invoke.undoing",
        "planned",
        actions=[action(lambda s: s.data["log"].append(s.event.payload), "note")],
    ),
    edge(
        "undoing",
        "error.invoke.undoing",
        "stuck",
        actions=[action(lambda s: s.data["log"].append([s.event.payload.type, s.event.payload.metadata]), "note")],
    ),
    edge("stuck", "again", "undoing"),
)


def work() -> None: ...


def booking(id: str, **rest: Any) -> Activity:
    return Activity(id, f"book_{id}", work, undo=Undo(f"cancel_{id}", work), **rest)


FLIGHT, CAR = booking("flight"), booking("car")
PAY = Activity("paying", "pay", work, undo=Undo("refund", work, first=True))
UNDO = Activity("undoing", "undo_all", work, undoes="booking")


def trip(*, undoing: Activity = UNDO, paying: Activity = PAY, car: Activity = CAR, **rest: Any) -> Chart:
    activities = {"flight": [FLIGHT], "car": [car], "paying": [paying], "undoing": [undoing]}
    return chart(TRIP, *EDGES, activities=activities, **rest)


def run(machine: Driven, id: str) -> Running:
    return next(running for running in machine.snapshot.activities if running.id == id)


def arrive(machine: Driven, token: str, name: str, payload: object = None) -> Step:
    return machine.take(Event(name, payload, Origin.PLATFORM, token=token))


def succeed(machine: Driven, id: str, result: Json = None, *, token: str = "") -> Step:
    return arrive(machine, token or run(machine, id).token, f"done.invoke.{id}", result)


def fail(machine: Driven, id: str, failure: Failure | None = None, *, token: str = "") -> Step:
    return arrive(machine, token or run(machine, id).token, f"error.invoke.{id}", failure or Failure("Sold", "out"))


def started(step: Step) -> list[tuple[str, Json]]:
    """What is undone now, and what its undo is told."""
    return [
        (effect.id, effect.undo.result) for effect in step.effects if isinstance(effect, StartActivity) and effect.undo
    ]


def undoable(machine: Driven) -> list[str]:
    return [done.id for done in machine.snapshot.undo]


def with_flight_and_car(made: Chart | None = None) -> Driven:
    machine = Driven(made or trip())
    machine.take("book")
    succeed(machine, "flight", "LH1")
    succeed(machine, "car", {"id": 7})
    return machine


UNDO_LEFT = replace(UNDO, undoes="left")

HELD = replace(CAR, exclusive=True)


def turn_of(machine: Driven) -> Turn:
    return Turn(machine.chart, machine.snapshot, seed="turn")
