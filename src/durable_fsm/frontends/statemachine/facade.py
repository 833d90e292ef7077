"""The `self` that callbacks of a python-statemachine class see: an instance whose engine never starts.

`self.send`, `self.raise_`, `self.cancel_event` and `self.pay()` ask for effects. With a declared data type, everything
else belongs on the data; without one, plain attributes are the data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from copy import copy, deepcopy
from datetime import timedelta
from types import NoneType
from typing import Any, NoReturn, cast

from statemachine import State as LibraryState
from statemachine import StateChart, StateMachine
from statemachine.callbacks import CallbacksRegistry
from statemachine.factory import StateMachineMetaclass
from statemachine.model import Model
from statemachine.orderedset import OrderedSet
from statemachine.state import InstanceState

from durable_fsm.core.callbacks import at_transition
from durable_fsm.core.chart import Transition
from durable_fsm.core.events import Event, Origin
from durable_fsm.core.program import index_of
from durable_fsm.core.scope import Scope, send_beside
from durable_fsm.frontends.values import Plain, shared_by_copies

SCOPE = "_durable_scope"
DATA = "_durable_data"
SHOWN = "_durable_states_shown"


OF_THE_LIBRARY: Mapping[str, type] = {
    "model": Model,
    "history_values": dict,
    "state_field": str,
    "start_configuration_values": list,
    "_callbacks": CallbacksRegistry,
    "_config": NoneType,
    "_listeners": dict,
    "_engine": NoneType,
}
"""The attributes that `StateMachine.__init__(self)`, the library's own, sets where an author calls it."""


class IdleEngine:
    """In place of the library's engine: it starts nothing."""

    def start(self, **_: Any) -> None: ...


class Facade(StateChart[Any]):
    """Overrides the library's engine; in the order of bases it is after the author's class and before the library's."""

    durable_data: bool
    durable_states: Mapping[str, LibraryState]
    durable_listeners: Iterable[object] = ()
    _engine: Any = IdleEngine()

    def __init__(
        self,
        model: object = None,
        state_field: str = "state",
        start_value: object = None,
        listeners: object = None,
        **_: Any,
    ) -> None:
        """Refuse what would be lost, and do nothing else. The library would start its engine here."""
        if model is not None:
            raise TypeError(f"the data is not passed; write its type: {with_a_data_type(type(self))}")
        if listeners:
            self.add_listener()
        if start_value is not None:
            raise TypeError("a machine begins in its initial state; start_value= has no meaning")

    # ── what the library's __init__ does ──────────────────────────────────────────────────────────────────────────────

    def _build_configuration(self) -> Any: ...

    def _resolve_class_listeners(self, **_: Any) -> list[object]:
        return []

    def _register_callbacks(self, listeners: list[object]) -> None: ...

    def _get_engine(self) -> Any: ...

    def activate_initial_state(self) -> None:
        """Do nothing: the host enters the initial state when the machine is created."""

    def add_listener(self, *listeners: object) -> NoReturn:
        raise TypeError("listeners are declared, so that every machine has them: listeners = [...] in the class")

    # ── what callbacks ask ────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _scope(self) -> Scope:
        scope = vars(self).get(SCOPE)
        if scope is None:
            raise RuntimeError("this machine only exists while a step runs")
        return cast("Scope", scope)

    @property
    def model(self) -> Any:
        kept = vars(self)
        if DATA in kept:
            return kept[DATA]
        return self._scope.data

    @property  # type: ignore[misc]
    def configuration(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        scope = self._scope
        return OrderedSet(self.durable_state(id) for id in index_of(scope.chart).in_order(self._active(scope)))

    def _active(self, scope: Scope) -> AbstractSet[str]:
        return scope.previous if self.atomic_configuration_update else scope.configuration

    def durable_state(self, id: str) -> InstanceState:
        """A state that knows whether it is active; the same object throughout a step, as in the library."""
        kept: dict[str, Any] = vars(self._scope)
        shown: dict[Any, InstanceState] | None = kept.get(SHOWN)
        if shown is None:
            shown = kept[SHOWN] = _shown_by(self)
        return shown[self.durable_states[id].value]

    @property
    def active_listeners(self) -> list[object]:
        return list(self.durable_listeners)

    @property
    def configuration_values(self) -> Any:
        return OrderedSet(state.value for state in self.configuration)

    @property  # type: ignore[misc]
    def current_state(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _only(self.configuration)

    @property  # type: ignore[misc]
    def current_state_value(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _only(self.configuration_values)

    @property
    def history_values(self) -> dict[str, list[LibraryState]]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """The states that each history state remembers, as before the event."""
        remembered = self._scope.before.history.items()
        return {history: [self.durable_state(id) for id in ids] for history, ids in remembered}

    @property
    def is_terminated(self) -> bool:
        ends = [self.durable_states[id] for id in self._scope.previous]
        return any(state.final and state.parent is None for state in ends)

    def enabled_events(self, *args: Any, **kwargs: Any) -> list[Any]:
        """The events that a transition would take now: all of its guards pass, or one of them raises."""
        here = self._scope
        index, payload = index_of(here.chart), _payload(args, kwargs)
        active = index.in_order(self._active(here))
        found: dict[str, None] = {}
        for edge in [edge for id in active for edge in index.transitions[id]]:
            for name in edge.events:
                if name not in found and _would_take(self._asking(here, name, payload), edge):
                    found[name] = None
        bound = [getattr(self, name, None) or getattr(self, name.replace(".", "_"), None) for name in found]
        return [event for event in bound if event is not None]

    def _asking(self, here: Scope, name: str, payload: object) -> Scope:
        """A scope in which a guard may be asked: its changes are lost."""
        scope = copy(here)
        scope.event = Event(name, payload, Origin.INTERNAL)
        scope.machine = None
        shared = shared_by_copies(here.data, here.chart.data)
        if here.data is self:
            scope.data = object.__new__(type(self))
            vars(scope.data).update(deepcopy({**vars(self), SCOPE: None}, shared))
        else:
            scope.data = deepcopy(here.data, shared)
        return scope

    def _put_nonblocking(self, trigger_data: Any, internal: bool = False) -> None:  # noqa: FBT001, FBT002 - as overridden
        name, payload = str(trigger_data.event), _payload(trigger_data.args, trigger_data.kwargs)
        if internal:
            self._scope.effects.raise_(name, payload)
        else:
            delay = timedelta(milliseconds=trigger_data.event.delay or 0)
            send_beside(self._scope.effects, name, payload, after=delay, id=trigger_data.send_id)

    def _processing_loop(self, caller_future: Any = None) -> None:
        """Do nothing: the step processes the event when this callback has returned."""

    def cancel_event(self, send_id: str) -> None:
        self._scope.effects.cancel(send_id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __setattr__(self, name: str, value: object) -> None:
        if name in OF_THE_LIBRARY and isinstance(value, OF_THE_LIBRARY[name]):
            return
        if name == "model":
            raise AttributeError(f"the data is not assigned; write its type: {with_a_data_type(type(self))}")
        if isinstance(getattr(Facade, name, None), property):
            raise AttributeError(f"self.{name} is changed by transitions only")  # noqa: TRY004 - it is not a type
        if self.durable_data:
            raise AttributeError(
                f"self.{name} = … would be lost with this step; make '{name}' a field of the data and change that"
            )
        object.__setattr__(self, name, value)


def _payload(positional: tuple[Any, ...], arguments: dict[str, Any]) -> object:
    """The payload of an event that a callback sends: its named arguments, the argument `payload` alone, or a list."""
    if positional and arguments:
        raise TypeError("an event is sent with positional and with named arguments; name them all")
    if positional:
        return list(positional)
    if arguments.keys() == {"payload"}:
        return arguments["payload"]
    return arguments or None


def facade_of(cls: type[StateChart[Any]], data_class: object) -> type[Facade]:
    """A subclass of the user's class whose instances have no engine.

    This does not call the metaclass's constructor, which would register and rebuild the whole chart.
    """
    events = {str(event) for event in cast("Any", cls)._events}  # an event hides a state of its name
    states = cast("Iterable[LibraryState]", cls.states_map.values())
    body: dict[str, Any] = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "durable_data": data_class is not None,
        "durable_states": {},
        **{state.id: StateOf(state) for state in states if state.id not in events},
    }
    return cast("type[Facade]", type.__new__(StateMachineMetaclass, cls.__name__, (cls, Facade), body))


def with_a_data_type(cls: type, data: str = "") -> str:
    """The first line of a class with a data type, for the base that this one has: `class Order(StateChart[OrderData])`."""
    name = cls.__name__
    base = "StateMachine, StateChart" if issubclass(cls, StateMachine) else "StateChart"
    return f"class {name}({base}[{data or f'{name}Data'}])"


def _only(found: Any) -> Any:
    """One value by itself; several as a set."""
    return found[0] if len(found) == 1 else found


def _would_take(scope: Scope, edge: Transition) -> bool:
    at_transition(scope, edge)
    try:
        return all(bool(guard.call(scope)) is not guard.negated for guard in edge.guards)
    except Exception:  # noqa: BLE001 - as in the library
        return True


class StateOf:
    """`self.paid`: the state, which knows whether it is active."""

    def __init__(self, state: LibraryState) -> None:
        self.state = state

    def __get__(self, machine: Facade | None, owner: object) -> LibraryState:
        if machine is None:
            return self.state
        if SCOPE not in vars(machine):
            return _shown_by(machine)[self.state.value]
        return machine.durable_state(next(id for id, state in machine.durable_states.items() if state is self.state))


def _shown_by(machine: Facade) -> dict[Any, InstanceState]:
    """The states of one machine by their values."""
    found: dict[Any, InstanceState] = {}
    for state in machine.durable_states.values():
        found[state.value] = InstanceState(state, machine, found)
    return found


def worker(facade: type[Facade], data: object) -> Facade:
    """The `self` of a method that does outside work: it has the data, and cannot change the machine."""
    if isinstance(data, facade):
        return data
    machine = object.__new__(facade)
    vars(machine)[DATA] = data
    return machine


def attributes(facade: type[Facade], services: Collection[str] = ()) -> Plain:
    """The `ValueType` of a chart without a data type: the plain attributes of its instances."""
    return Plain(facade, "plain attributes", (SCOPE, *services))
