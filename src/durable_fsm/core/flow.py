"""Whether a chart can run from its beginning to its end without anybody outside."""

from __future__ import annotations

from collections.abc import Iterator

from durable_fsm.core.chart import ROOT, Chart, Kind, State
from durable_fsm.core.check import reachable
from durable_fsm.core.step import PLATFORM_NAMES


def waiting_states(chart: Chart) -> Iterator[State]:
    """The states from which only an event from outside leads on, in document order.

    A state leads on by itself if it, or one around it, has an activity, a timer, a machine of its own, a transition
    without event, or one that takes what the machine tells itself. A region may also wait for its neighbours.
    """
    index = chart.index
    reached = reachable(chart)
    for state in chart.states.values():
        around = [chart.states[id] for id in (state.id, *index.ancestors[state.id])]
        if state.kind is not Kind.ATOMIC or state.id not in reached:
            continue
        if any(one.kind is Kind.PARALLEL for one in around) or any(_goes_on(chart, one) for one in around):
            continue
        yield state


def _goes_on(chart: Chart, state: State) -> bool:
    if state.id != ROOT and (state.activities or state.timers or state.machines):
        return True
    edges = chart.index.transitions[state.id]
    return any(not edge.events or any(_is_private(chart, event) for event in edge.events) for edge in edges)


def _is_private(chart: Chart, event: str) -> bool:
    """Whether callbacks of the machine raise it; outcomes are not counted, for they need an activity first."""
    declared = chart.events.get(event)
    return declared is not None and not declared.public and not event.startswith(PLATFORM_NAMES)
