"""Callbacks of python-statemachine: found by name, decorator or convention, and called with what they ask for by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import Any, cast

from pydantic import BaseModel
from statemachine import Event as LibraryEvent
from statemachine import State as LibraryState
from statemachine import spec_parser
from statemachine.orderedset import OrderedSet
from statemachine.transition import Transition as LibraryTransition

from durable_fsm.core.ask import Unknown, UnknownPayload
from durable_fsm.core.model import Callback, Event, Failure, Guard, Location
from durable_fsm.core.scope import Scope
from durable_fsm.frontends.facade import Facade, StateOf, enter
from durable_fsm.frontends.names import EventNames
from durable_fsm.frontends.places import place_of
from durable_fsm.frontends.purity import REMEDIES, faults

MISSING = object()
PARSER = cast("Any", spec_parser)  # Any: the library leaves its parser untyped
Call = Callable[[Scope], object]
Report = Callable[[str, str, Location | None], None]
Found = tuple[str, Call, Location | None]
Arguments = Callable[[Scope], tuple[list[Any], dict[str, Any]]]

ALWAYS = ("data", "model", "payload", "event", "effects", "ids", "machine")
"""Names that mean the same at any moment of a step."""

PROTECTED = {"model", "state_field", "start_value", "initial_state", "final_states", "states", "states_map", "send"}
"""Names of the library that are no callbacks, whoever asks for them."""


class TakenEvent(str):
    """The `event` of a callback: the event's name, with `payload`, `at` and `origin` beside it."""

    payload: object
    at: float | None
    origin: str

    @classmethod
    def of(cls, event: Event) -> TakenEvent:
        taken = cls(event.name)
        taken.payload, taken.at, taken.origin = event.payload, event.at, event.origin.value
        return taken

    @property
    def id(self) -> str:
        return str(self)

    @property
    def name(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True)
class EventData:
    """The library's `event_data`: what the other names say, in one object."""

    machine: object
    event: object
    transition: object
    state: object
    source: object
    target: object


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


def _result(scope: Scope) -> object:
    return scope.event.payload if scope.event.name.startswith("done.") else MISSING


def _error(scope: Scope) -> object:
    if scope.event.cause is not None:
        return scope.event.cause
    return scope.event.payload if isinstance(scope.event.payload, Failure) else MISSING


class Callbacks:
    """Resolves the library's callback specs for one class."""

    def __init__(
        self,
        facade: type[Facade],
        data_class: object,
        library: Mapping[str, LibraryState],
        names: EventNames,
        problem: Report,
    ) -> None:
        facade.durable_states = library
        self.facade = facade
        self.data_class = data_class
        self.library = library
        self.names = names
        self.edges: dict[str, LibraryTransition] = {}
        self.problem = problem
        self.attributes = self._attributes()
        self.listeners = self._listeners()
        self.found: dict[str, list[Found]] = {}
        self.preparing: list[Found] | None = None
        self.fields: set[str] | None = None
        self.provided: dict[str, Call] = {
            "data": _result if data_class is None else lambda scope: scope.data,
            "model": lambda scope: scope.data,
            "payload": lambda scope: scope.event.payload,
            "previous_configuration": lambda scope: self._states(scope.previous),
            "new_configuration": lambda scope: self._states(scope.coming),
            "event": lambda scope: TakenEvent.of(scope.event),
            "result": _result,
            "error": _error,
            "effects": lambda scope: scope.effects,
            "ids": lambda scope: scope.ids,
            "machine": lambda scope: enter(facade, scope),
            "transition": lambda scope: self.edges.get(scope.transition.key) if scope.transition else None,
            "state": lambda scope: library.get(scope.state.id) if scope.state else None,
            "source": lambda scope: library.get(scope.source or ""),
            "target": lambda scope: library.get(scope.target or ""),
            "event_data": self._event_data,
        }

    def _attributes(self) -> Collection[str]:
        """What instances keep beside their data type: nothing, if there is one."""
        if self.data_class is not None:
            return ()
        try:
            return vars(self.facade())
        except Exception as error:  # noqa: BLE001 - the author's own __init__ may raise anything
            self.problem(f"{self.facade.__name__}() fails: {error}.", "Give every argument a default.", None)
            return ()

    def _listeners(self) -> list[object]:
        """The observers that the class declares; made once, because what they keep is not the machine's."""
        made: list[object] = []
        for entry in cast("Any", self.facade)._class_listeners:
            try:
                made.append(entry() if callable(entry) else entry)
            except Exception as error:  # noqa: BLE001 - the author's own code
                name = getattr(entry, "__name__", repr(entry))
                self.problem(f"listener {name} cannot be made: {error}.", "Give every argument a default.", None)
        return made

    # ── what the reader asks for ──────────────────────────────────────────────────────────────────────────────────────

    def of(self, group: Iterable[Any]) -> tuple[Callback, ...]:
        """The actions of one slot, in the library's order: generic, inline, decorated, named."""
        found: dict[str, Callback] = {}
        for spec in sorted(group, key=lambda spec: spec.priority):
            for place, call, location in self._resolve(spec):
                found.setdefault(
                    f"{place}.{spec.lookup_name}", Callback(_shown(spec), self._when(spec, call), location)
                )
        return tuple(found.values())

    def guards(self, group: Iterable[Any]) -> tuple[Guard, ...]:
        """The guards of one transition; `unless` is negated."""
        found: dict[str, Guard] = {}
        for spec in sorted(group, key=lambda spec: spec.priority):
            negated = spec.expected_value is False
            for place, call, location in self._resolve(spec):
                key = f"{place}.{spec.attr_name}.{negated}"
                found.setdefault(key, Guard(_shown(spec), call, location, negated=negated))
        return tuple(found.values())

    # ── finding ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _resolve(self, spec: Any) -> list[Found]:
        """Every callable behind a spec: where it was found, how to call it, and where it is written."""
        if spec.may_contain_boolean_expression and not spec.func.isidentifier():
            return self._expression(spec.func)
        if isinstance(spec.func, str):
            found = self._named(spec.func)
            if not found and not spec.is_convention:
                what = f"callback '{spec.func}' is neither on the chart nor on its data."
                self.problem(what, "Define it, or mend the name.", None)
            return found
        if isinstance(spec.func, property):
            return self._named(spec.attr_name)
        own = inspect.getattr_static(self.facade, spec.lookup_name, None)
        if own is spec.func:
            return [("machine", self._method(spec.func), written(spec.func))]
        return [(f"object {id(spec.func)}", self._function(spec.func), written(spec.func))]

    def _named(self, name: str) -> list[Found]:
        """What has this name on the chart and on its data; looked for once, however many edges ask."""
        if name not in self.found:
            self.found[name] = self._look_for(name)
        return self.found[name]

    def _look_for(self, name: str) -> list[Found]:
        found: list[Found] = []
        own = inspect.getattr_static(self.facade, name, MISSING)
        if own is MISSING and name in self.attributes:
            own = None
        if own is not MISSING and not isinstance(own, LibraryState | StateOf) and name not in PROTECTED:
            found.append(("machine", self._attribute(own, name), written(own)))
        if self.data_class is not None and (own := self._of_data(name)) is not MISSING:
            found.append(("data", self._attribute_of_data(own, name), written(own)))
        for place, listener in enumerate(self.listeners):
            own = getattr(listener, name, MISSING)
            if own is not MISSING:
                call = self._function(own) if callable(own) else partial(_attribute_of, listener, name)
                found.append((f"listener {place}", call, written(own)))
        return found

    def _of_data(self, name: str) -> object:
        if not isinstance(self.data_class, type):
            return MISSING
        if self.fields is None:
            self.fields = _fields_of(self.data_class)
        return None if name in self.fields else inspect.getattr_static(self.data_class, name, MISSING)

    def _attribute(self, own: object, name: str) -> Call:
        if inspect.isfunction(own):
            return self._method(own)
        if isinstance(own, staticmethod | classmethod):
            return self._function(getattr(self.facade, name))
        if isinstance(own, LibraryEvent):
            return lambda scope: getattr(enter(self.facade, scope), name)(**fields_of(scope.event.payload))
        return lambda scope: getattr(enter(self.facade, scope), name)

    def _attribute_of_data(self, own: object, name: str) -> Call:
        if inspect.isfunction(own):
            return self._of_model(own)
        return lambda scope: getattr(scope.data, name)

    def _expression(self, text: str) -> list[Found]:
        """A boolean expression of guards, read by the library's own parser, which allows names and operators only."""

        def named(name: str) -> Callable[..., object]:
            found = self._named(name)
            if not found:
                what = f"guard '{text}' speaks of '{name}', which is neither on the chart nor on its data."
                self.problem(what, "Define it, or mend the name.", None)
            calls = [call for _, call, _ in found]

            def ask(scope: Scope, **_: object) -> object:
                answers = [call(scope) for call in calls]
                return answers[0] if len(answers) == 1 else all(answers)

            ask.__name__ = name
            return ask

        parse = PARSER.parse_boolean_expr
        try:
            expression = cast("Callable[..., object]", parse(text, named, PARSER.operator_mapping))
        except (SyntaxError, ValueError) as error:
            what = f"guard '{text}' is no boolean expression: {error}."
            self.problem(what, "Use names, and, or, not and comparisons.", None)
            return []
        return [(text, lambda scope: expression(scope, machine=enter(self.facade, scope)), None)]

    # ── calling ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _method(self, function: Callable[..., object]) -> Call:
        facade, arguments = self.facade, self._arguments(function, skip=1)
        if arguments is None:
            return lambda scope: function(enter(facade, scope))

        def call(scope: Scope) -> object:
            positional, named = arguments(scope)
            return function(enter(facade, scope), *positional, **named)

        return call

    def _function(self, function: Callable[..., object]) -> Call:
        arguments = self._arguments(function, skip=0)
        if arguments is None:
            return lambda _: function()

        def call(scope: Scope) -> object:
            positional, named = arguments(scope)
            return function(*positional, **named)

        return call

    def _of_model(self, function: Callable[..., object]) -> Call:
        arguments = self._arguments(function, skip=1)

        def call(scope: Scope) -> object:
            positional, named = arguments(scope) if arguments else ((), {})
            return function(scope.data, *positional, **named)

        return call

    def _arguments(self, function: Callable[..., object], *, skip: int) -> Arguments | None:
        """Work out once what a function takes; the result reads it from a scope. None if it takes nothing."""
        name = getattr(function, "__qualname__", repr(function))
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            what = f"{name} is a coroutine; a guard or action decides at once and does no outside work."
            self.problem(what, "Make it an activity: State(invoke=activity(...)).", written(function))
        for fault, call in faults(function):
            self.problem(f"{name} {fault}: {call}.", REMEDIES[fault], written(function))
        parameters = list(inspect.signature(function).parameters.values())[skip:]
        if not parameters:
            return None
        named = [item for item in parameters if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)]
        always = ALWAYS if self.data_class is not None else ALWAYS[1:]
        if len(named) == len(parameters) and all(
            item.name in always and item.kind is not item.KEYWORD_ONLY for item in named
        ):
            provides = [self.provided[item.name] for item in named]
            return lambda scope: ([provide(scope) for provide in provides], {})
        return partial(self._read, name, parameters, preparing=name.rpartition(".")[2] != "prepare_event")

    def _read(
        self, name: str, parameters: Iterable[inspect.Parameter], scope: Scope, *, preparing: bool
    ) -> tuple[list[Any], dict[str, Any]]:
        """What the library would give: by name first, then by position, then what is left to `*args` and `**kwargs`."""
        payload = scope.event.payload
        prepared = self.prepared(scope) if preparing else {}
        items = _items(payload)
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for parameter in parameters:
            match parameter.kind:
                case parameter.VAR_POSITIONAL:
                    positional += items
                case parameter.VAR_KEYWORD:
                    others = {**fields_of(payload), **self._all(scope), **prepared}
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

    def prepared(self, scope: Scope) -> dict[str, Any]:
        """What `prepare_event` adds to the arguments of this event's callbacks; asked once an event."""
        if self.preparing is None:
            self.preparing = self._named("prepare_event")
        if not self.preparing:
            return {}
        if scope.prepared is None or scope.prepared[0] is not scope.event:
            values: dict[str, Any] = {}
            for _, call, _ in self.preparing:
                values.update(cast("Mapping[str, Any]", call(scope) or {}))
            scope.prepared = (scope.event, values)
        return cast("dict[str, Any]", scope.prepared[1])

    def _all(self, scope: Scope) -> dict[str, object]:
        values = {name: provide(scope) for name, provide in self.provided.items()}
        return {name: value for name, value in values.items() if value is not MISSING}

    def _states(self, ids: Iterable[str]) -> Any:
        ordered = sorted(ids, key=list(self.library).index)
        return OrderedSet(self.library[id] for id in ordered)

    def _event_data(self, scope: Scope) -> EventData:
        names = ("machine", "event", "transition", "state", "source", "target")
        return EventData(*(self.provided[name](scope) for name in names))

    def _when(self, spec: Any, call: Call) -> Call:
        """Named conventions (`on_pay`) run for their own event only, where a transition has several."""
        if spec.cond is None:
            return call
        event = self.names.spelled(str(spec.cond.__self__))
        return lambda scope: call(scope) if scope.event.name == event else None


def _items(payload: object) -> list[Any]:
    """What a payload gives by position."""
    return [*cast("Iterable[Any]", payload)] if isinstance(payload, list) else []


def _attribute_of(owner: object, name: str, _: Scope) -> object:
    return getattr(owner, name)


def _fields_of(cls: type[Any]) -> set[str]:
    """Names of the fields that a class or its bases declare, or give their instances."""
    declared = {name for base in cls.__mro__ for name in inspect.get_annotations(base)}
    if issubclass(cls, BaseModel) or is_dataclass(cls):
        return declared
    try:
        made: object = cls()
        return declared | set(vars(made))
    except Exception:  # noqa: BLE001 - one that cannot be made has no more to tell
        return declared


def _shown(spec: Any) -> str:
    """The name as its author wrote it: the library wraps that of a function that is an event, too."""
    name = str(spec.attr_name)
    return name.strip("_") if spec.is_event else name


def written(thing: Any) -> Location | None:
    """Where a function or class stands in its file."""
    code = getattr(thing, "__code__", None)
    if code is not None:
        return Location(code.co_filename, code.co_firstlineno)
    return place_of(thing) if isinstance(thing, type) else None
