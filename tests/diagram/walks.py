"""Random walks through a chart, to compare our run with that of another engine that reads one of our exports.

Guards are always true and actions do nothing: the comparison is about the chart, not about the code behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from random import Random
from typing import Any

from durable_fsm.core.chart import Callback, Chart, Guard, State, Transition
from durable_fsm.core.events import Event, Origin
from durable_fsm.core.index import matches
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.step import active_in, start, step
from durable_fsm.errors import ActionError
from tests.building import Members
from tests.diagram.random_charts import random_chart

OUTCOMES = ("done.invoke", "error.invoke")


@dataclass(frozen=True)
class Happening:
    """An event, or the timer number `place` (from 1) of `state` that is over and raises it."""

    event: str
    state: str = ""
    place: int = 0
    after_ms: int = 0


@dataclass(frozen=True)
class Walk:
    """`configurations` has one more than there are happenings: where the machine began."""

    chart: Chart
    happenings: tuple[Happening, ...]
    configurations: tuple[tuple[str, ...], ...]


def walk(chart: Chart, seed: int, steps: int) -> Walk | None:
    """A walk of at most so many steps; None if the machine would run for ever."""
    random = Random(seed)
    try:
        snapshot = start(chart, life="walk").snapshot
        found: list[Happening] = []
        seen = [active_in(chart, snapshot)]
        while len(found) < steps and snapshot.status is Status.RUNNING:
            choice = random.choice(_choices(chart, snapshot, random))
            snapshot = happen(chart, snapshot, choice)
            found.append(choice)
            seen.append(active_in(chart, snapshot))
    except ActionError:
        return None
    return Walk(chart, tuple(found), tuple(seen))


def happen(chart: Chart, snapshot: Snapshot, happening: Happening) -> Snapshot:
    """Let something happen to a machine of ours."""
    event = Event(happening.event, origin=Origin.PLATFORM, token=_token(snapshot, happening))
    return step(chart, snapshot, event).snapshot


def _token(snapshot: Snapshot, happening: Happening) -> str | None:
    """The name of a timer: that of its state, or its own name if a document sends it."""
    if not happening.state:
        return None
    name = f"timer.{happening.state}.{happening.place}.{happening.event}"
    ours = [timer for timer in snapshot.timers if (timer.state, timer.event) == (happening.state, happening.event)]
    named = [timer for timer in snapshot.timers if timer.id == name]
    return (ours or named)[0].token


def _choices(chart: Chart, snapshot: Snapshot, random: Random) -> list[Happening]:
    """The next events: mostly ones that the machine takes, sometimes others."""
    possible = list(_possible(chart, snapshot))
    active = active_in(chart, snapshot)
    taken = [choice for choice in possible if _is_taken(chart, active, choice.event)]
    return (taken if random.random() < 0.8 else possible) or possible or [Happening("nothing")]


def _possible(chart: Chart, snapshot: Snapshot) -> Iterator[Happening]:
    """Events that may be sent, also those that no transition accepts; timers of active states; outcomes that are taken."""
    active = active_in(chart, snapshot)
    for event in chart.public_events:
        yield Happening(event)
    for id in active:
        state = chart.states[id]
        for place, timer in enumerate(state.timers, 1):
            if any((armed.state, armed.event) == (id, timer.event) for armed in snapshot.timers):
                yield Happening(timer.event, id, place, timer.after // timedelta(milliseconds=1))
        for activity in state.activities:
            for kind in OUTCOMES:
                if _is_taken(chart, active, f"{kind}.{activity.id}"):
                    yield Happening(f"{kind}.{activity.id}")


def _is_taken(chart: Chart, active: tuple[str, ...], event: str) -> bool:
    edges = [edge for edge in chart.transitions if edge.source in active]
    return any(matches(descriptor, event) for edge in edges for descriptor in edge.events)


# ── charts to walk through ────────────────────────────────────────────────────────────────────────────────────────────


def bare(chart: Chart) -> Chart:
    """The chart with guards that always hold, without actions, data and payloads, and with work that takes no input."""
    return replace(
        chart,
        states={id: _bare_state(state) for id, state in chart.states.items()},
        transitions=tuple(map(_bare, chart.transitions)),
        events={name: replace(event, payload=None) for name, event in chart.events.items()},
        data=Members(),
    )


def _bare_state(state: State) -> State:
    actions: dict[str, Any] = {name: _silent(getattr(state, name)) for name in ("entry", "exit", "done")}
    work = tuple(replace(activity, input=None, each=None) for activity in state.activities)
    return replace(state, **actions, activities=work, initial=None if state.initial is None else _bare(state.initial))


def _bare(edge: Transition) -> Transition:
    guards = ((re.sub(r"\W", "_", guard.name), guard) for guard in edge.guards)  # a reader would evaluate "In('paid')"
    return replace(
        edge,
        guards=tuple(Guard(name, lambda _: True, negated=guard.negated) for name, guard in guards),
        before=_silent(edge.before),
        actions=_silent(edge.actions),
        after=_silent(edge.after),
        validators=(),
    )


def _silent(callbacks: tuple[Callback, ...]) -> tuple[Callback, ...]:
    return tuple(Callback(callback.name, lambda _: None) for callback in callbacks)


def walks(chart: Chart, *, seeds: int, steps: int) -> list[Walk]:
    """So many walks through a bare chart; none if it would run for ever."""
    taken = [walk(bare(chart), seed, steps) for seed in range(seeds)]
    return [found for found in taken if found is not None] if all(taken) else []


def random_walks(
    charts: int, *, seeds: int = 3, steps: int = 25, prepare: Callable[[Chart], Chart] = lambda chart: chart
) -> Iterator[list[Walk]]:
    """Walks through so many random charts that do not run for ever, chart by chart."""
    for seed in count():
        found = walks(prepare(random_chart(seed)), seeds=seeds, steps=steps)
        if found:
            charts -= 1
            yield found
        if charts == 0:
            return
