"""Callbacks of transitions: found by name on the model or elsewhere, and called with the arguments they name."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any, cast

from durable_fsm.core.chart import Callback, Guard
from durable_fsm.core.events import PLATFORM_NAMES, Origin
from durable_fsm.core.program import index_of
from durable_fsm.core.questions import UnknownPayload
from durable_fsm.core.scope import Scope
from durable_fsm.core.values import Location
from durable_fsm.frontends.arguments import (
    MISSING,
    Arguments,
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
from durable_fsm.frontends.transitions.models import CallbackMoment, ModelNames, moment, now
from durable_fsm.frontends.values import shared_by_copies

OURS = ("effects", "ids")
"""Names of arguments that no sender fills."""


@dataclass(frozen=True, slots=True)
class StateData:
    """A state, as callbacks with `send_event=True` see it."""

    name: str
    value: object
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TransitionData:
    """A transition, as callbacks with `send_event=True` see it; `dest` is None for an internal one."""

    source: str
    dest: str | None


@dataclass(slots=True)
class ModelEventData:
    """The argument of callbacks with `send_event=True`: one object for all callbacks of an event.

    The library's class also has a `machine`. This one does not, because the library's engine never runs.
    """

    event: TakenEvent
    model: object
    state: object
    transition: TransitionData | None
    args: tuple[object, ...]
    kwargs: dict[str, object]
    error: object
    result: bool = False


@dataclass(slots=True)
class _Taken:
    """The state of one event: who prepared it, the object its callbacks share, and the final states reached."""

    data: ModelEventData
    prepared: set[str] = field(default_factory=set[str])
    finals: list[str] = field(default_factory=list[str])


class ModelCallbacks(ByName):
    """Resolves callbacks: methods and attributes of the model, functions, and dotted paths to functions.

    `models` are the objects that a live machine drives. Their bound methods are replaced by those of the data.

    Callbacks of a live machine were written for the library, so that every argument is the sender's; they may ask for
    `effects` and `ids`, too. In a configuration other names have a meaning as well. There a sender's argument of such a
    name is an error, and not left out in silence.
    """

    def __init__(
        self,
        model: type | None,
        fields: Collection[str],
        names: ModelNames,
        problem: Report,
        *,
        send_event: bool,
        models: Collection[object] = (),
        live: bool = False,
    ) -> None:
        self.model = model
        self.fields = fields
        self.names = names
        self.send_event = send_event
        self.models = models
        provided: dict[str, Call] = {
            "data": lambda scope: scope.data,
            "model": lambda scope: scope.data,
            "payload": lambda scope: scope.event.payload,
            "event": TakenEvent.of,
            "result": result_of,
            "error": error_of,
            "effects": lambda scope: scope.effects,
            "ids": lambda scope: scope.ids,
            "event_data": lambda scope: self.taken(scope).data,
        }
        always: tuple[str, ...] = ("data", "model", "payload", "event", "effects", "ids")
        if live:
            provided = {name: provided[name] for name in OURS}
            always = OURS
        super().__init__(provided, problem, always=always)

    # ── for the reader ────────────────────────────────────────────────────────────────────────────────────────────────

    def of(self, names: Iterable[Any], *, moved: bool = False) -> tuple[Callback, ...]:
        """The callbacks of these names and functions.

        Args:
            names: of methods, or functions.
            moved: show the model in the state where the transition leads; otherwise, in the one where it comes from.
        """
        found: list[Callback] = []
        for name in names:
            call, location = self._resolve(name)
            if call is not None:
                shown = name if isinstance(name, str) else str(getattr(name, "__name__", name))
                found.append(Callback(shown, self._within(call, moved=moved), location))
        return tuple(found)

    def preparation(self, name: Any, *, once: bool = False) -> Guard:
        """A callback that runs before the conditions, made a guard that always passes."""
        (callback,) = self.of([name]) or (Callback(str(name), lambda _: None),)

        def prepare(scope: Scope) -> bool:
            prepared = self.taken(scope).prepared
            if isinstance(scope.event.payload, UnknownPayload) and not prepared:
                # a guard that changes the data must not influence the next one
                scope.data = deepcopy(scope.data, shared_by_copies(scope.data, scope.chart.data))
            if not once or callback.name not in prepared:
                prepared.add(callback.name)
                callback.call(scope)
            return True

        return Guard(callback.name, prepare, callback.location)

    @staticmethod
    def not_at_the_start(callback: Callback) -> Callback:
        """The callback, left out when a machine is created: the library enters no state then."""

        def call(scope: Scope) -> object:
            return None if _is_beginning(scope) else callback.call(scope)

        return Callback(callback.name, call, callback.location)

    def noting(self, id: str) -> Callback:
        """An entry action that remembers that a final state was entered."""
        return self.not_at_the_start(Callback("final", lambda scope: self.taken(scope).finals.append(id)))

    def ending(self, last: Mapping[str, tuple[Callback, ...]], is_final: Callable[[str], bool]) -> Callback:
        """An action that runs after all states are entered: `on_final` of each state that ended, from the inside out.

        Args:
            last: the callbacks by state; those of the whole machine under the id of the root.
            is_final: whether the library declares a state final.
        """

        def call(scope: Scope) -> None:
            finals, regions = self.taken(scope).finals, index_of(scope.chart).regions

            def reach(id: str) -> tuple[bool, list[str]]:
                below = [child for child in regions[id] if child in scope.coming and child in self.names.states]
                if not below:
                    return is_final(id), [id] if id in finals else []
                found = [reach(child) for child in below]
                reached = [name for _, names in found for name in names]
                ended = all(end for end, _ in found)
                return ended, [*reached, id] if ended and reached else reached

            for id in reach(scope.chart.root.id)[1] if finals else ():
                for callback in last.get(id, ()):
                    callback.call(scope)
            finals.clear()

        return Callback("on_final", call)

    def finished(self, callback: Callback) -> Callback:
        """A callback that runs after the event has its result."""

        def call(scope: Scope) -> object:
            self.taken(scope).data.result = True
            return callback.call(scope)

        return Callback(callback.name, call, callback.location)

    # ── calling ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def taken(self, scope: Scope) -> _Taken:
        """The state of the current event, updated for the current callback."""
        if scope.prepared is None or scope.prepared[0] is not scope.event:
            payload = scope.event.payload
            unknown = isinstance(payload, UnknownPayload)  # a callback that reads a member of it raises Unknown
            data = ModelEventData(
                event=TakenEvent.of(scope),
                model=scope.data,
                state=None,
                transition=None,
                args=cast("Any", payload) if unknown else tuple(items_of(payload)),
                kwargs=cast("Any", payload) if unknown else fields_of(payload),
                error=None if (error := error_of(scope)) is MISSING else error,
            )
            scope.prepared = (scope.event, _Taken(data))
        return cast("_Taken", scope.prepared[1])

    def _event_data(self, scope: Scope) -> ModelEventData:
        data = self.taken(scope).data
        states = [self._state(scope, id) for id in now().deepest]
        data.model = scope.data
        data.state = states[0] if len(states) == 1 else states
        edge = scope.transition
        data.transition = TransitionData(edge.source, next(iter(edge.targets), None)) if edge is not None else None
        return data

    def _state(self, scope: Scope, id: str) -> StateData:
        return StateData(id, self.names.states[id], scope.chart.states[id].tags)

    def _within(self, call: Call, *, moved: bool) -> Call:
        """The call, during which the data has the methods that the library adds to models."""
        lent = self.model

        def within(scope: Scope) -> object:
            data = scope.data
            own = type(data)
            token = moment.set(CallbackMoment(scope, scope.coming if moved else scope.previous, self.names.states))
            if lent is not None:
                object.__setattr__(data, "__class__", lent)
            try:
                return call(scope)
            finally:
                if lent is not None:
                    object.__setattr__(data, "__class__", own)
                moment.reset(token)

        return within

    def everything(self, scope: Scope) -> dict[str, object]:
        """Nothing: callbacks of the library get the arguments of the event, and no others."""
        return {}

    def arguments_of(self, function: Callable[..., object], *, skip: int) -> Arguments | None:
        """See `ByName`. An argument of the sender with a name of ours is refused: the library would pass it."""
        found = super().arguments_of(function, skip=skip)
        if found is None:
            return None
        named = {*list(inspect.signature(function).parameters)[skip:]}
        # A function has no other way to the data than this name; a method has its self.
        clashes = named & self.provided.keys() - {*OURS, *(() if skip else ("data", "model", "payload"))}
        if not clashes:
            return found
        name = getattr(function, "__qualname__", repr(function))

        def read(scope: Scope) -> tuple[list[Any], dict[str, Any]]:
            payload = scope.event.payload
            if scope.event.name.startswith(PLATFORM_NAMES):  # its payload is a result, and not arguments of a sender
                return found(scope)
            if isinstance(payload, list) or (isinstance(payload, dict) and clashes & payload.keys()):
                clash = min(clashes)
                raise TypeError(
                    f"the sender's argument and ours of {name} are both called '{clash}'; rename the parameter"
                )
            return found(scope)

        return read

    # ── finding ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _resolve(self, name: Any) -> tuple[Call | None, Location | None]:
        if not isinstance(name, str):
            return self._function(name)
        if name in self.names.triggers and not self._is_own(name):
            return (lambda scope: scope.effects.raise_(name, scope.event.payload)), None
        if self.model is not None:
            own = inspect.getattr_static(self.model, name, MISSING)
            if inspect.isfunction(own):
                return self._called(own, skip=1, bound=True), written(own)
            if isinstance(own, staticmethod | classmethod):
                return self._called(getattr(self.model, name), skip=0, bound=False), written(own)
            if (
                own is not MISSING
                or name in self.fields
                or any(name in vars(c).get("__annotations__", ()) for c in self.model.__mro__)
            ):
                return (lambda scope: getattr(scope.data, name)), None
        module, dot, member = name.rpartition(".")
        if dot:
            try:
                return self._function(getattr(importlib.import_module(module), member))
            except (ImportError, AttributeError):
                pass
        where = f"on {self.model.__name__}" if self.model is not None else "anywhere, because there is no model"
        self.problem(f"callback '{name}' is not {where}.", "Define it, or correct the name.", None)
        return None, None

    def _function(self, function: Any) -> tuple[Call, Location | None]:
        """Call a function as it is; of a method bound to a live model, call that of the data."""
        if self._is_part_of_a_model(function):
            return self._called(_unbound(function), skip=1, bound=True), written(function.func.__func__)
        if self._is_of_a_model(function):
            return self._called(function.__func__, skip=1, bound=True), written(function.__func__)
        if any(_holds(function, model) for model in self.models):
            what = f"callback {getattr(function, '__qualname__', function)} holds the object that made the machine, and not"
            self.problem(f"{what} the data of each.", "Name the method: after='note'.", written(function))
        owner = getattr(function, "__self__", None)
        if inspect.ismethod(function) and not isinstance(owner, type | ModuleType | logging.Logger):
            what = f"callback {function.__qualname__} belongs to a {type(owner).__name__}, which is not the model: all machines"
            remedy = "Make it a method of the model, or a function of the data."
            self.problem(
                f"{what} of a process would share that object, and none would store it.", remedy, written(function)
            )
        return self._called(function, skip=0, bound=False), written(function)

    def _is_of_a_model(self, function: Any) -> bool:
        return inspect.ismethod(function) and any(function.__self__ is model for model in self.models)

    def _is_part_of_a_model(self, function: Any) -> bool:
        return isinstance(function, partial) and self._is_of_a_model(cast("Any", function).func)

    def _called(self, function: Any, *, skip: int, bound: bool) -> Call:
        arguments = self.arguments_of(function, skip=skip)
        if self.send_event:
            return lambda scope: function(*([scope.data] if bound else []), self._event_data(scope))

        def call(scope: Scope) -> object:
            positional, named = arguments(scope) if arguments else ((), {})
            return function(scope.data, *positional, **named) if bound else function(*positional, **named)

        return call

    def _is_own(self, name: str) -> bool:
        """True if the author's class has this method; methods that were added to it do not count."""
        return self.model is not None and name not in vars(self.model) and hasattr(self.model, name)


def _unbound(bound: partial[Any]) -> Callable[..., Any]:
    """A method with some arguments, as a function of the model and the other arguments."""
    method: Any = bound.func

    def call(model: object, *args: Any, **kwargs: Any) -> Any:
        return method.__func__(model, *bound.args, *args, **{**bound.keywords, **kwargs})

    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    call.__name__, call.__qualname__ = method.__name__, method.__qualname__
    signature = inspect.signature(bound)
    call.__signature__ = signature.replace(parameters=[own, *signature.parameters.values()])  # type: ignore[attr-defined]
    return call


def _holds(function: object, model: object) -> bool:
    """Whether a function, such as a lambda inside a method, has this object among the names around it."""
    for cell in getattr(function, "__closure__", None) or ():
        try:
            if cell.cell_contents is model:
                return True
        except ValueError:  # not bound yet
            continue
    return False


def _is_beginning(scope: Scope) -> bool:
    return scope.event.name == "create" and scope.event.origin is Origin.PLATFORM
