"""Suspicious charts: they can run, but probably do not do what their author wants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from durable_fsm.core.chart import ROOT, Chart, Kind, State, Transition
from durable_fsm.core.events import PLATFORM_NAMES
from durable_fsm.core.index import matches
from durable_fsm.core.program import index_of
from durable_fsm.core.values import Location


@dataclass(frozen=True, slots=True)
class ChartFinding:
    """One suspicion: its kind, what it is about, what to do, and where that was written."""

    kind: str
    what: str
    remedy: str
    location: Location | None = None
    state: str = ""


def findings(chart: Chart) -> list[ChartFinding]:
    """Everything suspicious, in document order of its kind.

    `unreachable` states that nothing leads to; `dead-end` states that are not final and that nothing leaves;
    `left-final` states that are final and yet left; `shadowed` transitions, which an earlier one of the same state always forestalls; `unhandled` activities, whose
    failure no transition handles.
    """
    return [*_unreachable(chart), *_dead_ends(chart), *_left_after_end(chart), *_shadowed(chart), *_unhandled(chart)]


def _unreachable(chart: Chart) -> Iterator[ChartFinding]:
    reached = reachable(chart)
    for state in chart.states.values():
        if state.id not in reached and not state.kind.is_history and state.parent in reached:
            what = f"no transition leads to state '{state.id}'."
            yield ChartFinding("unreachable", what, "Add one, or remove the state.", state.location)


def reachable(chart: Chart) -> set[str]:
    """The states that may become active if every guard says yes."""
    index = index_of(chart)
    reached: set[str] = set()
    pending = [ROOT]
    while pending:
        id = pending.pop()
        if id in reached:
            continue
        reached.add(id)
        state = chart.states[id]
        pending += index.ancestors[id]
        if state.kind is Kind.PARALLEL:
            pending += index.regions[id]
        if state.kind is Kind.COMPOUND or state.kind.is_history:
            pending += index.initial[id].targets
        pending += [target for edge in index.transitions[id] for target in edge.targets]
    return reached


def _dead_ends(chart: Chart) -> Iterator[ChartFinding]:
    """Leaves that neither they themselves nor anything around them can leave, in charts that have an end to reach."""
    if not any(state.kind is Kind.FINAL for state in chart.states.values()):
        return
    for state in chart.states.values():
        around = (state.id, *index_of(chart).ancestors[state.id])
        leaves = any(edge.targets for id in around for edge in index_of(chart).transitions[id])
        if state.kind is Kind.ATOMIC and not leaves and not _beside_others(chart, state):
            what = f"nothing leaves state '{state.id}', and it is not final."
            yield ChartFinding("dead-end", what, "Add a transition, or declare it final.", state.location, state.id)


def _left_after_end(chart: Chart) -> Iterator[ChartFinding]:
    """Transitions out of final states: the state around one has ended, and has said so, when it is entered."""
    for edge in chart.transitions:
        if chart.states[edge.source].kind is Kind.FINAL:
            events = f" on '{' '.join(edge.events)}'" if edge.events else ""
            what = f"state '{edge.source}' is final, and a transition{events} leaves it."
            yield ChartFinding(
                "left-final", what, "Remove the transition, or let the state not be final.", edge.location
            )


def _beside_others(chart: Chart, state: State) -> bool:
    """Whether it lies in a region: the other regions may continue."""
    return any(chart.states[id].kind is Kind.PARALLEL for id in index_of(chart).ancestors[state.id])


def _shadowed(chart: Chart) -> Iterator[ChartFinding]:
    for edges in index_of(chart).transitions.values():
        for place, edge in enumerate(edges):
            earlier = next((other for other in edges[:place] if _forestalls(other, edge)), None)
            if earlier is not None:
                events = f"on '{' '.join(edge.events)}' " if edge.events else ""
                what = f"the transition {events}from '{edge.source}' to {_targets(edge)} never fires: one before it"
                what += f" to {_targets(earlier)} always is."
                yield ChartFinding("shadowed", what, "Give the first a guard, or remove one.", edge.location)


def _forestalls(earlier: Transition, later: Transition) -> bool:
    if earlier.guards or earlier.validators:
        return False
    if not earlier.events or not later.events:
        return not earlier.events and not later.events
    return all(any(matches(descriptor, event) for descriptor in earlier.events) for event in later.events)


def _targets(edge: Transition) -> str:
    return ", ".join(f"'{target}'" for target in edge.targets) or "nowhere"


def _unhandled(chart: Chart) -> Iterator[ChartFinding]:
    for state in chart.states.values():
        for activity in state.activities:
            error = f"error.invoke.{activity.id}"
            around = (state.id, *index_of(chart).ancestors[state.id], *_below(chart, state))
            if not any(
                _takes(edge, (error, "error.execution")) for id in around for edge in index_of(chart).transitions[id]
            ):
                what = f"no transition handles the failure of activity '{activity.id}': the machine would fail with it."
                remedy = f"Add error_invoke_{activity.id}, or error_execution for all."
                yield ChartFinding("unhandled", what, remedy, activity.location)
        for child in state.machines:
            error = f"error.invoke.{child.id}"
            around = (state.id, *index_of(chart).ancestors[state.id], *_below(chart, state))
            if child.id and not any(
                _takes(edge, (error, "error.execution")) for id in around for edge in index_of(chart).transitions[id]
            ):
                what = f"no transition handles the failure of machine '{child.id}': this one would fail with it."
                remedy = f"Add error_invoke_{child.id}, or error_execution for all."
                yield ChartFinding("unhandled", what, remedy, child.location)


def _takes(edge: Transition, events: Iterable[str]) -> bool:
    return any(matches(descriptor, event) for descriptor in edge.events for event in events)


def _below(chart: Chart, state: State) -> Iterator[str]:
    for child in state.children:
        yield child
        yield from _below(chart, chart.states[child])


# ── charts that wait for events ─────────────────────────────────────────────────────────────────────────────────────


def waiting_states(chart: Chart) -> Iterator[State]:
    """The states from which only an event from outside leads on, in document order.

    A state leads on by itself if it, or one around it, has an activity, a timer, a machine of its own, a transition
    without event, or one that takes what the machine tells itself. A region may also wait for its neighbours.
    """
    index = index_of(chart)
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
    edges = index_of(chart).transitions[state.id]
    return any(not edge.events or any(_is_private(chart, event) for event in edge.events) for edge in edges)


def _is_private(chart: Chart, event: str) -> bool:
    """Whether callbacks of the machine raise it; outcomes are not counted, for they need an activity first."""
    declared = chart.events.get(event)
    return declared is not None and not declared.public and not event.startswith(PLATFORM_NAMES)
