"""The python-statemachine front-end: a `StateChart` class in, a chart out. Its engine is never started.

Private names of the library are met in this package only: `_specs` of transitions and classes, `_setup` having run.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast, get_args, get_origin
from weakref import WeakKeyDictionary

from statemachine import HistoryState, StateChart
from statemachine import State as LibraryState
from statemachine.transition import Transition as LibraryTransition

from durable_fsm.core.model import (
    ROOT,
    Activity,
    Chart,
    EventType,
    Kind,
    Location,
    Policies,
    State,
    Timer,
    Transition,
    Unexpected,
    ValueType,
)
from durable_fsm.errors import DefinitionError, Problem
from durable_fsm.frontends.callbacks import Callbacks
from durable_fsm.frontends.declare import DECLARATION, OPTIONS, ActivityOf, Declaration, Options, activity
from durable_fsm.frontends.facade import Attributes, facade_of
from durable_fsm.frontends.names import EventNames
from durable_fsm.frontends.values import Typed

_charts: WeakKeyDictionary[type, Chart] = WeakKeyDictionary()


def reads(definition: object) -> bool:
    """Whether this front-end knows what to do with it."""
    return isinstance(definition, type) and issubclass(definition, StateChart)


def chart_from(definition: object) -> Chart:
    """The chart of a `StateChart` class; made once per class.

    Raises:
        DefinitionError: with every problem found.
    """
    cls = cast("type[StateChart[Any]]", definition)
    if cls not in _charts:
        _charts[cls] = _Reader(cls).chart()
    return _charts[cls]


class _Reader:
    """Reads one class; collects problems instead of stopping at the first."""

    def __init__(self, cls: type[StateChart[Any]]) -> None:
        self.cls = cls
        self.options: Options = vars(cls).get(OPTIONS, Options())
        self.name = self.options.name or cls.__name__
        self.problems: list[Problem] = []
        self.data_class = _data_class(cls)
        self.facade = facade_of(cls, self.data_class)
        self.library = dict(self._identified(self.cls.states, ""))
        self.ids = {_identity(state): id for id, state in self.library.items()}
        self.activities: dict[str, str] = {}
        self.events: dict[str, EventType] = {}
        self.timers: dict[str, dict[str, Timer]] = {}
        self.names = EventNames(self.activities, self.library, self.problem)
        self.callbacks = Callbacks(self.facade, self.data_class, self.library, self.problems)

    # ── ids ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _identified(self, top: Iterable[LibraryState], path: str) -> Iterator[tuple[str, LibraryState]]:
        counts = Counter(state.id for state in _walk(top))
        return self._qualified(top, path, counts)

    def _qualified(
        self, states: Iterable[LibraryState], path: str, counts: Mapping[str, int]
    ) -> Iterator[tuple[str, LibraryState]]:
        for state in states:
            full = f"{path}.{state.id}" if path else state.id
            yield (full if counts[state.id] > 1 else state.id), state
            yield from self._qualified([*state.states, *state.history], full, counts)

    # ── the chart ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def chart(self) -> Chart:
        if not self.library:
            self.problem(f"{self.cls.__name__} declares no states.", "Give it at least one State.")
            raise DefinitionError(chart=self.name, problems=self.problems)
        activities = {id: self._activities(id, state) for id, state in self.library.items()}
        transitions = [edge for id, state in self.library.items() for edge in self._transitions(id, state)]
        states = {ROOT: self._root(), **{id: self._state(id, activities[id]) for id in self.library}}
        if self.problems:
            raise DefinitionError(chart=self.name, problems=self.problems)
        return Chart(
            name=self.name,
            states=states,
            transitions=tuple(transitions),
            events=dict(sorted(self.events.items())),
            data=self._data(),
            version=self.options.version,
            doc=inspect.cleandoc(self.cls.__doc__ or ""),
            policies=self._policies(),
            handlers=dict(self.options.handlers),
        )

    def _data(self) -> ValueType:
        if self.data_class is not None:
            return Typed(self.data_class)
        return Attributes(self.facade)

    def _policies(self) -> Policies:
        own = {name for cls in self.cls.__mro__ if cls.__module__ != StateChart.__module__ for name in vars(cls)}
        ignores = "allow_event_without_transition" in own and self.cls.allow_event_without_transition
        return Policies(
            unexpected=Unexpected.IGNORE if ignores else Unexpected.REJECT,
            create_first=self.options.create_first,
            catch_errors=self.cls.catch_errors_as_events,
            cancel_timers_over=self.options.cancel_timers_over,
        )

    def _root(self) -> State:
        children = list(self.cls.states)
        start = next((state for state in children if state.initial), children[0])
        initial = Transition(key="", source=ROOT, targets=(self.id_of(start),))
        ids = tuple(self.id_of(child) for child in children)
        return State(ROOT, Kind.COMPOUND, None, name=self.name, children=ids, initial=initial)

    def _state(self, id: str, activities: tuple[Activity, ...]) -> State:
        state = self.library[id]
        children = [*state.states, *state.history]
        return State(
            id=id,
            kind=_kind(state),
            parent=self.id_of(state.parent) if state.parent is not None else ROOT,
            name=state.name,
            children=tuple(self.id_of(child) for child in children),
            initial=self._initial(id, state),
            entry=() if state.final else self.callbacks.of(state.enter),
            done=self.callbacks.of(state.enter) if state.final else (),
            exit=self.callbacks.of(state.exit),
            activities=activities,
            timers=tuple(self.timers.get(id, {}).values()),
        )

    def _initial(self, id: str, state: LibraryState) -> Transition | None:
        if isinstance(state, HistoryState):
            edges = list(state.transitions)
        elif state.is_compound:
            edges = [edge for edge in state.transitions if edge.initial]
        else:
            return None
        targets = tuple(self.id_of(target) for edge in edges for target in edge.targets)
        actions = tuple(action for edge in edges for action in self.callbacks.of(edge.on))
        return Transition(key=f"{id}--initial", source=id, targets=targets, actions=actions)

    # ── activities ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _activities(self, id: str, state: LibraryState) -> tuple[Activity, ...]:
        found: list[Activity] = []
        for spec in cast("Iterable[Any]", state.invoke):  # Any: whatever the author gave to `invoke=`
            if spec.is_convention:
                self._refuse_convention(spec.func)
                continue
            work = spec.func
            declared: ActivityOf = work if isinstance(work, ActivityOf) else activity(work)
            name = declared.id or id
            if name in self.activities:
                self.problem(
                    f"two activities have the id '{name}', in states '{self.activities[name]}' and '{id}'.",
                    "Give one of them activity(..., id=...).",
                )
            self.activities[name] = id
            run = declared.run_
            found.append(
                Activity(
                    id=name,
                    name=declared.__name__,
                    run=run,
                    exclusive=declared.exclusive,
                    retry=declared.retry,
                    deadline=declared.deadline,
                    location=_location(run),
                )
            )
        return tuple(found)

    def _refuse_convention(self, name: str) -> None:
        if inspect.getattr_static(self.cls, name, None) is not None:
            self.problem(
                f"{name} is outside work that is found by its name, and has no id, retry or deadline.",
                "Name it where the state is declared: State(invoke=activity(...)).",
            )

    # ── transitions and events ────────────────────────────────────────────────────────────────────────────────────────

    def _transitions(self, id: str, state: LibraryState) -> Iterator[Transition]:
        if isinstance(state, HistoryState):
            return
        counts: Counter[str] = Counter()
        for edge in state.transitions:
            if edge.initial:
                continue
            events = self.names.of(str(event) for event in edge.events)
            stem = f"{id}--{events[0] if events else 'always'}"
            counts[stem] += 1
            self._declare(id, edge, events)
            yield Transition(
                key=f"{stem}--{counts[stem]}",
                source=id,
                targets=tuple(self.id_of(target) for target in edge.targets) if not self._stays(edge) else (),
                events=events,
                validators=self.callbacks.of(edge.validators),
                guards=self.callbacks.guards(edge.cond),
                before=self.callbacks.of(edge.before),
                actions=self.callbacks.of(edge.on),
                after=self.callbacks.of(edge.after),
                internal=edge.internal,
            )

    def _stays(self, edge: LibraryTransition) -> bool:
        """Whether an internal transition to its own source leaves and enters nothing."""
        return bool(edge.internal and edge.is_self)

    def _declare(self, source: str, edge: LibraryTransition, events: tuple[str, ...]) -> None:
        declarations: list[Declaration] = vars(edge).get(DECLARATION, [])
        delays = [declaration.after for declaration in declarations if declaration.after is not None]
        payloads = list(dict.fromkeys(declaration.payload for declaration in declarations if declaration.payload))
        if len(delays) > 1 or (delays and len(events) != 1) or len(payloads) > 1:
            self.problem(
                f"the transition from '{source}' on '{' '.join(events)}' is declared more than once.",
                "Write one transition for each event that has a payload type or a timer of its own.",
            )
            return
        for event in events:
            if any(mark in event for mark in "*"):
                continue
            private = event.startswith(("done.", "error.")) or not all(item.public for item in declarations)
            payload: ValueType | None = Typed(payloads[0]) if payloads else None
            known = self.events.get(event)
            if known is not None and known.payload is not None:
                payload = known.payload
            self.events[event] = EventType(event, payload, public=not private and (known is None or known.public))
        if delays:
            self.timers.setdefault(source, {})[events[0]] = Timer(events[0], delays[0])

    # ── small things ──────────────────────────────────────────────────────────────────────────────────────────────────

    def id_of(self, state: LibraryState) -> str:
        return self.ids[_identity(state)]

    def problem(self, what: str, remedy: str) -> None:
        self.problems.append(Problem(what, remedy, str(_location(self.cls) or "")))


def _walk(states: Iterable[LibraryState]) -> Iterator[LibraryState]:
    for state in states:
        yield state
        yield from _walk([*state.states, *state.history])


def _identity(state: LibraryState) -> int:
    """States compare by name in the library; two of one name in sibling regions are told apart by identity."""
    return id(state)


def _kind(state: LibraryState) -> Kind:
    if isinstance(state, HistoryState):
        return Kind.DEEP_HISTORY if state.type.is_deep else Kind.SHALLOW_HISTORY
    if state.final:
        return Kind.FINAL
    if state.parallel:
        return Kind.PARALLEL
    return Kind.COMPOUND if state.states else Kind.ATOMIC


def _data_class(cls: type) -> type | None:
    """The `OrderData` of `class Order(StateChart[OrderData])`, looked for along the bases."""
    for base in cls.__mro__:
        for generic in getattr(base, "__orig_bases__", ()):
            origin = get_origin(generic)
            if isinstance(origin, type) and issubclass(origin, StateChart):
                arguments = [argument for argument in get_args(generic) if isinstance(argument, type)]
                if arguments:
                    return arguments[0]
    return None


def _location(thing: Any) -> Location | None:
    try:
        _, line = inspect.getsourcelines(thing)
        return Location(inspect.getsourcefile(thing) or "?", line)
    except (OSError, TypeError):
        return None
