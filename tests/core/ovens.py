"""An oven with timers and activities: the chart of the tests of both."""

from __future__ import annotations

from datetime import timedelta

from durable_fsm.core.chart import Activity
from durable_fsm.core.effects import Step
from durable_fsm.core.events import Event, Origin
from tests.building import Driven, action, chart, edge

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

OVEN = """
    cold
    hot
        baking
        resting
    done final
"""


def work() -> None: ...


BAKE = Activity("bake", "work", work, deadline=None)
WATCHED = Activity("bake", "work", work, deadline=MINUTE)
HOLDING = Activity("hold", "work", work, exclusive=True)


def oven(*edges: object, **rest: object) -> Driven:
    begin = edge("cold", "heat", "hot")
    return Driven(chart(OVEN, begin, edge("hot", "cool", "cold"), *edges, **rest))  # type: ignore[arg-type]


def arrive(machine: Driven, token: str, name: str = "timer", payload: object = None) -> Step:
    return machine.take(Event(name, payload, Origin.PLATFORM, token=token))


def sending(
    event: str,
    payload: object = None,
    after: timedelta = MINUTE,
    id: str | None = None,
    to: tuple[str, str] | None = None,
) -> object:
    return action(lambda s: s.effects.send(event, payload, after=after, id=id, to=to), f"send {event}")


def cancelling(id: str) -> object:
    return action(lambda s: s.effects.cancel(id), f"cancel {id}")
