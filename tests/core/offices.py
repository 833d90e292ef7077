"""An office whose letters are child machines: the chart of the tests of children."""

from __future__ import annotations

from datetime import timedelta

from durable_fsm.core.chart import Callback, Child, Spawn
from durable_fsm.core.effects import Outcome
from durable_fsm.core.events import Event, Origin
from durable_fsm.core.scope import NOW
from durable_fsm.core.snapshot import ChildMachine
from tests.building import Driven, action, chart, edge

SECOND = timedelta(seconds=1)
LETTER = chart("writing\nwritten final", edge("writing", "sign", "written"), name="Letter")
OFFICE = """
    closed
    open
    over final
"""


def child(id: str = "", *, autoforward: bool = False, finalize: tuple[Callback, ...] = ()) -> Child:
    return Child("letter", lambda _: Spawn(LETTER, {"log": []}, id), autoforward=autoforward, finalize=finalize)


def post(event: str, to: str, *, after: timedelta = NOW, id: str | None = None) -> Callback:
    return action(lambda scope: scope.effects.send(event, {"n": 1}, after=after, id=id, to=to), f"post {event}")


def office(*edges: object, machines: tuple[Child, ...] = (child("l1"),), **rest: object) -> Driven:
    made = chart(
        OFFICE,
        edge("closed", "unlock", "open"),
        edge("open", "lock", "closed"),
        *edges,  # type: ignore[arg-type]
        machines={"open": machines},
        **rest,  # type: ignore[arg-type]
    )
    return Driven(made)


def opened(*edges: object, **rest: object) -> tuple[Driven, ChildMachine]:
    machine = office(*edges, **rest)  # type: ignore[arg-type]
    machine.take("unlock")
    return machine, machine.snapshot.machines[0]


def hear(machine: Driven, name: str, origin: Origin = Origin.MACHINE, payload: object = None) -> Outcome:
    token = "life.2.1"
    return machine.take(Event(name, payload, origin, token=token)).outcome
