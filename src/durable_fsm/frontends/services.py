"""Services: clients, sessions and the like that activities work with. They belong to a process, and are never stored.

An activity declares one as an argument that is only given by name: `async def charge(ctx, data, *, gateway: Gateway)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache, partial, update_wrapper
from typing import Any

from durable_fsm.core.chart import Activity, Chart
from durable_fsm.errors import NotDurable, Problem, quoted
from durable_fsm.frontends.arguments import written

GIVEN_BY_NAME = ("ctx", "data", "result", "original")
"""The names that an undo gets from the host."""


def services_asked_by(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The services of the function of an activity or an undo, by name."""
    parameters = inspect.signature(function).parameters.items()
    return {name: item for name, item in parameters if item.kind is item.KEYWORD_ONLY and name not in GIVEN_BY_NAME}


@lru_cache(maxsize=1024)
def positional_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the arguments that an activity gets by their places."""
    by_name = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    return tuple(name for name, item in inspect.signature(function).parameters.items() if item.kind not in by_name)


def takes_context(activity: Activity) -> bool:
    """Whether the work takes a context: then it is made of steps."""
    names = positional_of(activity.run)
    return len(names) > 1 or names == ("ctx",)


def bound(function: Callable[..., Any], given: Mapping[str, object]) -> Callable[..., Any]:
    """The function with its services, as far as they are given."""
    asked = {name: given[name] for name in services_asked_by(function) if name in given}
    return update_wrapper(partial(function, **asked), function) if asked else function


def missing_of(function: Callable[..., Any], given: Mapping[str, object]) -> list[str]:
    """The services that the function cannot do without, and that are not given."""
    asked = services_asked_by(function).items()
    return [name for name, item in asked if item.default is item.empty and name not in given]


def with_services(chart: Chart, given: Mapping[str, object]) -> Chart:
    """The chart whose activities and undos have their services.

    Raises:
        NotDurable: one of them asks for a service that is not given, and has no default.
    """
    problems = tuple(_missing(chart, given))
    if problems:
        raise NotDurable(chart=chart.name, problems=problems)

    def serve(activities: tuple[Activity, ...]) -> tuple[Activity, ...]:
        return tuple(_served(activity, given) for activity in activities)

    states = {id: replace(state, activities=serve(state.activities)) for id, state in chart.states.items()}
    return replace(chart, states=states, work=serve(chart.work))


def _served(activity: Activity, given: Mapping[str, object]) -> Activity:
    undo = activity.undo
    return replace(
        activity,
        run=bound(activity.run, given),
        undo=None if undo is None else replace(undo, run=bound(undo.run, given)),
    )


def _missing(chart: Chart, given: Mapping[str, object]) -> Iterator[Problem]:
    for activity in chart.activities.values():
        functions = [activity.run, *([activity.undo.run] if activity.undo is not None else [])]
        for function in functions:
            missing = missing_of(function, given)
            if missing:
                what = f"activity '{activity.id}' asks for services that are not given: {quoted(missing)}."
                remedy = f"Give it: app(..., services={{'{missing[0]}': ...}})."
                yield Problem(what, remedy, str(written(function) or ""))
