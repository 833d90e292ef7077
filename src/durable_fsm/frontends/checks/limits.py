"""Read and check limits: their priorities, their names, and which transitions wait for a slot."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator

from durable_fsm.core.chart import Activity, Callback, Chart
from durable_fsm.core.index import matches
from durable_fsm.core.limits import GRANTED, Limit
from durable_fsm.frontends.arguments import FoundProblem, Report, written
from durable_fsm.frontends.checks.inputs import member
from durable_fsm.frontends.checks.purity import REMEDIES, faults
from durable_fsm.frontends.declare import Priority


def priority_of(declared: Priority) -> int | Callback:
    """The declaration as a number, or as a callback: a field, or a function of the data."""
    if isinstance(declared, int):
        return declared
    if isinstance(declared, str):
        field = declared
        return Callback(field, lambda scope: member(scope.data, field))
    make = declared
    return Callback(getattr(make, "__name__", type(make).__name__), lambda scope: make(scope.data), written(make))


def refuse_impure_priority(id: str, declared: Priority, problem: Report) -> None:
    """Report a priority function that could give another number when the step runs again."""
    if not callable(declared):
        return
    place = written(declared)
    if inspect.iscoroutinefunction(declared):
        what = f"activity '{id}' computes its priority in a coroutine; it must be computed at once, in the step."
        problem(what, "Make it a plain function of the data.", place)
    for fault, call in faults(declared):
        problem(f"activity '{id}' {fault} to find its priority: {call}.", REMEDIES[fault], place)


def problems_in(chart: Chart) -> Iterator[FoundProblem]:
    """Limits of one name that differ, and transitions that wait for a slot which no activity is granted."""
    for one, other in differing(chart.activities.values()):
        what = f"limit '{one.name}' has {one.slots} slots in one place and {other.slots} in another."
        yield what, "Declare it once, and name it in both.", None
    for edge in chart.transitions:
        for descriptor in edge.events:
            if not descriptor.startswith(GRANTED):
                continue
            asked = [one for one in chart.activities.values() if matches(descriptor, f"{GRANTED}{one.id}")]
            reasons = [reason for one in asked if (reason := _why_unheard(chart, one)) is not None]
            if len(reasons) == len(asked):
                what = f"'{descriptor}' never happens" + (f": {reasons[0]}." if reasons else ".")
                yield what, "Remove the transition, or give a background activity of a state a limit=.", edge.location


def differing(activities: Iterable[Activity]) -> Iterator[tuple[Limit, Limit]]:
    """The limits of one name that do not have the same number of slots."""
    known: dict[str, Limit] = {}
    for activity in activities:
        limit = activity.limit
        if isinstance(limit, Limit) and known.setdefault(limit.name, limit) != limit:
            yield known[limit.name], limit


def _why_unheard(chart: Chart, activity: Activity) -> str | None:
    """Why there is no event when this activity gets a slot; None if there is one."""
    if activity.limit is None:
        return f"activity '{activity.id}' has no limit"
    if activity.id in chart.detached:
        return f"no state waits for work '{activity.id}'"
    if activity.exclusive:
        return f"activity '{activity.id}' is exclusive, and the machine gets no event before it ends"
    if activity.each is not None:
        return f"each item of activity '{activity.id}' has a separate slot"
    return "a flow gets only the outcomes of its activities" if chart.hosting.flow else None
