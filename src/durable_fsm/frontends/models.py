"""Models of transitions: the data of a chart, whose methods are its callbacks and may trigger events."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Collection, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

from durable_fsm.core.model import Callback, Guard, Location, Origin
from durable_fsm.core.scope import Scope
from durable_fsm.frontends.arguments import (
    MISSING,
    ByName,
    Call,
    Report,
    TakenEvent,
    error_of,
    fields_of,
    items_of,
    result_of,
    written,
)

_scope: ContextVar[Scope] = ContextVar("scope")
"""The step under way, for what a model's methods ask of their machine."""


def model_type(declared: type | None, triggers: Collection[str], states: Collection[str]) -> type | None:
    """The model's class with what the library adds to models: triggers, `is_<state>()` and `state`."""
    if declared is None:
        return None
    added: dict[str, Any] = {"__module__": declared.__module__, "__qualname__": declared.__qualname__}
    for name in triggers:
        if name.isidentifier() and not hasattr(declared, name):
            added[name] = _trigger(name)
    for id in states:
        if f"is_{id}".isidentifier() and not hasattr(declared, f"is_{id}"):
            added[f"is_{id}"] = _is_active(id)
    known = {*dir(declared), *getattr(declared, "__annotations__", {})}
    added |= {
        name: found for name, found in (("state", property(_active)), ("trigger", _any_trigger)) if name not in known
    }
    metaclass: Any = type(declared)
    return cast("type", metaclass(declared.__name__, (declared,), added))


def _trigger(event: str) -> Callable[..., bool]:
    def trigger(_: object, *args: Any, **kwargs: Any) -> bool:
        return _any_trigger(_, event, *args, **kwargs)

    trigger.__name__ = event
    return trigger


def _any_trigger(_: object, event: str, *args: Any, **kwargs: Any) -> bool:
    """Raise an event: it is taken when the transition under way is over, as with `queued=True`."""
    if args and kwargs:
        raise TypeError(f"'{event}' is triggered with positional and with named arguments; name them all")
    _scope.get().effects.raise_(event, list(args) if args else kwargs or None)
    return True


def _is_active(id: str) -> Callable[[object], bool]:
    def is_active(_: object) -> bool:
        return id in _scope.get().configuration

    return is_active


def _active(_: object) -> object:
    scope = _scope.get()
    leaves = scope.chart.index.leaves(scope.configuration)
    return leaves[0] if len(leaves) == 1 else list(leaves)


@dataclass(frozen=True, slots=True)
class EventData:
    """What callbacks get with `send_event=True`; the library's class has more, all of it about its own engine."""

    event: TakenEvent
    model: object
    state: object
    transition: object
    args: tuple[object, ...]
    kwargs: dict[str, object]
    error: object


class ModelCallbacks(ByName):
    """Resolves callbacks: methods and attributes of the model, functions, and dotted paths to functions."""

    def __init__(self, model: type | None, triggers: Collection[str], problem: Report, *, send_event: bool) -> None:
        self.model = model
        self.triggers = triggers
        self.send_event = send_event
        provided: dict[str, Call] = {
            "data": lambda scope: scope.data,
            "model": lambda scope: scope.data,
            "payload": lambda scope: scope.event.payload,
            "event": lambda scope: TakenEvent.of(scope.event),
            "result": result_of,
            "error": error_of,
            "effects": lambda scope: scope.effects,
            "ids": lambda scope: scope.ids,
            "event_data": _event_data,
        }
        always = ("data", "model", "payload", "event", "effects", "ids")
        super().__init__(provided, problem, always=always)

    def of(self, names: Iterable[Any]) -> tuple[Callback, ...]:
        """The callbacks that these names and functions stand for."""
        found: list[Callback] = []
        for name in names:
            call, location = self._resolve(name)
            if call is not None:
                shown = name if isinstance(name, str) else str(getattr(name, "__name__", name))
                found.append(Callback(shown, self._within(call), location))
        return tuple(found)

    def preparation(self, name: Any, *, once: bool = False) -> Guard:
        """A callback that runs before the conditions; as a guard, it never says no."""
        (callback,) = self.of([name]) or (Callback(str(name), lambda _: None),)

        def prepare(scope: Scope) -> bool:
            done = scope.prepared[1] if scope.prepared is not None and scope.prepared[0] is scope.event else ()
            if once and callback.name in cast("tuple[str, ...]", done):
                return True
            callback.call(scope)
            if once:
                scope.prepared = (scope.event, (*cast("tuple[str, ...]", done), callback.name))
            return True

        return Guard(callback.name, prepare, callback.location)

    def _within(self, call: Call) -> Call:
        """The call, in which the data has the methods that the library gives to models, and they know their step."""
        lent = self.model

        def within(scope: Scope) -> object:
            data = scope.data
            token = _scope.set(scope)
            if lent is not None:
                object.__setattr__(data, "__class__", lent)
            try:
                return call(scope)
            finally:
                if lent is not None:
                    object.__setattr__(data, "__class__", lent.__base__)
                _scope.reset(token)

        return within

    def everything(self, scope: Scope) -> dict[str, object]:
        """Nothing: the library's callbacks get what was sent with the event."""
        return {}

    @staticmethod
    def not_at_the_start(callback: Callback) -> Callback:
        """The library enters no state when a machine is made: only events lead to callbacks."""

        def call(scope: Scope) -> object:
            if scope.event.name == "create" and scope.event.origin is Origin.PLATFORM:
                return None
            return callback.call(scope)

        return Callback(callback.name, call, callback.location)

    def _resolve(self, name: Any) -> tuple[Call | None, Location | None]:
        if not isinstance(name, str):
            return self._called(name, skip=0, bound=False), written(name)
        if name in self.triggers and not _is_own(self.model, name):
            return (lambda scope: scope.effects.raise_(name, fields_of(scope.event.payload) or None)), None
        own = inspect.getattr_static(self.model, name, MISSING) if self.model is not None else MISSING
        if own is MISSING and self.model is not None and name in getattr(self.model, "__annotations__", {}):
            own = None
        if own is not MISSING or (self.model is not None and name in _attributes(self.model)):
            if inspect.isfunction(own):
                return self._called(own, skip=1, bound=True), written(own)
            if isinstance(own, staticmethod | classmethod):
                return self._called(getattr(self.model, name), skip=0, bound=False), written(own)
            return (lambda scope: getattr(scope.data, name)), None
        module, dot, member = name.rpartition(".")
        if dot:
            try:
                return self._called(getattr(importlib.import_module(module), member), skip=0, bound=False), None
            except (ImportError, AttributeError):
                pass
        where = f"on {self.model.__name__}" if self.model is not None else "anywhere, because there is no model"
        self.problem(f"callback '{name}' is not {where}.", "Define it, or mend the name.", None)
        return None, None

    def _called(self, function: Any, *, skip: int, bound: bool) -> Call:
        if self.send_event:
            return self._with_event_data(function, bound=bound)
        arguments = self.arguments_of(function, skip=skip)

        def call(scope: Scope) -> object:
            positional, named = arguments(scope) if arguments else ((), {})
            return function(scope.data, *positional, **named) if bound else function(*positional, **named)

        return call

    def _with_event_data(self, function: Any, *, bound: bool) -> Call:
        if inspect.iscoroutinefunction(function):
            self.arguments_of(function, skip=0)  # which reports it

        def call(scope: Scope) -> object:
            return function(scope.data, _event_data(scope)) if bound else function(_event_data(scope))

        return call


def _is_own(model: type | None, name: str) -> bool:
    """Whether the author's class has this method, and not only what was added to it."""
    return model is not None and any(name in vars(base) for base in model.__mro__[1:])


def _attributes(model: type) -> Collection[str]:
    """What instances have that their class does not show."""
    fields: Any = getattr(model, "model_fields", None) or getattr(model, "__dataclass_fields__", None)
    if fields is not None:
        return cast("Collection[str]", fields)
    try:
        made: object = model()
        return vars(made)
    except Exception:  # noqa: BLE001 - one that cannot be made has no more to tell
        return ()


def _event_data(scope: Scope) -> EventData:
    payload = scope.event.payload
    positional = tuple(items_of(payload))
    return EventData(
        event=TakenEvent.of(scope.event),
        model=scope.data,
        state=scope.state,
        transition=scope.transition,
        args=positional,
        kwargs=fields_of(payload),
        error=None if (error := error_of(scope)) is MISSING else error,
    )
