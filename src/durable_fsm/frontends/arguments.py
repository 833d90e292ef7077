"""Find the arguments of a callback by the names of its parameters, in the same way for every library."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias, cast

from pydantic import BaseModel

from durable_fsm.core.address import is_address
from durable_fsm.core.events import Failure
from durable_fsm.core.questions import Unknown, UnknownPayload
from durable_fsm.core.scope import Scope
from durable_fsm.core.values import Location
from durable_fsm.errors import UnknownWork
from durable_fsm.frontends.checks.purity import REMEDIES, faults, outside_work, started_by
from durable_fsm.frontends.source_locations import place_of

MISSING = object()
Call = Callable[[Scope], object]
Report = Callable[[str, str, Location | None], None]
"""Called with a problem, its remedy, and its place if that is known."""

FoundProblem: TypeAlias = tuple[str, str, Location | None]
"""A problem, its remedy and its place as one value, which a check yields."""

Arguments = Callable[[Scope], tuple[list[Any], dict[str, Any]]]

ALWAYS = ("data", "model", "payload", "event", "effects", "ids", "machine")
"""Names that mean the same at any moment of a step."""


class TakenEvent(str):
    """The `event` of a callback: the event's name, with `payload`, `at`, `origin` and `sender` beside it.

    `at` is the time, with a time zone, under `clock=True`; None in other charts.
    The sender of a message is an address to answer to: `effects.send("ack", to=event.sender)`. `child` is the name of the
    machine that it comes from, if a callback started that by a name.
    """

    payload: object
    at: datetime | None
    origin: str
    sender: str
    child: str
    name: str

    @classmethod
    def of(cls, scope: Scope) -> TakenEvent:
        event = scope.event
        taken = cls(event.name)
        taken.name = event.name
        taken.payload, taken.at, taken.origin = event.payload, scope.at, event.origin.value
        taken.sender = event.sender if is_address(event.sender) or not event.sender else f"#_scxml_{event.sender}"
        taken.child = event.child
        return taken

    @property
    def id(self) -> str:
        return str(self)


def field_of(value: object, name: str) -> object:
    """The member *name* of a payload, whatever kind of object that is; MISSING if it has none."""
    if isinstance(value, UnknownPayload):
        raise Unknown(name)
    if isinstance(value, Mapping):
        return cast("Mapping[str, object]", value).get(name, MISSING)
    return getattr(value, name, MISSING) if _has_fields(value) else MISSING


def fields_of(value: object) -> dict[str, object]:
    """All members of a payload by name."""
    if isinstance(value, UnknownPayload):
        raise Unknown("the payload is not known yet")
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, object]", value))
    if isinstance(value, BaseModel):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    return {}


def _has_fields(value: object) -> bool:
    return isinstance(value, BaseModel) or (is_dataclass(value) and not isinstance(value, type))


def result_of(scope: Scope) -> object:
    return scope.event.payload if scope.event.name.startswith("done.") else MISSING


def error_of(scope: Scope) -> object:
    if scope.event.cause is not None:
        return scope.event.cause
    return scope.event.payload if isinstance(scope.event.payload, Failure) else MISSING


class Positional:
    """Arguments that any moment of a step has, in order. Most callbacks ask for nothing else."""

    def __init__(self, provides: list[Call]) -> None:
        self.provides = provides

    def __call__(self, scope: Scope) -> tuple[list[Any], dict[str, Any]]:
        return [provide(scope) for provide in self.provides], {}


@dataclass(frozen=True, slots=True)
class Asking:
    """A callback, its parameters, and where it is written."""

    name: str
    parameters: tuple[inspect.Parameter, ...]
    location: Location | None

    @property
    def required(self) -> list[inspect.Parameter]:
        """The parameters that must get a value."""
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return [item for item in self.parameters if item.default is item.empty and item.kind not in variadic]


class ByName:
    """Calls callbacks with the arguments that their parameters name.

    `provided` maps the names that have a meaning to a function that finds the value in a scope. Any other name is a
    member of the payload. `started` collects the work that callbacks start, with the place of the callback, `asking`
    the parameters of all callbacks, and `suspicions` what they probably should not do.
    """

    def __init__(self, provided: dict[str, Call], problem: Report, *, always: tuple[str, ...] = ALWAYS) -> None:
        self.provided = provided
        self.problem = problem
        self.always = always
        self.started: dict[str, Location | None] = {}
        self.asking: list[Asking] = []
        self.suspicions: list[FoundProblem] = []

    def refuse_unknown(self, chart: str, work: Iterable[str]) -> None:
        """Report work that a callback starts and the chart does not declare."""
        known = tuple(work)
        for name, place in self.started.items():
            if name not in known:
                self.problem(UnknownWork(chart=chart, work=name, known=known).what, "", place)

    def prepared(self, scope: Scope) -> dict[str, Any]:
        """Arguments that the definition adds for the callbacks of this event."""
        return {}

    def arguments_of(self, function: Callable[..., object], *, skip: int) -> Arguments | None:
        """Inspect a function once; the result reads its arguments from a scope. None if it has no parameters."""
        name = getattr(function, "__qualname__", repr(function))
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            what = f"{name} is a coroutine; a guard or action decides at once and does no outside work."
            self.problem(what, "Make it an activity: State(invoke=activity(...)).", written(function))
        for fault, call in faults(function):
            self.problem(f"{name} {fault}: {call}.", REMEDIES[fault], written(function))
        for call in outside_work(function):
            what = f"{name} calls {call}, and a step may run more than once."
            self.suspicions.append((what, "Make it an activity: State(invoke=activity(...)).", written(function)))
        self.started.update((work, written(function)) for work in started_by(function))
        parameters = list(inspect.signature(function).parameters.values())[skip:]
        self.asking.append(Asking(name, tuple(parameters), written(function)))
        if not parameters:
            return None
        named = [item for item in parameters if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)]
        if len(named) == len(parameters) and all(
            item.name in self.always and item.kind is not item.KEYWORD_ONLY for item in named
        ):
            return Positional([self.provided[item.name] for item in named])
        return partial(self._read, name, parameters, preparing=name.rpartition(".")[2] != "prepare_event")

    def _read(
        self, name: str, parameters: Iterable[inspect.Parameter], scope: Scope, *, preparing: bool
    ) -> tuple[list[Any], dict[str, Any]]:
        """Fill the parameters as the library does: by name, then by position, the rest to `*args` and `**kwargs`."""
        payload = scope.event.payload
        prepared = self.prepared(scope) if preparing else {}
        items = items_of(payload)
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for parameter in parameters:
            match parameter.kind:
                case parameter.VAR_POSITIONAL:
                    positional += items
                case parameter.VAR_KEYWORD:
                    others = {**fields_of(payload), **self.everything(scope), **prepared}
                    taken = {item.name for item in parameters}
                    named.update({key: value for key, value in others.items() if key not in taken})
                case _:
                    value = self._value(name, parameter, scope, prepared, items)
                    if parameter.kind is parameter.KEYWORD_ONLY:
                        named[parameter.name] = value
                    else:
                        positional.append(value)
        return positional, named

    def _value(
        self, name: str, parameter: inspect.Parameter, scope: Scope, prepared: Mapping[str, Any], items: list[Any]
    ) -> Any:
        provide = self.provided.get(parameter.name)
        value = provide(scope) if provide else MISSING
        if value is MISSING:
            value = prepared.get(parameter.name, MISSING)
        if value is MISSING and items and parameter.kind is not parameter.KEYWORD_ONLY:
            return items.pop(0)
        if value is MISSING:
            value = field_of(scope.event.payload, parameter.name)
        if value is MISSING:
            value = parameter.default
        if value is parameter.empty:
            raise TypeError(f"{name} asks for '{parameter.name}', and event '{scope.event.name}' brings none")
        return value

    def everything(self, scope: Scope) -> dict[str, object]:
        """All provided values by name, for `**kwargs`; the payload's members are added to them."""
        values = {name: provide(scope) for name, provide in self.provided.items()}
        return {name: value for name, value in values.items() if value is not MISSING}


def items_of(payload: object) -> list[Any]:
    """The items of a payload that is a list; they fill parameters by position."""
    return [*cast("Iterable[Any]", payload)] if isinstance(payload, list) else []


def shown_name(function: Any) -> str:
    """The name that diagrams show; a lambda has none of its own."""
    name = str(getattr(function, "__name__", function))
    return "computed" if name == "<lambda>" else name


def written(thing: Any) -> Location | None:
    """Where a function or class is written; None if that is not known."""
    code = getattr(thing, "__code__", None)
    if code is not None:
        return Location(code.co_filename, code.co_firstlineno)
    return place_of(thing) if isinstance(thing, type) else None
