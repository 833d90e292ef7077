"""Make a chart's activities of declared ones: those of states, and detached work, for which no state waits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from durable_fsm.core.chart import Activity
from durable_fsm.frontends.arguments import Report, written
from durable_fsm.frontends.checks.inputs import input_of, refuse_impure, refuse_impure_items
from durable_fsm.frontends.checks.limits import priority_of, refuse_impure_priority
from durable_fsm.frontends.checks.undo import refuse_unfit
from durable_fsm.frontends.declare import ActivityOf, activity_of

NOWHERE = "work="
"""Used in messages in place of a state, which detached work does not have."""


def made_activity(declared: ActivityOf, id: str, problem: Report, *, detached: bool = False) -> Activity:
    """Check a declared activity, and make the one of the chart."""
    place, priority = written(declared.source), priority_of(declared.priority)
    made = declared.made(id, place, input_of(declared.input), priority=priority, detached=detached)
    refuse_impure(id, declared.input, problem)
    refuse_unfit(made, problem, detached=detached)
    refuse_impure_items(id, declared.each, problem)
    refuse_impure_priority(id, declared.priority, problem)
    return made


def detached_of(work: Iterable[Any], ids: dict[str, str], problem: Report) -> tuple[Activity, ...]:
    """Read the work that `work=` declares, and add its ids to *ids*."""
    found: list[Activity] = []
    for one in work:
        if not callable(one):
            problem(f"work={one!r} is not a function.", "Write activity(f).", None)
            continue
        declared = activity_of(one)
        id = declared.id or declared.__name__
        if id in ids:
            problem(f"two activities have the id '{id}'.", "Give one of them activity(..., id=...).", None)
        if not id.replace(".", "_").isidentifier():
            problem(f"work '{id}' cannot be started by this name.", "Give it activity(..., id=...).", None)
        if declared.input is not None:
            what = f"work '{id}' has an input, but it receives the payload that it is started with."
            problem(what, "Pass it: effects.start(id, payload).", written(declared.source))
        if declared.work.exclusive:
            what = f"work '{id}' is exclusive, and no state waits for it."
            problem(what, "Leave exclusive=True out, or make it the activity of a state.", written(declared.source))
        ids[id] = NOWHERE
        found.append(made_activity(declared, id, problem, detached=True))
    return tuple(found)
