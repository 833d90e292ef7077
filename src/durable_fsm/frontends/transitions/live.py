"""Machines of transitions that exist already: the data of their models, and parts that cannot be made durable."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from transitions.extensions import HierarchicalMachine
from transitions.extensions import states as features
from transitions.extensions.asyncio import AsyncMachine
from transitions.extensions.nesting import FunctionWrapper
from transitions.extensions.states import Volatile

from durable_fsm.frontends.declare import OPTIONS
from durable_fsm.frontends.making import unstorable
from durable_fsm.frontends.options import ClassChartOptions
from durable_fsm.frontends.transitions.config import TransitionsConfig, listed
from durable_fsm.frontends.transitions.models import attributes_of, declared_fields
from durable_fsm.frontends.values import is_service

RETRY: type = cast("Any", features).Retry
"""The library's type stubs do not know it."""

ENGINE = frozenset({
    "callback", "callbacks", "resolve_callable", "set_state", "get_model_state", "trigger_event", "dispatch", "_process",
    "_get_trigger", "_can_trigger", "_trigger_event", "_trigger_event_nested", "_check_event_result",
    "enter", "exit", "scoped_enter", "scoped_exit",
    "execute", "_eval_conditions", "_change_state", "_resolve_transition", "_enter_nested", "_final_check",
    "trigger", "trigger_nested", "_trigger", "_is_valid_source", "check",
})  # fmt: skip
"""Methods of the library's classes that run on an event. None of them is called here."""

Told = tuple[str, str]
"""A problem and its remedy."""


@dataclass(frozen=True)
class Model:
    """The data of a chart, before the library's methods are added to it.

    `make` makes a fresh instance where calling `cls` does not: a copy of a live model's attributes, the `prototype`.
    `engine` has the names of attributes that hold the library's machine, which are not data.
    """

    cls: type | None
    fields: frozenset[str] = frozenset()
    make: Callable[[], object] | None = None
    live: tuple[object, ...] = ()
    prototype: Mapping[str, object] = field(default_factory=dict[str, object])
    services: frozenset[str] = frozenset()
    engine: frozenset[str] = frozenset()


def model_of(config: TransitionsConfig) -> Model:
    """The model that a configuration names."""
    return Model(config.model, attributes_of(config.model) if config.model is not None else frozenset())


def model_in(machine: Any, services: Collection[str] = ()) -> Model:
    """The model of a live machine. Its attributes, as they are now, are what every machine of the chart begins with."""
    live = tuple(cast("Iterable[object]", machine.models))
    if len(live) > 1 and _without_engine(machine) is None:  # Machine() is its own model; others were added
        live = tuple(one for one in live if one is not machine)
    if not live:
        return Model(None)
    cls: type | None = type(live[0])
    kept = cast("dict[str, object]", getattr(live[0], "__dict__", {}))
    if live[0] is machine:
        cls, kept = _without_engine(machine), _own_attributes(machine)
    engine = frozenset(name for name, value in kept.items() if _is_of_the_engine(value))
    if cls is None or (declared_fields(cls) and not engine):
        return Model(cls, declared_fields(cls) if cls is not None else frozenset(), None, live)
    prototype = {
        name: value
        for name, value in kept.items()
        if name != machine.model_attribute and name not in engine and not isinstance(value, partial | FunctionWrapper)
    }
    shared = {name: value for name, value in prototype.items() if is_service(name, value, services)}
    data = {name: value for name, value in prototype.items() if name not in shared}
    return Model(cls, frozenset(prototype), _copies(cls, data, shared), live, data, frozenset(shared), engine)


def _is_of_the_engine(value: object) -> bool:
    """Whether a value is a machine, a state or another object of the library, or holds one."""
    if isinstance(value, dict):
        return any(map(_is_of_the_engine, cast("dict[object, object]", value).values()))
    if isinstance(value, list | tuple | set):
        return any(map(_is_of_the_engine, cast("Iterable[object]", value)))
    return not isinstance(value, type | partial) and any(map(_is_library, type(value).__mro__))


def options_of(machine: Any) -> ClassChartOptions:
    """The options that `durable` left on the class of the model, or of the machine itself."""
    classes = map(type, (*machine.models, machine))
    found: Iterator[ClassChartOptions | None] = (getattr(cls, OPTIONS, None) for cls in classes)
    return next(filter(None, found), ClassChartOptions())


def _copies(cls: type, prototype: Mapping[str, object], shared: Mapping[str, object]) -> Callable[[], object]:
    def make() -> object:
        made = cast("object", object.__new__(cls))
        vars(made).update({**deepcopy(prototype), **shared})
        return made

    return make


def _without_engine(machine: object) -> type | None:
    """The author's part of a class that is both machine and model; None if there is none."""
    own = [base for base in type(machine).__mro__[:-1] if not _is_library(base)]
    body: dict[str, Any] = {}
    for base in reversed(own):
        body |= {name: member for name, member in vars(base).items() if not name.startswith("__")}
    if not own:
        return None
    return type(own[0].__name__, (), {**body, "__module__": own[0].__module__, "__qualname__": own[0].__qualname__})


def _own_attributes(machine: object) -> dict[str, object]:
    """Attributes of a machine that is its own model, without those of the library."""
    library: Any = next(base for base in type(machine).__mro__ if _is_library(base))
    with warnings.catch_warnings(action="ignore"):
        bare = vars(cast("object", library(model=None, states=["initial"], auto_transitions=False)))
    return {name: value for name, value in vars(machine).items() if name not in bare}


def _is_library(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "transitions"


# ── what cannot be durable ────────────────────────────────────────────────────────────────────────────────────────────


def limits(machine: Any, states: Mapping[str, Any], model: Model) -> Iterator[Told]:
    """Every reason why this machine cannot be hosted."""
    if isinstance(machine, AsyncMachine):
        yield "an AsyncMachine works with coroutines.", "Use Machine, and make outside work an activity."
    if machine.on_exception:
        remedy = "Remove it: if an event fails, the machine does not change, and the sender gets the error."
        yield "on_exception would carry on after half a transition.", remedy
    for id, state in states.items():
        if isinstance(state, Volatile):
            yield f"state '{id}' has a volatile object.", "Keep what it needs in the data."
        if isinstance(state, RETRY) and cast("Any", state).retries > 0:
            remedy = "Count in the data, and ask in a condition; outside work has activity(..., retry=Retry(...))."
            yield f"state '{id}' counts its retries in the library's own objects.", remedy
    yield from _overridden(machine, states)
    yield from _ignoring(machine, states)
    yield from _strange(model)


def _overridden(machine: Any, states: Mapping[str, Any]) -> Iterator[Told]:
    """Parts of the engine that the author has replaced."""
    events = [event for scope in (machine, *states.values()) for event in getattr(scope, "events", {}).values()]
    edges = [edge for event in events for found in event.transitions.values() for edge in found]
    asked = [condition for edge in edges for condition in edge.conditions]
    parts = cast("list[object]", [machine, *states.values(), *events, *edges, *asked])
    classes = dict.fromkeys(map(type, parts))
    own = dict.fromkeys(base for cls in classes for base in cls.__mro__ if not _is_library(base) and base is not object)
    for cls in own:
        for name in sorted(vars(cls).keys() & ENGINE):
            if any(name in vars(base) for base in cls.__mro__ if _is_library(base)):
                yield f"{cls.__name__} has its own {name}(), and the library's engine never runs.", "Use callbacks."


def _ignoring(machine: Any, states: Mapping[str, Any]) -> Iterator[Told]:
    """States that ignore invalid triggers where others do not."""
    ignoring = {id for id, state in states.items() if ignores(machine, state)}
    if isinstance(machine, HierarchicalMachine) and ignoring and len(ignoring) < len(states):
        names = ", ".join(f"'{id}'" for id in states if id in ignoring)
        remedy = "Let all of them do so, or give these states transitions that stay: dest=None."
        yield f"only some states ignore events that they do not accept: {names}.", remedy


def ignores(machine: Any, state: Any) -> bool:
    """True if a trigger that is not valid in this state is ignored."""
    own = state.ignore_invalid_triggers
    return bool(machine.ignore_invalid_triggers if own is None else own)


def _strange(model: Model) -> Iterator[Told]:
    names = dict.fromkeys(type(live).__name__ for live in model.live)
    if len(names) > 1:
        yield f"it drives models of several classes: {', '.join(names)}.", "Make a machine of each."
    own = model.cls.__name__ if model.cls is not None else ""
    yield from unstorable(
        model.prototype, f"Keep it elsewhere; or, if it is not data, @durable(services=['{{}}']) on {own}."
    )


def starts_of(state: Any) -> list[str]:
    """Names of the children in which a state begins; empty if none of them is entered."""
    initial = getattr(state, "initial", None)
    return [str(getattr(start, "name", start)) for start in listed(initial)] if initial else []
