"""Event names: python-statemachine spells outcomes with underscores or with dots, a chart always with dots."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Collection, Iterable, Iterator
from difflib import get_close_matches

from durable_fsm.core.chart import State, Transition
from durable_fsm.core.events import PLATFORM_NAMES
from durable_fsm.core.index import matches
from durable_fsm.core.limits import GRANTED
from durable_fsm.frontends.syntax import parsed

OUTCOMES = {
    "done_invoke_": ("done.invoke.", "activity"),
    "error_invoke_": ("error.invoke.", "activity"),
    "granted_invoke_": (GRANTED, "activity"),
    "done_state_": ("done.state.", "state"),
}
ERRORS = ("error_execution", "error_communication")


class EventNames:
    """Spells event ids as the chart does; `done_invoke_X` and others are resolved against the known ids.

    The library replaces every underscore: `error_invoke_on_hold` becomes `error.invoke.on.hold`, which is never raised.
    Here the name after the prefix is an id, and an unknown id is a problem.
    """

    def __init__(
        self, activities: Collection[str], states: Collection[str], problem: Callable[[str, str], None]
    ) -> None:
        self._known = {"activity": activities, "state": states}
        self._problem = problem

    def of(self, ids: Iterable[str]) -> tuple[str, ...]:
        """The names of one edge, each once, without the twins that the library adds."""
        ids = tuple(ids)
        twins = {twin for id in ids if (twin := _twin(id)) != id}
        return tuple(dict.fromkeys(self.spelled(id) for id in ids if id not in twins))

    def spelled(self, id: str) -> str:
        """The id as the chart spells it."""
        for prefix, (dotted, kind) in OUTCOMES.items():
            for spelling in (prefix, dotted):
                if id.startswith(spelling):
                    return dotted + self._resolve(id, id.removeprefix(spelling), kind)
        return id.replace("_", ".") if id in ERRORS else id

    def _resolve(self, event: str, name: str, kind: str) -> str:
        known = self._known[kind]
        if name in known or "*" in name:
            return name
        alike = [id for id in known if id.replace(".", "_") == name]
        if len(alike) == 1:
            return alike[0]
        what = f"event '{event}' waits for {kind} '{name}', and there is none."
        there = ", ".join(f"'{id}'" for id in known)
        self._problem(what, f"There is {there}." if there else f"Declare the {kind}, or rename the event.")
        return name


def _twin(id: str) -> str:
    """The second event that the library declares for an attribute of this name."""
    if id.startswith(("done_invoke_", "done_state_")):
        return id.replace("_", ".", 2)
    return id.replace("_", ".") if id.startswith("error_") else id


def stance_problems(state: State, transitions: Iterable[Transition]) -> Iterator[tuple[str, str]]:
    """Problems of the events that a state defers and ignores, each with its remedy."""
    taken = {event for edge in transitions for event in edge.events}
    who = f"state '{state.id}'" if state.id else "the chart"
    for verb, descriptors in (("defers", state.defers), ("ignores", state.ignores)):
        for descriptor in descriptors:
            if descriptor.startswith(PLATFORM_NAMES):
                what = f"{who} {verb} '{descriptor}', which comes from the machine itself."
                yield what, "Only events from outside wait or are ignored."
            elif not any(matches(descriptor, event) or matches(event, descriptor) for event in taken):
                close = get_close_matches(descriptor, taken, n=1, cutoff=0.8)
                if verb == "defers" or close or "*" in descriptor:
                    remedy = f"Did you mean '{close[0]}'?" if close else "Correct the name, or remove it."
                    yield f"{who} {verb} '{descriptor}', and no transition accepts it.", remedy


def ignored_events(states: Iterable[State], taken: Collection[str]) -> list[str]:
    """The events that a chart ignores and that no transition accepts: senders may use them, and they have no effect."""
    named = dict.fromkeys(descriptor for state in states for descriptor in state.ignores if "*" not in descriptor)
    return [name for name in named if not any(matches(name, event) or matches(event, name) for event in taken)]


def unknown_states(expression: str, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Problems of `In('shutt')` in an expression: a question for a state that there is not can never be true."""
    try:
        tree = parsed(expression.strip(), "eval")
    except SyntaxError:
        return
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=function), args=asked) if function.lower() == "in":
                named = [item.value for item in asked if isinstance(item, ast.Constant) and isinstance(item.value, str)]
            case _:
                named = []
        for name in named:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                remedy = f"Did you mean '{close[0]}'?" if close else "Correct the name."
                yield f"guard '{expression}' asks for state '{name}', and there is none.", remedy
