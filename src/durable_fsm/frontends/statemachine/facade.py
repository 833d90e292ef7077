"""The `self` that callbacks of a python-statemachine class see: an instance whose engine never starts.

`self.send`, `self.raise_`, `self.cancel_event` and `self.pay()` ask for effects. With a declared data type, everything
else belongs on the data; without one, plain attributes are the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from statemachine import State as LibraryState
from statemachine import StateChart
from statemachine.factory import StateMachineMetaclass
from statemachine.state import InstanceState

from durable_fsm.core.program import index_of
from durable_fsm.core.scope import Scope
from durable_fsm.core.values import Json, Misfit
from durable_fsm.frontends.values import native, revived

SCOPE = "_durable_scope"
DATA = "_durable_data"


class Facade(StateChart[Any]):
    """Overrides the library's engine; in the order of bases it is after the author's class and before the library's."""

    durable_data: bool
    durable_states: Mapping[str, LibraryState]

    def __init__(self, *_: Any, **__: Any) -> None:
        """Do nothing. The library would start its engine here."""

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
        active = scope.previous if self.atomic_configuration_update else scope.configuration
        return [self.durable_states[id] for id in index_of(scope.chart).in_order(active)]

    @property
    def configuration_values(self) -> Any:
        return [state.value for state in self.configuration]

    def _put_nonblocking(self, trigger_data: Any, internal: bool = False) -> None:  # noqa: FBT001, FBT002 - as overridden
        name, payload = str(trigger_data.event), _payload(trigger_data.args, trigger_data.kwargs)
        if internal:
            self._scope.effects.raise_(name, payload)
        else:
            delay = timedelta(milliseconds=trigger_data.event.delay or 0)
            self._scope.effects.send(name, payload, after=delay, id=trigger_data.send_id)

    def _processing_loop(self, caller_future: Any = None) -> None:
        """Do nothing: the step takes the event when this callback has returned."""

    def cancel_event(self, send_id: str) -> None:
        self._scope.effects.cancel(send_id)

    def __setattr__(self, name: str, value: object) -> None:
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
    body: dict[str, Any] = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "durable_data": data_class is not None,
        "durable_states": {},
        **{state.id: StateOf(state) for state in cls.states if state.id in dir(cls)},
    }
    return cast("type[Facade]", type.__new__(StateMachineMetaclass, cls.__name__, (cls, Facade), body))


class StateOf:
    """`self.paid`: the state, which knows whether it is active."""

    def __init__(self, state: LibraryState) -> None:
        self.state = state

    def __get__(self, machine: Facade | None, owner: object) -> LibraryState:
        if machine is None:
            return self.state
        found: dict[Any, InstanceState] = {}
        for state in machine.durable_states.values():
            found[state.value] = InstanceState(state, machine, found)
        return found[self.state.value]


def worker(facade: type[Facade], data: object) -> Facade:
    """The `self` of a method that does outside work: it has the data, and cannot change the machine."""
    if isinstance(data, facade):
        return data
    machine = object.__new__(facade)
    vars(machine)[DATA] = data
    return machine


class Attributes:
    """The `ValueType` of a chart without a data type: the plain attributes of its instances."""

    name = "plain attributes"

    def __init__(self, facade: type[Facade]) -> None:
        self.facade = facade

    def load(self, stored: Json) -> object:
        if not isinstance(stored, dict):
            raise Misfit("expected an object")
        machine = self.facade()
        vars(machine).update(revived(stored))
        return machine

    def dump(self, value: object) -> Json:
        return {name: native(item, f"$.{name}") for name, item in sorted(vars(value).items()) if name != SCOPE}

    def schema(self) -> None:
        return None
