"""The transitions front-end: a configuration or a `Machine` in, a chart out. The machine is read, never driven.

A configuration is built into a machine by the library itself, so that everything its lists and dictionaries may say
means what the library says it means.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from pydantic import PydanticUserError
from transitions import Machine
from transitions.extensions import HierarchicalMachine
from transitions.extensions.asyncio import AsyncMachine
from transitions.extensions.states import Tags, Timeout, Volatile, add_state_features

from durable_fsm.core.check import findings
from durable_fsm.core.model import (
    ROOT,
    Activity,
    Callback,
    Chart,
    EventType,
    Guard,
    Kind,
    Location,
    Policies,
    State,
    Timer,
    Transition,
    Unexpected,
    ValueType,
)
from durable_fsm.core.step import PLATFORM_NAMES
from durable_fsm.errors import DefinitionError, DefinitionWarning, NotDurable, Problem
from durable_fsm.frontends.arguments import written
from durable_fsm.frontends.declare import ActivityOf, activity
from durable_fsm.frontends.models import ModelCallbacks, model_type
from durable_fsm.frontends.names import EventNames
from durable_fsm.frontends.values import Plain, Typed

Names = list[Any]  # Any: strings and callables, as the library takes them
RESTING = "itself"
"""Last part of the id of a state that stands for "in the parent, and in none of its children"."""


@add_state_features(Tags, Timeout)
class _Flat(Machine):
    """What a configuration of states side by side is built into."""


@add_state_features(Tags, Timeout)
class _Nested(HierarchicalMachine):
    """What any other configuration is built into."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TransitionsConfig:
    """A state machine in the vocabulary of transitions.

        Order = TransitionsConfig(
            name="Order",
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
        states, transitions, initial: what `Machine` takes; nested and parallel states, enums, tags and timeouts, too.
        model: the type of the data: a pydantic model, a dataclass, or a class whose attributes are the data. Its methods
            are the callbacks.
        activities: outside work by state.
        timers: events by state that come when the state has been active for a time: `{"on_hold": {"expire": HOLD}}`.
        events: types of payloads by event.
        options: other arguments of `Machine`: `send_event`, `before_state_change`, `queued`, …
    """

    name: str
    states: Any
    transitions: Any = ()
    initial: Any = "initial"
    model: type | None = None
    activities: Mapping[str, Any] = field(default_factory=dict[str, Any])
    timers: Mapping[str, Mapping[str, timedelta]] = field(default_factory=dict[str, "Mapping[str, timedelta]"])
    events: Mapping[str, Any] = field(default_factory=dict[str, Any])
    version: str = "1"
    doc: str = ""
    create_first: bool = False
    cancel_timers_over: timedelta = timedelta(0)
    handlers: Mapping[str, str] = field(default_factory=dict[str, str])
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


def reads(definition: object) -> bool:
    """Whether this front-end knows what to do with it."""
    return isinstance(definition, TransitionsConfig | Machine)


def chart_from(definition: object) -> Chart:
    """The chart of a configuration or of a machine.

    Raises:
        DefinitionError: with every problem found.
    """
    if isinstance(definition, TransitionsConfig):
        return _Reader(_built(definition), definition).chart()
    machine = cast("Any", definition)
    name = (machine.name or type(machine).__name__).rstrip(": ")
    models: list[object] = [model for model in machine.models if model is not machine]
    model: type | None = type(models[0]) if models else None
    config = TransitionsConfig(name=name, states=(), initial=machine.initial, model=model)
    return _Reader(machine, config).chart()


def _built(config: TransitionsConfig) -> Any:
    options: dict[str, Any] = {"auto_transitions": False, **config.options}
    cls: Any = _Nested if _is_nested(config) else _Flat
    try:
        return cls(model=None, states=config.states, transitions=config.transitions, initial=config.initial, **options)
    except Exception as error:
        problem = Problem(f"transitions refuses it: {type(error).__name__}: {error}.", "Mend the configuration.")
        raise DefinitionError(chart=config.name, problems=[problem]) from error


def _is_nested(config: TransitionsConfig) -> bool:
    """Whether anything in it only a hierarchical machine understands."""
    nesting = {"children", "parallel", "states", "initial", "transitions"}
    return any(
        isinstance(state, dict) and not nesting.isdisjoint(cast("Any", state)) for state in _listed(config.states)
    )


class _Reader:
    """Reads one machine; collects problems instead of stopping at the first."""

    def __init__(self, machine: Any, config: TransitionsConfig) -> None:
        self.machine = machine
        self.config = config
        self.separator: str = getattr(machine.state_cls, "separator", "\0")
        self.problems: dict[Problem, None] = {}
        self.states: dict[str, State] = {}
        self.library: dict[str, Any] = {}
        self.ids: dict[str, str] = {}
        self.timeouts: dict[str, Names] = {}
        self._walk(machine.states.values(), "")
        self.edges = list(self._edges(machine, ""))
        self.auto = {f"to_{id}" for id in self.library} if machine.auto_transitions else set[str]()
        self._activities_known()
        self.names = EventNames(self.ids, self.library, self.problem)
        triggers = dict.fromkeys(edge[0] for edge in self.edges)
        self.model = model_type(config.model, [*triggers], [*self.library])
        self.callbacks = ModelCallbacks(self.model, triggers, self.problem, send_event=bool(machine.send_event))

    # ── the chart ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def chart(self) -> Chart:
        self._refuse_what_is_not_durable()
        data = self._data()
        top = [self._state(state, id, ROOT) for id, state in self._children(self.machine.states, "")]
        transitions = tuple(self._transitions())
        initial = tuple(self._initial_ids(self.machine.initial, ""))
        root = State(
            ROOT, Kind.COMPOUND, None, name=self.config.name, children=tuple(top), initial=Transition("", ROOT, initial)
        )
        events = self._events(transitions)
        if self.problems or data is None:
            raise NotDurable(chart=self.config.name, problems=self.problems)
        ordered = {id: self.states[id] for id in self._document_order(top)}
        config = self.config
        chart = Chart(
            name=config.name,
            states={ROOT: root, **ordered},
            transitions=transitions,
            events=events,
            data=data,
            version=config.version,
            doc=config.doc,
            policies=Policies(
                unexpected=Unexpected.IGNORE if self.machine.ignore_invalid_triggers else Unexpected.REJECT,
                create_first=config.create_first,
                catch_errors=False,
                cancel_timers_over=config.cancel_timers_over,
            ),
            handlers=dict(config.handlers),
        )
        self._judge(chart)
        return chart

    def _document_order(self, ids: Iterable[str]) -> Iterator[str]:
        for id in ids:
            yield id
            yield from self._document_order(self.states[id].children)

    def _judge(self, chart: Chart) -> None:
        for finding in findings(chart):
            if finding.kind in ("shadowed", "unhandled"):
                warnings.warn(f"{chart.name}: {finding.what} {finding.remedy}", DefinitionWarning, stacklevel=5)
        if self.auto:
            what = "every state can be reached by 'to_<state>', which is kept as a private event"
            warnings.warn(
                f"{chart.name}: {what}; auto_transitions=False leaves them out", DefinitionWarning, stacklevel=5
            )

    def _refuse_what_is_not_durable(self) -> None:
        machine = self.machine
        if isinstance(machine, AsyncMachine):
            self.problem("an AsyncMachine works with coroutines.", "Use Machine, and make outside work an activity.")
        if machine.on_exception:
            what = "on_exception would carry on after half a transition."
            self.problem(what, "Remove it: an event that fails leaves the machine as it was, and its sender is told.")
        for id, state in self.library.items():
            if isinstance(state, Volatile):
                self.problem(f"state '{id}' has a volatile object.", "Keep what it needs in the data.")

    def _data(self) -> ValueType | None:
        declared = self.config.model
        if declared is None:
            return Typed(dict[str, Any])
        try:
            return Typed(declared)
        except PydanticUserError as error:
            made = Plain.of(declared)
            if made is None:
                what = f"{declared.__name__} cannot be stored as JSON: {str(error).splitlines()[0]}"
                self.problem(what, "Use a pydantic model, a dataclass, or a class whose __init__ needs no arguments.")
            return made

    # ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _children(self, states: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        for name, state in states.items():
            yield (f"{path}{self.separator}{name}" if path else name), state

    def _walk(self, states: Iterable[Any], path: str) -> None:
        for state in states:
            own = str(state._name.name if hasattr(state._name, "name") else state._name)
            id = f"{path}{self.separator}{own}" if path else own
            self.library[id] = state
            self._walk(getattr(state, "states", {}).values(), id)

    def _state(self, state: Any, id: str, parent: str) -> str:
        children = [self._state(child, name, id) for name, child in self._children(getattr(state, "states", {}), id)]
        starts = self._starts(state)
        kind, initial = Kind.ATOMIC, None
        if len(starts) > 1:
            kind = Kind.PARALLEL
            if len(starts) != len(children):
                self.problem(
                    f"state '{id}' begins in some of its children, and not in all.", "Begin in one, or in all."
                )
        elif children:
            kind = Kind.COMPOUND
            start = f"{id}{self.separator}{starts[0]}" if starts else f"{id}{self.separator}{RESTING}"
            initial = Transition(f"{id}--initial", id, (start,))
            if not starts:
                self.states[start] = State(start, Kind.ATOMIC, id, name=RESTING)
                children = [start, *children]
        elif state.final:
            kind = Kind.FINAL
        entered = [*self._begun(id, state)]
        self.states[id] = State(
            id=id,
            kind=kind,
            parent=parent,
            name=id.rpartition(self.separator)[2] if self.separator in id else id,
            children=tuple(children),
            initial=initial,
            entry=tuple(entered),
            exit=self.callbacks.of([*state.on_exit, *self._convention("on_exit", id, state.on_exit)]),
            activities=tuple(self._activities(id)),
            timers=tuple(self._timers(id, state)),
            tags=frozenset(map(str, getattr(state, "tags", ()))),
        )
        return id

    def _begun(self, id: str, state: Any) -> Iterator[Callback]:
        """What runs when a state is entered; the library runs none of it where a machine begins."""
        names = [*state.on_enter, *self._convention("on_enter", id, state.on_enter)]
        if state.final:
            names += [*getattr(state, "on_final", ()), *self.machine.on_final]
        for callback in self.callbacks.of(names):
            yield self.callbacks.not_at_the_start(callback)

    def _convention(self, slot: str, id: str, named: Names) -> Names:
        """`on_enter_paid` of the model, where the state does not name it itself."""
        method = f"{slot}_{id}"
        return [method] if self.model is not None and hasattr(self.model, method) and method not in named else []

    def _starts(self, state: Any) -> list[str]:
        return [str(getattr(start, "name", start)) for start in _listed(getattr(state, "initial", None))]

    def _initial_ids(self, initial: Any, path: str) -> Iterator[str]:
        for start in _listed(initial):
            name = str(getattr(start, "name", start))
            if name in self.library:
                yield name
            else:
                self.problem(f"the machine begins in '{name}', which is no state.", "Mend the name.")

    # ── activities and timers ─────────────────────────────────────────────────────────────────────────────────────────

    def _activities_known(self) -> None:
        for state, declared in self.config.activities.items():
            if state not in self.library:
                self.problem(f"activity of '{state}', which is no state.", "Mend the name.")
            for one in _listed(declared):
                id = (one.id if isinstance(one, ActivityOf) else None) or state
                if id in self.ids:
                    self.problem(f"two activities have the id '{id}'.", "Give one of them activity(..., id=...).")
                self.ids[id] = state
        for state, timers in self.config.timers.items():
            if state not in self.library:
                self.problem(f"timers {', '.join(timers)} of '{state}', which is no state.", "Mend the name.")

    def _activities(self, id: str) -> Iterator[Activity]:
        for one in _listed(self.config.activities.get(id)):
            declared = one if isinstance(one, ActivityOf) else cast("ActivityOf", activity(one))
            yield Activity(
                id=declared.id or id,
                name=declared.__name__,
                run=declared.run_,
                exclusive=declared.exclusive,
                retry=declared.retry,
                deadline=declared.deadline,
                location=written(declared.source),
            )

    def _timers(self, id: str, state: Any) -> Iterator[Timer]:
        for event, delay in self.config.timers.get(id, {}).items():
            yield Timer(self.names.spelled(event), delay)
        if isinstance(state, Timeout) and state.timeout > 0:
            yield Timer(f"timeout_{id}", timedelta(seconds=state.timeout))

    # ── transitions ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _edges(self, scope: Any, path: str) -> Iterator[tuple[str, Any, str, str | None]]:
        """Event, record, source and destination of every transition, those of nested scopes included."""
        for event in scope.events.values():
            for source, records in event.transitions.items():
                for record in records:
                    yield event.name, record, self._full(source, path), self._full(record.dest, path)
        for name, state in getattr(scope, "states", {}).items():
            if getattr(state, "events", None) is not None or getattr(state, "states", None):
                yield from self._edges(state, f"{path}{self.separator}{name}" if path else str(name))

    def _full(self, name: Any, path: str) -> Any:
        if name is None:
            return None
        own = str(getattr(name, "name", name))
        return f"{path}{self.separator}{own}" if path else own

    def _transitions(self) -> Iterator[Transition]:
        counts: Counter[str] = Counter()
        order = {id: place for place, id in enumerate(self.library)}
        for event, record, source, dest in sorted(self.edges, key=lambda edge: order.get(edge[2], 0)):
            if source not in self.library or (dest is not None and dest not in self.library):
                missing = source if source not in self.library else dest
                self.problem(f"transition '{event}' names state '{missing}', and there is none.", "Mend the name.")
                continue
            if self.states[source].kind is Kind.FINAL:  # a wildcard leads out of it, too
                continue
            name = self.names.spelled(event)
            counts[f"{source}--{name}"] += 1
            key = f"{source}--{name}--{counts[f'{source}--{name}']}"
            yield self._transition(key, name, record, source, dest)
        for id, state in self.library.items():
            if isinstance(state, Timeout) and state.timeout > 0:
                event = f"timeout_{id}"
                yield Transition(f"{id}--{event}--1", id, (), (event,), actions=self.callbacks.of(state.on_timeout))

    def _transition(self, key: str, event: str, record: Any, source: str, dest: str | None) -> Transition:
        machine = self.machine
        guards = [self.callbacks.preparation(name, once=True) for name in machine.prepare_event]
        guards += [self.callbacks.preparation(name) for name in record.prepare]
        guards += [guard for condition in record.conditions for guard in self._guards(condition)]
        return Transition(
            key=key,
            source=source,
            targets=() if dest is None else (dest,),
            events=(event,),
            guards=tuple(guards),
            before=self.callbacks.of([*machine.before_state_change, *record.before]),
            after=self.callbacks.of([*record.after, *machine.after_state_change, *machine.finalize_event]),
            internal=dest is not None and dest.startswith(f"{source}{self.separator}"),
        )

    def _guards(self, condition: Any) -> Iterator[Guard]:
        for callback in self.callbacks.of([condition.func]):
            yield Guard(callback.name, callback.call, callback.location, negated=not condition.target)

    def _events(self, transitions: Iterable[Transition]) -> dict[str, EventType]:
        timers = {timer.event for state in self.states.values() for timer in state.timers}
        found: dict[str, EventType] = {}
        for name in dict.fromkeys(name for edge in transitions for name in edge.events):
            declared = self.config.events.get(name)
            public = name not in timers and name not in self.auto and not name.startswith(PLATFORM_NAMES)
            found[name] = EventType(name, Typed(declared) if declared is not None else None, public=public)
        for name in self.config.events.keys() - found.keys():
            self.problem(f"event '{name}' has a payload type, and no transition.", "Mend the name, or add one.")
        for name in timers - found.keys():
            self.problem(f"timer '{name}' has no transition.", "Mend the name, or add one.")
        return dict(sorted(found.items()))

    def problem(self, what: str, remedy: str, place: Location | None = None) -> None:
        self.problems[Problem(what, remedy, str(place or ""))] = None


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(cast("Iterable[Any]", value)) if isinstance(value, list | tuple) else [value]
