"""Random small charts: nested and parallel states, guards, timers, work that is undone, exclusive work, deferred events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from durable_fsm.core.chart import (
    ROOT,
    Activity,
    Callback,
    Chart,
    EventType,
    Guard,
    Kind,
    Policies,
    State,
    Timer,
    Transition,
    Undo,
)
from durable_fsm.frontends.values import Typed


@dataclass
class Count:
    n: int = 0


def work() -> None: ...


def count(scope: Any) -> None:
    scope.data.n = min(scope.data.n + 1, 3)


def is_small(scope: Any) -> bool:
    return bool(scope.data.n < 2)


def is_even(scope: Any) -> bool:
    return bool(scope.data.n % 2 == 0)


GUARDS = (Guard("is_small", is_small), Guard("is_even", is_even), Guard("is_small", is_small, negated=True))
EVENTS = ("red", "green", "blue")


def random_chart(seed: int) -> Chart:
    """A chart that is the same for the same seed."""
    random = Random(seed)
    shape = random.choice(("flat", "nested", "parallel", "nested"))
    top = [f"s{number}" for number in range(random.randint(2, 4))]
    below: dict[str, tuple[str, ...]] = {}
    kinds = dict.fromkeys(top, Kind.ATOMIC)
    if shape == "nested":
        below[top[0]] = (f"{top[0]}a", f"{top[0]}b")
        kinds[top[0]] = Kind.COMPOUND
    if shape == "parallel":
        below[top[0]] = (f"{top[0]}l", f"{top[0]}r")
        kinds[top[0]] = Kind.PARALLEL
        for region in below[top[0]]:
            below[region] = (f"{region}1", f"{region}2")
            kinds[region] = Kind.COMPOUND
    kinds["end"] = Kind.FINAL
    order = [id for one in (*top, "end") for id in _family(one, below)]
    parents = {child: parent for parent, children in below.items() for child in children}
    activities: dict[str, Activity] = {}
    timers: dict[str, Timer] = {}
    for id in order:
        if kinds.get(id, Kind.ATOMIC) is Kind.FINAL:
            continue
        if random.random() < 0.35:
            undo = Undo("undo", work) if random.random() < 0.4 else None
            activities[id] = Activity(f"w_{id}", "work", work, exclusive=random.random() < 0.3, undo=undo)
        if random.random() < 0.3:
            timers[id] = Timer(f"t_{id}", timedelta(minutes=random.randint(1, 3)))
    states = {ROOT: State(ROOT, Kind.COMPOUND, None, children=(*top, "end"))}
    for id in order:
        states[id] = State(
            id,
            kinds.get(id, Kind.ATOMIC),
            parents.get(id, ROOT),
            children=below.get(id, ()),
            activities=(activities[id],) if id in activities else (),
            timers=(timers[id],) if id in timers else (),
            defers=("blue",) if id in top and random.random() < 0.2 else (),
        )
    return Chart(
        name=f"Random{seed}",
        states=states,
        transitions=tuple(_transitions(random, order, kinds, activities, timers)),
        events={name: EventType(name) for name in EVENTS},
        data=Typed(Count),
        policies=Policies(catch_errors=False),
    )


def _family(id: str, below: dict[str, tuple[str, ...]]) -> list[str]:
    return [id, *(one for child in below.get(id, ()) for one in _family(child, below))]


def _transitions(
    random: Random,
    order: list[str],
    kinds: dict[str, Kind],
    activities: dict[str, Activity],
    timers: dict[str, Timer],
) -> list[Transition]:
    found: list[Transition] = []

    def add(source: str, event: str) -> None:
        guards = (random.choice(GUARDS),) if random.random() < 0.3 else ()
        actions = (Callback("count", count),) if random.random() < 0.5 else ()
        target = random.choice(order)
        found.append(
            Transition(f"{source}--{event}--{len(found)}", source, (target,), (event,), guards, actions=actions)
        )

    for source in order:
        if kinds.get(source, Kind.ATOMIC) is Kind.FINAL:
            continue
        for event in EVENTS:
            if random.random() < 0.3:
                add(source, event)
        if source in activities:
            add(source, f"done.invoke.w_{source}")
            if random.random() < 0.7:
                add(source, f"error.invoke.w_{source}")
        if source in timers:
            add(source, f"t_{source}")
    return found
