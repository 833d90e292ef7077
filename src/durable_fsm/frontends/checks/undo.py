"""Check `undo=` and `undo_all`: an undo must be callable, and must be of a state that some `undo_all` covers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from durable_fsm.core.chart import ROOT, Activity, State
from durable_fsm.errors import quoted
from durable_fsm.frontends.arguments import Report, written

ASKABLE = ("ctx", "data", "result", "original")
"""The names that an undo function may ask for."""


def refuse_unfit(activity: Activity, problem: Report, *, detached: bool) -> None:
    """Report an undo that does not fit its activity, or asks for a name that it does not get."""
    if activity.undoes is not None and detached:
        what = f"work '{activity.id}' undoes other work, but no state waits for it."
        problem(what, "Make it the activity of a state: State(invoke=undo_all(...)).", None)
    undo = activity.undo
    if undo is None:
        return
    place = written(undo.run)
    if detached:
        what = f"work '{activity.id}' has an undo, and belongs to no state in which it could be undone."
        problem(what, "Make it the activity of a state, or leave undo= out.", place)
    if activity.each is not None and not undo.first:
        what = f"activity '{activity.id}' has items and an undo, but if one item fails, it is not known which others were done."
        remedy = "Use undo_first=True, and undo the items by their ids: f'{original}/{index}'."
        problem(what, remedy, place)
    for what, remedy in _misfits(undo.run, first=undo.first):
        problem(f"{undo.name}, the undo of activity '{activity.id}', {what}", remedy, place)


# Any: an undo returns what it likes
def _misfits(run: Callable[..., Any], *, first: bool) -> Iterator[tuple[str, str]]:
    parameters = inspect.signature(run).parameters.values()
    asked = [item.name for item in parameters if item.kind is not item.VAR_KEYWORD]
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    if any(item.kind not in named for item in parameters):
        yield "takes arguments that cannot be given by name.", f"It may ask for {quoted(ASKABLE)}."
    for item in parameters:
        # one that is only given by name is a service
        if item.kind is named[0] and item.name not in ASKABLE and item.default is item.empty:
            yield f"asks for '{item.name}', which an undo does not get.", f"It may ask for {quoted(ASKABLE)}."
    if first and "result" in asked:
        remedy = "Ask for original, the stable id of the work; or leave undo_first=True out."
        yield "asks for 'result', and is registered before there is one.", remedy
    if "ctx" in asked and inspect.isroutine(run) and not inspect.iscoroutinefunction(run):
        yield "asks for 'ctx', and cannot await anything.", "Make it an async def, or leave ctx out."


def refuse_nothing(states: Mapping[str, State], problem: Report) -> None:
    """Report an `undo_all` of a state that does not exist, or of one without an undo in it."""
    undoable = [state.id for state in states.values() if any(activity.undo for activity in state.activities)]
    for state in states.values():
        for activity in state.activities:
            scope = activity.undoes
            if scope is None:
                continue
            if scope not in states:
                what = f"state '{state.id}' undoes what is done in '{scope}', which is not a state."
                problem(what, f"There is {quoted(id for id in states if id != ROOT)}.", state.location)
            elif not any(_is_in(states, one, scope) for one in undoable):
                where = f"in '{scope}'" if scope else "anywhere"
                what = f"state '{state.id}' undoes what is done {where}, and no activity there has an undo."
                problem(what, "Give one of them activity(..., undo=f), or name another state.", state.location)


def _is_in(states: Mapping[str, State], id: str | None, scope: str) -> bool:
    while id is not None and id != scope:
        id = states[id].parent
    return id is not None
