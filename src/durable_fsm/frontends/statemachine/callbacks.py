"""Callbacks of python-statemachine: found by name, decorator or convention, and called with the arguments they name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, is_dataclass
from functools import partial
from typing import Any, cast

from pydantic import BaseModel
from statemachine import Event as LibraryEvent
from statemachine import State as LibraryState
from statemachine import spec_parser
from statemachine.orderedset import OrderedSet
from statemachine.transition import Transition as LibraryTransition

from durable_fsm.core.chart import Callback, Guard
from durable_fsm.core.scope import Scope
from durable_fsm.core.values import Location
from durable_fsm.frontends.arguments import (
    ALWAYS,
    MISSING,
    ByName,
    Call,
    Positional,
    Report,
    TakenEvent,
    error_of,
    fields_of,
    result_of,
    shown_name,
    written,
)
from durable_fsm.frontends.checks.assignments import assigned
from durable_fsm.frontends.making import CannotMake, made, unstorable, why
from durable_fsm.frontends.names import EventNames, unknown_states
from durable_fsm.frontends.statemachine.facade import OF_THE_LIBRARY, SCOPE, Facade, StateOf, with_a_data_type
from durable_fsm.frontends.values import data_of

PARSER = cast("Any", spec_parser)  # Any: the library leaves its parser untyped
FoundCallback = tuple[str, Call, Location | None]

PROTECTED = {"model", "state_field", "start_value", "initial_state", "final_states", "states", "states_map", "send"}
"""Names of the library that are never callbacks."""


@dataclass(frozen=True, slots=True)
class ClassEventData:
    """The library's `event_data`: the other arguments in one object."""

    machine: object
    event: object
    transition: object
    state: object
    source: object
    target: object


class ClassCallbacks(ByName):
    """Resolves the library's callback specs for one class."""

    def __init__(
        self,
        facade: type[Facade],
        data_class: object,
        library: Mapping[str, LibraryState],
        names: EventNames,
        problem: Report,
        services: Collection[str],
    ) -> None:
        self.services = services
        facade.durable_states = library
        events = cast("Iterable[LibraryEvent]", facade.events)
        self.event_names = {str(event): str(event.name) for event in events}
        self.facade = facade
        self.data_class = data_class
        self.library = library
        self.names = names
        self.edges: dict[str, LibraryTransition] = {}
        self.found: dict[str, list[FoundCallback]] = {}
        self.preparing: list[FoundCallback] | None = None
        self.fields: set[str] | None = None
        provided: dict[str, Call] = {
            "data": result_of if data_class is None else lambda scope: scope.data,
            "model": lambda scope: scope.data,
            "payload": lambda scope: scope.event.payload,
            "previous_configuration": lambda scope: self._states(scope.previous),
            "new_configuration": lambda scope: self._states(scope.coming),
            "event": self._event,
            "result": result_of,
            "error": error_of,
            "effects": lambda scope: scope.effects,
            "ids": lambda scope: scope.ids,
            "machine": lambda scope: enter(facade, scope),
            "transition": lambda scope: self.edges.get(scope.transition.key) if scope.transition else None,
            "state": lambda scope: library.get(scope.state.id) if scope.state else None,
            "source": lambda scope: library.get(scope.source or ""),
            "target": self._target,
            "event_data": self._event_data,
        }
        super().__init__(provided, problem, always=ALWAYS if data_class is not None else ALWAYS[1:])
        self.attributes = self._attributes()
        facade.durable_listeners = self.listeners = self._listeners()

    def _attributes(self) -> Collection[str]:
        """Names of the attributes that instances have; empty if the class declares a data type."""
        if self.data_class is not None:
            return ()
        try:
            instance = cast("object", made(self.facade))
        except CannotMake as failed:
            self.problem(*failed.found)
            return ()
        remedy = f"Declare a type of the data: {with_a_data_type(self.facade)}; or, if it is not data:"
        for problem in unstorable(data_of(instance, self.services), f"{remedy} @durable(services=['{{}}'])."):
            self.problem(*problem, None)
        return vars(instance)

    def _listeners(self) -> list[object]:
        """The observers that the class declares, made once: their attributes do not belong to a machine."""
        made: list[object] = []
        for entry in cast("Any", self.facade)._class_listeners:
            try:
                made.append(entry() if callable(entry) else entry)
            except Exception as error:  # noqa: BLE001 - the author's own code
                what, remedy, place = why(entry, error)
                self.problem(f"listener {what}", remedy, place)
        return made

    # ── for the reader ────────────────────────────────────────────────────────────────────────────────────────────────

    def of(self, group: Iterable[Any]) -> tuple[Callback, ...]:
        """The actions of one slot, in the library's order: generic, inline, decorated, named."""
        found: dict[str, Callback] = {}
        for spec in sorted(group, key=lambda spec: spec.priority):
            for place, call, location in self._resolve(spec):
                found.setdefault(
                    f"{place}.{spec.lookup_name}", Callback(_shown(spec), self._when(spec, call), location)
                )
        return tuple(found.values())

    def one(self, function: Any) -> Callback | None:
        """The callback of a function, or of the method with this name."""
        if isinstance(function, str):
            found = self._named(function)
            if not found:
                what = f"callback '{function}' is neither on the chart nor on its data."
                self.problem(what, "Define it, or correct the name.", None)
                return None
            _, call, location = found[0]
            return Callback(function, call, location)
        own = inspect.getattr_static(self.facade, getattr(function, "__name__", ""), None)
        call = self._method(function) if own is function else self._function(function)
        return Callback(shown_name(function), call, written(function))

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

    def _resolve(self, spec: Any) -> list[FoundCallback]:
        """Every callable behind a spec: where it was found, how to call it, and where it is written."""
        if spec.may_contain_boolean_expression and not spec.func.isidentifier():
            return self._expression(spec.func)
        if isinstance(spec.func, str):
            found = self._named(spec.func)
            if not found and not spec.is_convention:
                what = f"callback '{spec.func}' is neither on the chart nor on its data."
                self.problem(what, "Define it, or correct the name.", None)
            return found
        if isinstance(spec.func, property):
            return self._named(spec.attr_name)
        own = inspect.getattr_static(self.facade, spec.lookup_name, None)
        if own is spec.func:
            return [("machine", self._method(spec.func), written(spec.func))]
        return [(f"object {id(spec.func)}", self._function(spec.func), written(spec.func))]

    def _named(self, name: str) -> list[FoundCallback]:
        """The callbacks of this name, on the chart, its data and its listeners. Each name is searched once."""
        if name not in self.found:
            self.found[name] = self._look_for(name)
        return self.found[name]

    def _look_for(self, name: str) -> list[FoundCallback]:
        found: list[FoundCallback] = []
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

    def _expression(self, text: str) -> list[FoundCallback]:
        """A boolean expression of guards, read by the library's own parser, which allows names and operators only."""

        def named(name: str) -> Callable[..., object]:
            found = self._named(name)
            if not found:
                what = f"guard '{text}' names '{name}', which is neither on the chart nor on its data."
                self.problem(what, "Define it, or correct the name.", None)
            calls = [call for _, call, _ in found]

            def ask(scope: Scope, **_: object) -> object:
                answers = [call(scope) for call in calls]
                return answers[0] if len(answers) == 1 else all(answers)

            ask.__name__ = name
            return ask

        for what, remedy in unknown_states(
            PARSER.replace_operators(text), {state.id for state in self.library.values()}
        ):
            self.problem(what, remedy, None)
        parse = PARSER.parse_boolean_expr
        try:
            expression = cast("Callable[..., object]", parse(text, named, PARSER.operator_mapping))
        except (SyntaxError, ValueError) as error:
            what = f"guard '{text}' is not a boolean expression: {error}."
            self.problem(what, "Use names, and, or, not and comparisons.", None)
            return []
        return [(text, lambda scope: expression(scope, machine=enter(self.facade, scope)), None)]

    # ── calling ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _method(self, function: Callable[..., object]) -> Call:
        facade, arguments = self.facade, self.arguments_of(function, skip=1)
        for name, place in assigned(function) if self.data_class is not None else ():
            if name not in OF_THE_LIBRARY:
                what = f"{function.__qualname__} assigns self.{name}, which would be lost with its step."
                self.problem(what, f"Make '{name}' a field of the data, and change that.", place)
        if arguments is None:
            return lambda scope: function(enter(facade, scope))
        if isinstance(arguments, Positional):
            provides = arguments.provides
            return lambda scope: function(enter(facade, scope), *[provide(scope) for provide in provides])

        def call(scope: Scope) -> object:
            positional, named = arguments(scope)
            return function(enter(facade, scope), *positional, **named)

        return call

    def _function(self, function: Callable[..., object]) -> Call:
        arguments = self.arguments_of(function, skip=0)
        if arguments is None:
            return lambda _: function()

        def call(scope: Scope) -> object:
            positional, named = arguments(scope)
            return function(*positional, **named)

        return call

    def _of_model(self, function: Callable[..., object]) -> Call:
        arguments = self.arguments_of(function, skip=1)

        def call(scope: Scope) -> object:
            positional, named = arguments(scope) if arguments else ((), {})
            return function(scope.data, *positional, **named)

        return call

    @property
    def prepares(self) -> bool:
        """Whether `prepare_event` adds arguments."""
        return bool(self._named("prepare_event"))

    def prepared(self, scope: Scope) -> dict[str, Any]:
        """Arguments that `prepare_event` adds for the callbacks of this event; it is called once per event."""
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

    def _event(self, scope: Scope) -> TakenEvent:
        """The event, whose `name` is the one for people, as in the library: `Pay now` of `pay_now`."""
        taken = TakenEvent.of(scope)
        taken.name = self.event_names.get(str(taken), str(taken))
        return taken

    def _target(self, scope: Scope) -> LibraryState | None:
        """The state where the transition leads; of one that stays where it is, that state, as in the library."""
        if scope.target is not None:
            return self.library.get(scope.target)
        edge = self.edges.get(scope.transition.key) if scope.transition is not None else None
        return edge.target if edge is not None else None

    def _states(self, ids: Iterable[str]) -> Any:
        ordered = sorted(ids, key=list(self.library).index)
        return OrderedSet(self.library[id] for id in ordered)

    def _event_data(self, scope: Scope) -> ClassEventData:
        names = ("machine", "event", "transition", "state", "source", "target")
        return ClassEventData(*(self.provided[name](scope) for name in names))

    def _when(self, spec: Any, call: Call) -> Call:
        """Named conventions (`on_pay`) run for their own event only, where a transition has several."""
        if spec.cond is None:
            return call
        event = self.names.spelled(str(spec.cond.__self__))
        return lambda scope: call(scope) if scope.event.name == event else None


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
    except Exception:  # noqa: BLE001 - an instance cannot be made: only the declared fields are known
        return declared


def _shown(spec: Any) -> str:
    """The name as its author wrote it: the library changes the name of a function that is also an event."""
    name = str(spec.attr_name)
    return name.strip("_") if spec.is_event else name


def enter(facade: type[Facade], scope: Scope) -> Facade:
    """The facade of this step, made when the first callback asks for it."""
    if scope.machine is None:
        machine = scope.data if isinstance(scope.data, facade) else object.__new__(facade)
        vars(machine)[SCOPE] = scope
        scope.machine = machine
    return cast("Facade", scope.machine)
