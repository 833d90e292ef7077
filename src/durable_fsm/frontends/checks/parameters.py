"""Parameters of callbacks that nothing provides: neither the chart nor any event for which the callback runs."""

from __future__ import annotations

import difflib
import inspect
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from durable_fsm.core.chart import Callback, EventType, State, Transition
from durable_fsm.core.values import Location, ValueType
from durable_fsm.frontends.arguments import Asking
from durable_fsm.frontends.checks.doubts import Doubt
from durable_fsm.frontends.checks.inputs import members_of

OF_OUTCOMES = ("result", "error")
"""Names that have a meaning where the outcome of something is taken, and are members of payloads elsewhere."""

PLAIN = ("string", "integer", "number", "boolean")
"""Types of payloads without members, as JSON Schema names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provided:
    """Everything that callbacks of a chart can ask for: names with a meaning, and members of payloads.

    Attributes:
        names: these have a meaning for every event.
        members: the members of the data, which callbacks read as `data.name`.
        timed: events that come from timers, without a payload.
        base: how the class names the type of its data, as `Order(StateChart[…])`; None if it has one.
    """

    names: Collection[str]
    members: Collection[str]
    events: Mapping[str, EventType]
    timed: Collection[str]
    base: str | None = None


class Uses:
    """The events for which each callback runs, by the place where it is written."""

    def __init__(self, states: Iterable[State], transitions: Iterable[Transition]) -> None:
        self.events: defaultdict[Location | None, set[str]] = defaultdict(set)
        self.anywhere: set[Location | None] = {None}
        for edge in transitions:
            for callback in (*edge.validators, *edge.guards, *edge.before, *edge.actions, *edge.after):
                self.events[callback.location] |= set(edge.events)
                if not edge.events:
                    self.anywhere.add(callback.location)
        for state in states:
            timers = [timer.when for timer in state.timers if timer.when is not None]
            initial = () if state.initial is None else state.initial.actions
            callbacks: tuple[Callback, ...] = (*state.entry, *state.exit, *state.done, *initial, *timers)
            self.anywhere |= {callback.location for callback in callbacks}

    def of(self, callback: Asking, events: Iterable[str]) -> list[str]:
        """The events for which it runs; all *events*, where that is not known."""
        known = None if callback.location in self.anywhere else self.events.get(callback.location)
        return sorted(known or events)

    def runs_for(self, callback: Asking, event: str) -> bool:
        """Whether it runs in a transition that this event takes. It may run elsewhere, too."""
        return event in self.events.get(callback.location, ())


def doubtful_parameters(
    asking: Iterable[Asking], states: Iterable[State], transitions: Iterable[Transition], provided: Provided
) -> Iterator[Doubt]:
    """The parameters without default that no event brings, or probably none."""
    uses = Uses(states, transitions)
    for callback in asking:
        events = uses.of(callback, provided.events)
        for parameter in callback.required:
            if parameter.name not in provided.names:
                yield from _doubt(callback, parameter, events, provided)


def _doubt(callback: Asking, parameter: inspect.Parameter, events: list[str], provided: Provided) -> Iterator[Doubt]:
    name, place = parameter.name, callback.location
    bringing = [event for event in events if _may_bring(event, name, provided)]
    if name == "data" and provided.base is not None and len(bringing) == len(events) and _of_outcomes(events):
        return  # the library's own name for what an activity returned
    if name == "data" and provided.base is not None:
        type_ = _type_name(parameter)
        what = f"{callback.name} asks for 'data', but the chart has no data type."
        remedy = f"Write class {provided.base.replace('…', type_ or 'Data')}."
        yield Doubt(what, remedy, place, certain=not bringing or type_ is not None)
    elif not bringing:
        brings = f"event '{events[0]}' does not provide it" if len(events) == 1 else "no event provides it"
        yield Doubt(
            f"{callback.name} asks for '{name}', and {brings}.", _remedy(name, events, provided), place, certain=True
        )
    elif name not in OF_OUTCOMES and (close := _close(name, [*provided.names, *OF_OUTCOMES])) and name != f"{close}s":
        what = f"{callback.name} asks for '{name}', which only a payload can provide."
        yield Doubt(what, f"Did you mean '{close}'?", place, certain=False)


def _of_outcomes(events: Iterable[str]) -> bool:
    return all(event.startswith("done.") for event in events)


def _may_bring(event: str, name: str, provided: Provided) -> bool:
    declared = provided.events.get(event)
    if declared is None or "*" in event or event.startswith("done."):
        return True
    if event.startswith("error."):
        return name == "error"
    if declared.payload is None:
        return event not in provided.timed
    members = _members(declared.payload)
    return members is None or name in members


def _members(declared: ValueType) -> Collection[str] | None:
    """The names by which members of a value of this type are read; None if any name may be one."""
    plain = (declared.schema() or {}).get("type") in PLAIN
    return () if plain else members_of(declared)


def _remedy(name: str, events: Iterable[str], provided: Provided) -> str:
    if name in provided.members:
        return f"It is a member of the data: ask for data, and read data.{name}."
    payloads = [payload for event in events if (payload := provided.events[event].payload) is not None]
    known = [member for payload in payloads for member in _members(payload) or ()]
    if (close := _close(name, [*provided.names, *known])) is not None:
        return f"Did you mean '{close}'?"
    if (close := _close(name, provided.members)) is not None:
        return f"Did you mean data.{close}?"
    return "Correct the name, give it a default, or declare it in the type of the payload."


def _close(name: str, known: Collection[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.8)), None)


def _type_name(parameter: inspect.Parameter) -> str | None:
    """The name of the class in an annotation, such as OrderData; None for plain types and Any."""
    given: Any = parameter.annotation
    name = given if isinstance(given, str) else getattr(given, "__name__", "")
    bare = name.rpartition(".")[2]
    return bare if bare.isidentifier() and bare[:1].isupper() and bare not in ("Any", "Mapping") else None
