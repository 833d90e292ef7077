"""Models of transitions: the data of a chart, whose methods are its callbacks and may trigger events."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextvars import ContextVar
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from durable_fsm.core.callbacks import at_transition
from durable_fsm.core.chart import Transition
from durable_fsm.core.events import Event, Origin
from durable_fsm.core.program import index_of
from durable_fsm.core.scope import Scope
from durable_fsm.frontends.arguments import Report
from durable_fsm.frontends.values import shared_by_copies


@dataclass(frozen=True, slots=True)
class ModelNames:
    """The names that the library uses on a model.

    `states` maps ids to what the model's attribute shows for them: names, or the members of an enumeration. `override`
    is the library's `model_override`: replace what the class declares, and add nothing.
    """

    triggers: Collection[str]
    states: Mapping[str, object]
    attribute: str = "state"
    override: bool = False

    def of_state(self, prefix: str, id: str) -> str:
        """`is_paid`, or `is_status_paid` where the attribute is not `state`."""
        return f"{prefix}_{id}" if self.attribute == "state" else f"{prefix}_{self.attribute}_{id}"


@dataclass(frozen=True, slots=True)
class CallbackMoment:
    """The callback that runs now: its step, the states its model is in, and the names shown for them."""

    scope: Scope
    active: AbstractSet[str]
    shown: Mapping[str, object]

    @property
    def deepest(self) -> list[str]:
        """The states that the library would name: the innermost ones."""
        chart = self.scope.chart
        named = [id for id in index_of(chart).in_order(self.active) if id in self.shown]
        around = {chart.states[id].parent for id in named}
        return [id for id in named if id not in around]


moment: ContextVar[CallbackMoment] = ContextVar("moment")
"""The callback that runs now. Methods of a model read the state of their machine from it."""


# ── what the library adds to models ───────────────────────────────────────────────────────────────────────────────────


def model_type(
    declared: type, fields: Collection[str], names: ModelNames, problem: Report, engine: Collection[str] = ()
) -> type | None:
    """The model's class with what the library adds to models: triggers, `is_<state>()`, `may_<event>()` and `state`.

    Args:
        declared: the author's class.
        fields: names of its instances' attributes, which an added method must not hide.
        names: the names to add.
        problem: called with each reason why they cannot be added.
        engine: names of attributes that hold the library's machine, which never runs here.
    """
    added: dict[str, Any] = {"trigger": _any_trigger, "may_trigger": _may_any}
    for name in names.triggers:
        added |= {name: _trigger(name), f"may_{name}": _may(name)}
    for id in names.states:
        added[names.of_state("is", id)] = _is_active(id)
    kept = {name: thing for name, thing in added.items() if name.isidentifier()}
    for name in sorted(kept.keys() & {*fields} & {*names.triggers}):
        problem(f"event '{name}' and a field of {declared.__name__} have the same name.", "Rename one of them.", None)
    kept = {
        name: thing for name, thing in kept.items() if name not in fields and hasattr(declared, name) is names.override
    }
    if names.attribute in declared_fields(declared):
        what = (
            f"field '{names.attribute}' of {declared.__name__} has the name of the library's attribute for the state."
        )
        problem(what, "Remove it: the snapshot knows the state.", None)
    else:
        kept[names.attribute] = property(_active, _unassignable)
    kept |= {name: property(_no_engine(name)) for name in engine}
    metaclass: Any = type(declared)
    body = {"__module__": declared.__module__, "__qualname__": declared.__qualname__, "__slots__": (), **kept}
    try:
        return cast("type", metaclass(declared.__name__, (declared,), body))
    except TypeError as error:
        problem(f"{declared.__name__} can have no subclass: {error}.", "Use a class that can.", None)
        return None


def _trigger(event: str) -> Callable[..., bool]:
    def trigger(model: object, *args: Any, **kwargs: Any) -> bool:
        return _any_trigger(model, event, *args, **kwargs)

    trigger.__name__ = event
    return trigger


def _any_trigger(_: object, event: str, *args: Any, **kwargs: Any) -> bool:
    """Raise an event: it is taken when the transition under way is over, as with `queued=True`."""
    scope = now().scope
    if not index_of(scope.chart).knows(event):
        raise AttributeError(f"there is no event '{event}'")
    scope.effects.raise_(event, _payload(event, args, kwargs))
    return True


def _payload(event: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    if args and kwargs:
        raise TypeError(f"'{event}' is triggered with positional and with named arguments; name them all")
    return list(args) if args else kwargs or None


def _may(event: str) -> Callable[..., bool]:
    def may(model: object, *args: Any, **kwargs: Any) -> bool:
        return _may_any(model, event, *args, **kwargs)

    return may


def _may_any(_: object, event: str, *args: Any, **kwargs: Any) -> bool:
    """True if a transition would process the event now. Unlike the library's method, this changes nothing."""
    here = now()
    index = index_of(here.scope.chart)
    scope = copy(here.scope)
    scope.event = Event(event, _payload(event, args, kwargs), Origin.INTERNAL)
    scope.data = deepcopy(scope.data, shared_by_copies(scope.data, scope.chart.data))
    scope.configuration = scope.previous = here.active

    def passes(edge: Transition) -> bool:
        at_transition(scope, edge)
        return all(bool(guard.call(scope)) is not guard.negated for guard in edge.guards)

    return any(passes(edge) for edges in index.candidates[index.leaves(here.active), event] for edge in edges)


def _is_active(id: str) -> Callable[..., bool]:
    def is_active(_: object, allow_substates: bool = False) -> bool:  # noqa: FBT001, FBT002 - as the library has it
        here = now()
        return id in (here.active if allow_substates else here.deepest)

    return is_active


def _active(_: object) -> object:
    here = now()
    found = [here.shown[id] for id in here.deepest]
    return found[0] if len(found) == 1 else found


def _unassignable(_: object, __: object) -> NoReturn:
    raise AttributeError("the state of a machine is changed by its transitions only")


def _no_engine(name: str) -> Callable[[object], NoReturn]:
    def missing(_: object) -> NoReturn:
        raise AttributeError(
            f"self.{name} belongs to the library's machine, which never runs here; ask the model itself"
        )

    return missing


def now() -> CallbackMoment:
    here = moment.get(None)
    if here is None:
        raise RuntimeError("this machine only exists while a step runs")
    return here


def declared_fields(model: type) -> frozenset[str]:
    """Names of the fields of a pydantic model or a dataclass; other classes declare none."""
    fields: Any = getattr(model, "model_fields", None) or getattr(model, "__dataclass_fields__", None)
    return frozenset(cast("Iterable[str]", fields or ()))


def attributes_of(model: type) -> frozenset[str]:
    """Names of an instance's attributes: the declared fields, or those that `__init__` sets."""
    try:
        return declared_fields(model) or frozenset(vars(cast("object", model())))
    except Exception:  # noqa: BLE001 - an instance cannot be made: no attribute is known
        return frozenset()
