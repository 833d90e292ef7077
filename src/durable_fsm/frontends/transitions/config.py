"""The configuration that an author of transitions writes, and how the library makes its own machine of it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from enum import Enum, EnumMeta
from typing import Any, Literal, cast, get_type_hints

from transitions import Machine
from transitions.extensions import HierarchicalMachine
from transitions.extensions.nesting import NestedState
from transitions.extensions.states import Tags, Timeout, add_state_features

from durable_fsm.core.calendar import Calendar
from durable_fsm.core.calls import require
from durable_fsm.core.values import Location
from durable_fsm.errors import DefinitionError, Problem
from durable_fsm.frontends.declare import Delay
from durable_fsm.frontends.options import OPTION_TYPES, ChartOptions

OPTIONS = (
    "send_event", "queued", "auto_transitions", "ordered_transitions", "ignore_invalid_triggers", "model_attribute",
    "model_override", "prepare_event", "before_state_change", "after_state_change", "finalize_event", "on_exception",
    "on_final",
)  # fmt: skip
"""Arguments that are passed to the library as they are."""

NESTING = frozenset({"children", "parallel", "states", "initial", "transitions", "on_final", "remap"})
"""Keys that only the states of a hierarchical machine have."""


@dataclass(frozen=True, eq=False)
class TransitionsConfig(ChartOptions):
    """A state machine in the vocabulary of transitions.

        Order = TransitionsConfig(
            "Order",
            states=["cart", {"name": "charging"}, {"name": "paid", "final": True}],
            transitions=[
                {"trigger": "checkout", "source": "cart", "dest": "charging", "conditions": "has_items"},
                ["done_invoke_charging", "charging", "paid"],
            ],
            initial="cart",
            model=OrderData,
            activities={"charging": activity(charge_card)},
        )

    Args:
        states, transitions, initial: as for `Machine`; nested and parallel states, enums, tags and timeouts, too.
        model: the type of the data: a pydantic model, a dataclass, or a class whose attributes are the data. Its methods
            are the callbacks.
        activities: outside work by state.
        machines: child machines by state, each a definition or `machine(definition, ...)`.
        timers: events by state that arrive when the state has been active for a time: `{"on_hold": {"expire": HOLD}}`.
            The time may also be a function, or the name of a method, that computes a timedelta or an instant.
        every: like `timers`, for events that arrive at regular intervals, or at instants of a calendar, `cron(...)`.
        missed: by event of `every`, what to do with late ticks: `{"remind": "skip"}`; see `every`.
        defers: events by state that are kept while it is active; `"*"` as the state means the whole chart.
        ignores: events by state that are dropped while no transition accepts them; `"*"` as the state means the whole
            chart. These events need no transition.
        dead_ends: states without a way out that are intended; other ones cause a warning.
        events: types of payloads by event.
        private: events that outside callers cannot send.
        separator: between the names of nested states; with one other than `_`, names may have underscores.
        queued: events that callbacks trigger wait until the transition has ended; False is not possible.

    The arguments after `separator` are those of `Machine`. The other options of `durable` are arguments, too:
    `version`, `handlers`, `sources` and so on.
    """

    name: str
    states: Any
    transitions: Any = ()
    initial: Any = "initial"
    _: KW_ONLY
    model: type | None = None
    activities: Mapping[str, Any] = field(default_factory=dict[str, Any])
    machines: Mapping[str, Any] = field(default_factory=dict[str, Any])
    timers: Mapping[str, Mapping[str, Delay | Calendar]] = field(default_factory=dict[str, "Mapping[str, Any]"])
    every: Mapping[str, Mapping[str, Delay | Calendar]] = field(default_factory=dict[str, "Mapping[str, Any]"])
    missed: Mapping[str, Literal["skip", "once", "all"]] = field(default_factory=dict[str, Any])
    defers: Mapping[str, Iterable[str]] = field(default_factory=dict[str, "Iterable[str]"])
    ignores: Mapping[str, Iterable[str]] = field(default_factory=dict[str, "Iterable[str]"])
    events: Mapping[str, Any] = field(default_factory=dict[str, Any])
    private: tuple[str, ...] = ()
    dead_ends: tuple[str, ...] = ()
    doc: str = ""
    location: Location | None = field(default=None, repr=False)
    separator: str = "_"
    send_event: bool = False
    queued: bool = True
    auto_transitions: bool = False
    ordered_transitions: bool = False
    ignore_invalid_triggers: bool = False
    model_attribute: str = "state"
    model_override: bool = False
    prepare_event: Any = None
    before_state_change: Any = None
    after_state_change: Any = None
    finalize_event: Any = None
    on_exception: Any = None
    on_final: Any = None

    # a configuration equals only itself: its chart is made once
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __post_init__(self) -> None:
        """Remember where it is written, for messages and diagrams."""
        for spec in fields(self):
            if spec.name != "_":
                value = getattr(self, spec.name)
                require("TransitionsConfig()", spec.name, value, _OWN.get(spec.name) or OPTION_TYPES[spec.name])
        super().__post_init__()
        if self.location is None:
            author = sys._getframe(2)  # pyright: ignore[reportPrivateUsage] - of the call: __post_init__, __init__, it
            object.__setattr__(self, "location", Location(author.f_code.co_filename, author.f_lineno))


_OWN = {
    name: hint for name, hint in get_type_hints(TransitionsConfig).items() if name in TransitionsConfig.__annotations__
}


@add_state_features(Tags, Timeout)
class _Flat(Machine):
    """The library's machine for a configuration without nested states."""


@add_state_features(Tags, Timeout)
class _Nested(HierarchicalMachine):
    """The library's machine for any other configuration."""


def built(config: TransitionsConfig) -> Any:
    """Make the library's machine. It gets copies of the lists, because the library writes into them.

    Raises:
        DefinitionError: the library refuses it.
    """
    options: dict[str, Any] = {name: getattr(config, name) for name in OPTIONS}
    cls: Any = _separated(config.separator) if _is_nested(config) else _Flat
    try:
        return cls(
            model=None,
            states=_copied(config.states),
            transitions=_copied(config.transitions),
            initial=config.initial,
            **options,
        )
    except Exception as error:
        what = f"transitions refuses it: {type(error).__name__}: {error}."
        problem = Problem(what, "Correct the configuration.", str(config.location or ""))
        raise DefinitionError(chart=config.name, problems=(problem,)) from error


def _separated(separator: str) -> Any:
    """A hierarchical machine whose names have this separator; the library keeps it on the class of its states."""
    own: Any = _Nested.state_cls
    if separator == own.separator:
        return _Nested
    return type("_Separated", (_Nested,), {"state_cls": type("_State", (own,), {"separator": separator})})


def _is_nested(config: TransitionsConfig) -> bool:
    """True if the configuration uses a feature that only a hierarchical machine has."""
    several = isinstance(config.initial, list | tuple)
    return several or config.separator != "_" or any(map(_nests, listed(config.states)))


def _nests(state: Any) -> bool:
    if isinstance(state, EnumMeta):
        return any(map(_nests, cast("Any", state)))
    if isinstance(state, Enum):
        return isinstance(state.value, EnumMeta | dict)
    if isinstance(state, dict):
        return not NESTING.isdisjoint(cast("Any", state))
    return isinstance(state, NestedState | HierarchicalMachine)


def _copied(value: Any) -> Any:
    """Copies of lists and dictionaries, with the same items. Tuples become lists, which the library expects."""
    if isinstance(value, dict):
        return {key: _copied(member) for key, member in _members(value)}
    if isinstance(value, list | tuple):
        return [_copied(item) for item in cast("list[Any]", value)]
    return value


def _members(value: Any) -> Iterable[tuple[Any, Any]]:
    return list(value.items())


def listed(value: Any) -> list[Any]:
    """One thing, several or None, as a list."""
    if value is None:
        return []
    return list(cast("list[Any]", value)) if isinstance(value, list | tuple) else [value]
