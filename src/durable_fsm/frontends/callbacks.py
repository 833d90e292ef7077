"""Callbacks of python-statemachine: found by name, decorator or convention, and called with what they ask for by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

from pydantic import BaseModel
from statemachine import Event as LibraryEvent
from statemachine import State as LibraryState
from statemachine import spec_parser

from durable_fsm.core.ask import Unknown, UnknownPayload
from durable_fsm.core.model import Callback, Event, Failure, Guard, Location
from durable_fsm.core.scope import Scope
from durable_fsm.errors import Problem
from durable_fsm.frontends.facade import Facade, enter

MISSING = object()
PARSER = cast("Any", spec_parser)  # Any: the library leaves its parser untyped
Call = Callable[[Scope], object]


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


def field_of(value: object, name: str) -> object:
    """The member *name* of a payload, whatever kind of object that is; MISSING if it has none."""
    if isinstance(value, UnknownPayload):
        raise Unknown(name)
    if isinstance(value, Mapping):
        return cast("Mapping[str, object]", value).get(name, MISSING)
    return getattr(value, name, MISSING) if _has_fields(value) else MISSING


def fields_of(value: object) -> dict[str, object]:
    """All members of a payload by name."""
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
        data_class: type | None,
        library: Mapping[str, LibraryState],
        problems: list[Problem],
    ) -> None:
        facade.durable_states = library
        self.facade = facade
        self.data_class = data_class
        self.library = library
        self.problems = problems
        self.sample = None if data_class is not None else facade()
        self.provided: dict[str, Call] = {
            "data": lambda scope: scope.data,
            "model": lambda scope: scope.data,
            "payload": lambda scope: scope.event.payload,
            "event": lambda scope: TakenEvent.of(scope.event),
            "result": _result,
            "error": _error,
            "effects": lambda scope: scope.effects,
            "ids": lambda scope: scope.ids,
            "machine": lambda scope: enter(facade, scope),
            "transition": lambda scope: scope.transition,
            "state": self._state,
            "source": self._source,
            "target": self._target,
        }

    # ── what the reader asks for ──────────────────────────────────────────────────────────────────────────────────────

    def of(self, group: Iterable[Any]) -> tuple[Callback, ...]:
        """The actions of one slot, in the library's order: generic, inline, decorated, named."""
        found: dict[str, Callback] = {}
        for spec in sorted(group, key=lambda spec: spec.priority):
            for place, call, location in self._resolve(spec):
                found.setdefault(f"{place}.{spec.attr_name}", Callback(_shown(spec), _when(spec, call), location))
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

    def _resolve(self, spec: Any) -> list[tuple[str, Call, Location | None]]:
        """Every callable behind a spec: where it was found, how to call it, and where it is written."""
        if spec.may_contain_boolean_expression and not spec.func.isidentifier():
            return self._expression(spec.func)
        if isinstance(spec.func, str):
            found = self._named(spec.func)
            if not found and not spec.is_convention:
                self._problem(
                    f"callback '{spec.func}' is neither on the chart nor on its data.", "Define it, or mend the name."
                )
            return found
        if isinstance(spec.func, property):
            return self._named(spec.attr_name)
        own = inspect.getattr_static(self.facade, spec.lookup_name, None)
        if own is spec.func:
            return [("machine", self._method(spec.func), _written(spec.func))]
        return [(f"object {id(spec.func)}", self._function(spec.func), _written(spec.func))]

    def _named(self, name: str) -> list[tuple[str, Call, Location | None]]:
        found: list[tuple[str, Call, Location | None]] = []
        own = inspect.getattr_static(self.facade, name, MISSING)
        if own is MISSING and self.sample is not None and name in vars(self.sample):
            own = None
        if own is not MISSING and not isinstance(own, LibraryState) and name not in PROTECTED:
            found.append(("machine", self._attribute(own, name), _written(own)))
        if self.data_class is not None and (own := self._of_data(name)) is not MISSING:
            found.append(("data", self._attribute_of_data(own, name), _written(own)))
        return found

    def _of_data(self, name: str) -> object:
        declared = inspect.getattr_static(self.data_class, name, MISSING)
        if declared is MISSING and name in inspect.get_annotations(cast("type", self.data_class)):
            return None
        if isinstance(self.data_class, type) and issubclass(self.data_class, BaseModel):
            return None if name in self.data_class.model_fields else declared
        return declared

    def _attribute(self, own: object, name: str) -> Call:
        if inspect.isfunction(own):
            return self._method(own)
        if isinstance(own, staticmethod | classmethod):
            return self._function(getattr(self.facade, name))
        if isinstance(own, LibraryEvent):
            return lambda scope: getattr(enter(self.facade, scope), name)()
        return lambda scope: getattr(enter(self.facade, scope), name)

    def _attribute_of_data(self, own: object, name: str) -> Call:
        if inspect.isfunction(own):
            arguments = self._arguments(own, skip=1)
            return lambda scope: own(scope.data, **arguments(scope))
        return lambda scope: getattr(scope.data, name)

    def _expression(self, text: str) -> list[tuple[str, Call, Location | None]]:
        """A boolean expression of guards, read by the library's own parser, which allows names and operators only."""

        def named(name: str) -> Callable[..., object]:
            found = self._named(name)
            if not found:
                self._problem(f"guard '{text}' speaks of '{name}', which is neither on the chart nor on its data.", "")
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
            self._problem(f"guard '{text}' is no boolean expression: {error}.", "Use names, and, or, not, comparisons.")
            return []
        return [(text, lambda scope: expression(scope, machine=enter(self.facade, scope)), None)]

    # ── calling ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _method(self, function: Callable[..., object]) -> Call:
        arguments = self._arguments(function, skip=1)
        return lambda scope: function(enter(self.facade, scope), **arguments(scope))

    def _function(self, function: Callable[..., object]) -> Call:
        arguments = self._arguments(function, skip=0)
        return lambda scope: function(**arguments(scope))

    def _arguments(self, function: Callable[..., object], *, skip: int) -> Callable[[Scope], dict[str, Any]]:
        """Work out once what a function takes; the result reads it from a scope."""
        name = getattr(function, "__qualname__", repr(function))
        if inspect.iscoroutinefunction(function):
            self._problem(
                f"{name} is a coroutine; a guard or action decides at once and does no outside work.",
                "Make it an activity: State(invoke=activity(...)).",
                _written(function),
            )
        parameters = list(inspect.signature(function).parameters.values())[skip:]
        wanted: list[tuple[str, Call | None, Any]] = []
        takes_all = False
        for parameter in parameters:
            if parameter.kind is parameter.VAR_KEYWORD:
                takes_all = True
            elif parameter.kind is parameter.POSITIONAL_ONLY:
                self._problem(f"{name} takes '{parameter.name}' by position only.", "Name the parameter.")
            elif parameter.kind is not parameter.VAR_POSITIONAL:
                default = MISSING if parameter.default is parameter.empty else parameter.default
                wanted.append((parameter.name, self.provided.get(parameter.name), default))

        def arguments(scope: Scope) -> dict[str, Any]:
            given = {**fields_of(scope.event.payload), **self._all(scope)} if takes_all else {}
            for parameter, provide, default in wanted:
                value = provide(scope) if provide else MISSING
                if value is MISSING:
                    value = field_of(scope.event.payload, parameter)
                if value is MISSING:
                    value = default
                if value is MISSING:
                    raise TypeError(f"{name} asks for '{parameter}', and event '{scope.event.name}' brings none")
                given[parameter] = value
            return given

        return arguments

    def _all(self, scope: Scope) -> dict[str, object]:
        values = {name: provide(scope) for name, provide in self.provided.items()}
        return {name: value for name, value in values.items() if value is not MISSING}

    def _state(self, scope: Scope) -> object:
        return self.library.get(scope.state.id) if scope.state is not None else None

    def _source(self, scope: Scope) -> object:
        return self.library.get(scope.source or "")

    def _target(self, scope: Scope) -> object:
        return self.library.get(scope.target or "")

    def _problem(self, what: str, remedy: str, place: Location | None = None) -> None:
        self.problems.append(Problem(what, remedy, str(place or _written(self.facade.__mro__[1]) or "")))


PROTECTED = {"model", "state_field", "start_value", "initial_state", "final_states", "states", "states_map", "send"}


def _shown(spec: Any) -> str:
    return "<lambda>" if spec.attr_name == "<lambda>" else str(spec.attr_name).strip("_") or str(spec.attr_name)


def _when(spec: Any, call: Call) -> Call:
    """Named conventions (`on_pay`) run for their own event only, where a transition has several."""
    if spec.cond is None:
        return call
    event = str(spec.cond.__self__)
    dotted = {event, event.replace("_", "."), event.replace("_", ".", 2)}
    return lambda scope: call(scope) if scope.event.name in dotted else None


def _written(thing: Any) -> Location | None:
    code = getattr(thing, "__code__", None)
    if code is not None:
        return Location(code.co_filename, code.co_firstlineno)
    try:
        _, line = inspect.getsourcelines(thing)
        return Location(inspect.getsourcefile(thing) or "?", line)
    except (OSError, TypeError):
        return None
