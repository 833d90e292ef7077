"""Read a `StateChart` class, and make a chart of it."""

from __future__ import annotations

import inspect
import re
import sys
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, ForwardRef, TypeVar, cast, get_args, get_origin
from weakref import WeakKeyDictionary

from pydantic import PydanticUserError
from statemachine import Event as LibraryEvent
from statemachine import HistoryState, StateChart
from statemachine import State as LibraryState
from statemachine.state import AnyState
from statemachine.transition import Transition as LibraryTransition

from durable_fsm.core.calendar import Calendar
from durable_fsm.core.chart import ROOT, Chart, EventType, Kind, Policies, State, Timer, Transition
from durable_fsm.core.events import PLATFORM_NAMES
from durable_fsm.core.lint import ChartFinding, findings
from durable_fsm.core.values import Location, ValueType
from durable_fsm.errors import DefinitionWarning, Problem
from durable_fsm.frontends.arguments import written
from durable_fsm.frontends.assembly import Parts, Problems, assemble
from durable_fsm.frontends.calendars import calendar_timer
from durable_fsm.frontends.checks.doubts import Doubt, refuse_certain
from durable_fsm.frontends.checks.inputs import members_of, refuse_unknown
from durable_fsm.frontends.checks.names import hidden_members
from durable_fsm.frontends.checks.parameters import Provided, doubtful_parameters
from durable_fsm.frontends.checks.unused import unused_methods
from durable_fsm.frontends.declare import DECLARATION, OPTIONS, STANCE, Declaration
from durable_fsm.frontends.detached import detached_of
from durable_fsm.frontends.machines import ReadChart, reading
from durable_fsm.frontends.names import EventNames, ignored_events, stance_problems
from durable_fsm.frontends.options import ClassChartOptions, unexpected_of
from durable_fsm.frontends.source_locations import places_in
from durable_fsm.frontends.statemachine.callbacks import ClassCallbacks
from durable_fsm.frontends.statemachine.facade import attributes, facade_of, with_a_data_type
from durable_fsm.frontends.statemachine.work import InvokeReader, StateWork
from durable_fsm.frontends.values import Plain, Typed

CONVENTIONS = ("on_", "before_", "after_", "cond_")
"""The beginnings of names of callbacks."""

_charts: WeakKeyDictionary[type, Chart] = WeakKeyDictionary()


_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""Where a word of `poweredOn` or `HTTPError` ends."""


def reads(definition: object) -> bool:
    """True for a definition of python-statemachine."""
    return isinstance(definition, type) and issubclass(definition, StateChart)


def chart_from(definition: object, read: ReadChart) -> Chart:
    """The chart of a `StateChart` class; made once per class. *read* reads the machines and versions it names.

    Raises:
        DefinitionError: with every problem found.
    """
    cls = cast("type[StateChart[Any]]", definition)
    if cls not in _charts:
        with reading(cls):
            chart = ClassReader(cls, read).chart()
        _charts.setdefault(cls, chart)  # if another thread was faster, its chart is the one
    return _charts[cls]


class ClassReader:
    """Reads one class; collects problems instead of stopping at the first."""

    def __init__(self, cls: type[StateChart[Any]], read: ReadChart) -> None:
        self.cls = cls
        self.read = read
        self.options: ClassChartOptions = vars(cls).get(OPTIONS) or ClassChartOptions()
        self.name = self.options.name or cls.__name__
        self.problem = Problems(self.name, written(cls))
        self.places = places_in(cls)
        self.data_class = _data_class(cls)
        self.facade = facade_of(cls, self.data_class)
        self.library = dict(_identified(cls.states))
        self.ids = {id(state): name for name, state in self.library.items()}
        self.work = InvokeReader(cls, self.facade, self.problem, read)
        self.names = EventNames(self.work.ids, self.library, self.problem)
        self.callbacks = ClassCallbacks(
            self.facade, self.data_class, self.library, self.names, self.problem, self.options.services
        )
        self.declared_events = {str(event) for event in cast("Iterable[object]", cls.events)}
        self.of_any_state = _declared_of_any_state(cls)
        self.events: dict[str, EventType] = {}
        self.timers: dict[str, dict[str, Timer]] = {}
        self._types: dict[type, ValueType | None] = {}
        self.differences: list[tuple[str, str, Location | None]] = []

    def chart(self) -> Chart:
        if not self.library:
            self.problem(f"{self.cls.__name__} declares no states.", "Give it at least one State.")
            self.problem.refuse_if_any()
        data = (
            self._type(self.data_class)
            if self.data_class is not None
            else attributes(self.facade, self.options.services)
        )
        self._refuse_hidden_names()
        found = {id: self._work(id, state) for id, state in self.library.items()}
        detached = detached_of(self.options.work, self.work.ids, self.problem)
        for id, work in found.items():
            for timer in work.timers:
                self._arm(id, timer)
        transitions = [edge for id, state in self.library.items() for edge in self._transitions(id, state)]
        refuse_unknown(self.work.declared, data, self.problem)
        states = {ROOT: self._root(), **{id: self._state(id, found[id]) for id in self.library}}
        self._check_stances(states.values(), transitions)
        for name in ignored_events(states.values(), self.events):
            self.events[name] = EventType(name)
        on_demand = [child.id for work in found.values() for child in work.machines if child.on_demand]
        self.callbacks.refuse_unknown(self.name, (*(one.id for one in detached), *on_demand))
        doubts = refuse_certain(self._doubts(data, states.values(), transitions), self.problem)
        parts = Parts(
            states=states,
            transitions=tuple(transitions),
            events=dict(sorted(self.events.items())),
            data=data,
            doc=(inspect.getdoc(self.cls) or "") if self.cls.__doc__ else "",
            policies=self._policies(),
            work=detached,
        )
        chart = assemble(parts, self.options, self.problem, self.read)
        self._judge(chart, doubts)
        return chart

    def _doubts(
        self, data: ValueType | None, states: Collection[State], transitions: Iterable[Transition]
    ) -> Iterator[Doubt]:
        """Outside work of callbacks, callbacks that nothing calls, parameters that nothing provides."""
        yield from (Doubt(*found, certain=False) for found in dict.fromkeys(self.callbacks.suspicions))
        charts: list[type] = [base for base in self.cls.__mro__ if vars(base).get("states")]
        used = [callback.name.rpartition(".")[2] for callback in self.callbacks.asking]
        wanted = [*self.callbacks.found, *self.work.wanted]
        yield from unused_methods(charts, CONVENTIONS, wanted, [*used, *wanted])
        if not self.callbacks.prepares:
            untyped = self.data_class is None
            provided = Provided(
                names=self.callbacks.provided.keys() - {"result", "error", *(["data"] if untyped else [])},
                members=frozenset() if untyped else members_of(data) or frozenset(),
                events=self.events,
                timed=[timer.event for state in states for timer in state.timers],
                base=with_a_data_type(self.cls, "…").removeprefix("class ") if untyped else None,
            )
            yield from doubtful_parameters(self.callbacks.asking, states, transitions, provided)

    def _judge(self, chart: Chart, doubts: Iterable[ChartFinding]) -> None:
        """Warn of suspicious parts. The library itself refuses states that lead nowhere, when the class is made."""
        hidden = hidden_members(chart, self.callbacks.asking, self.callbacks.provided)
        for finding in (*findings(chart), *hidden, *doubts):
            if finding.kind in ("left-final", "shadowed", "unhandled", "hidden", "doubtful"):
                place = str(finding.location or written(self.cls) or "")
                problem = Problem(finding.what, finding.remedy, place)
                warnings.warn(f"{self.name}: {problem}", DefinitionWarning, stacklevel=5)
        for state, event, location in self.differences:
            what = f"'{event}' stays in state '{state}' without entering it; the library would run its entry actions."
            remedy = "Set enable_self_transition_entries = False, which says so to both."
            problem = Problem(what, remedy, str(location or written(self.cls) or ""))
            warnings.warn(f"{self.name}: {problem}", DefinitionWarning, stacklevel=5)

    def _refuse_hidden_names(self) -> None:
        """Report events that hide an attribute of the library: such a machine could not send anything."""
        for name in sorted(self.declared_events):
            if name.isidentifier() and hasattr(StateChart, name):
                what = f"event '{name}' hides an attribute that every statechart has."
                self.problem(what, "Give it another name.", self.places.get(name))

    def _work(self, id: str, state: LibraryState) -> StateWork:
        self.problem.here = self.places.get(state.id)
        return self.work.of(id, state)

    def _type(self, declared: Any) -> ValueType | None:
        """The type of data or of a payload; events that declare the same class share it."""
        if not isinstance(declared, type):
            return self._read_type(declared)
        if declared not in self._types:
            self._types[declared] = self._read_type(declared)
        return self._types[declared]

    def _read_type(self, declared: Any) -> ValueType | None:
        try:
            return Typed(declared)
        except PydanticUserError as error:
            if isinstance(declared, type) and (made := Plain.of(declared, self.options.services)) is not None:
                return made
            self.problem(
                f"{declared!r} cannot be stored as JSON: {error.message.splitlines()[0]}",
                "Use a pydantic model, a dataclass or plain types.",
            )
            return None

    def _policies(self) -> Policies:
        own = {name for cls in self.cls.__mro__ if cls.__module__ != StateChart.__module__ for name in vars(cls)}
        ignores = "allow_event_without_transition" in own and self.cls.allow_event_without_transition
        return Policies(
            unexpected=unexpected_of(self.options, ignores=ignores),
            catch_errors=self.cls.catch_errors_as_events,
        )

    def _root(self) -> State:
        children = list(self.cls.states)
        start = next((state for state in children if state.initial), children[0])
        initial = Transition(key="", source=ROOT, targets=(self.id_of(start),))
        ids = tuple(self.id_of(child) for child in children)
        return State(
            ROOT,
            Kind.COMPOUND,
            None,
            name=self.name,
            children=ids,
            initial=initial,
            defers=self.options.defers,
            ignores=self.options.ignores,
        )

    def _state(self, id: str, work: StateWork) -> State:
        state = self.library[id]
        self.problem.here = self.places.get(state.id)
        children = [*state.states, *state.history]
        return State(
            id=id,
            kind=_kind(state),
            parent=self.id_of(state.parent) if state.parent is not None else ROOT,
            name=_name_of(state),
            children=tuple(self.id_of(child) for child in children),
            initial=self._initial(id, state),
            entry=() if state.final else self.callbacks.of(state.enter),
            done=self.callbacks.of(state.enter) if state.final else (),
            exit=self.callbacks.of(state.exit),
            activities=tuple(work.activities),
            machines=tuple(work.machines),
            location=self.problem.here,
            timers=tuple(self.timers.get(id, {}).values()),
            defers=_stance(state, "defers"),
            ignores=_stance(state, "ignores"),
            tags=frozenset(_stance(state, "tags")),
        )

    def _initial(self, id: str, state: LibraryState) -> Transition | None:
        if isinstance(state, HistoryState):
            edges = list(state.transitions)
        elif state.is_compound:
            edges = [edge for edge in state.transitions if edge.initial]
        else:
            return None
        if not edges:
            return None
        key = f"{id}--initial"
        self.callbacks.edges[key] = edges[0]
        targets = tuple(self.id_of(target) for edge in edges for target in edge.targets)
        actions = tuple(action for edge in edges for action in self.callbacks.of(edge.on))
        return Transition(key=key, source=id, targets=targets, actions=actions)

    # ── transitions and events ────────────────────────────────────────────────────────────────────────────────────────

    def _transitions(self, id: str, state: LibraryState) -> Iterator[Transition]:
        if isinstance(state, HistoryState):
            return
        counts: Counter[str] = Counter()
        for edge in state.transitions:
            if edge.initial or self._is_foreign(edge):
                continue
            self.problem.here = next((self.places[name] for name in map(str, edge.events) if name in self.places), None)
            self.problem.here = self.problem.here or self.places.get(state.id)
            events = self.names.of(str(event) for event in edge.events)
            stem = f"{id}--{events[0] if events else 'always'}"
            counts[stem] += 1
            key = f"{stem}--{counts[stem]}"
            if _stays(edge) and self.cls.enable_self_transition_entries and self.callbacks.of(state.enter):
                self.differences.append((id, events[0] if events else "", self.problem.here))
            self.callbacks.edges[key] = edge
            self._declare(id, edge, events)
            yield Transition(
                key=key,
                source=id,
                targets=() if _stays(edge) else tuple(self.id_of(target) for target in edge.targets),
                events=events,
                guards=self.callbacks.guards(edge.cond),
                before=self.callbacks.of(edge.before),
                actions=self.callbacks.of(edge.on),
                after=self.callbacks.of(edge.after),
                internal=edge.internal,
                validators=self.callbacks.of(edge.validators),
                location=self.problem.here,
            )

    def _is_foreign(self, edge: LibraryTransition) -> bool:
        """True if the edge belongs to a subclass, which shares its states with this class."""
        if any(id(target) not in self.ids for target in edge.targets):
            return True
        ids = {str(event) for event in edge.events}
        return bool(ids) and ids.isdisjoint(self.declared_events)

    def _declare(self, source: str, edge: LibraryTransition, events: tuple[str, ...]) -> None:
        declarations = _declarations(edge) or [found for event in events for found in self.of_any_state.get(event, ())]
        timed = [found for found in declarations if found.after is not None]
        payloads = [found.payload for found in declarations if found.payload is not None]
        if len(timed) > 1 or (timed and len(events) != 1) or any(payload != payloads[0] for payload in payloads):
            self.problem(
                f"the transition from '{source}' on '{' '.join(events)}' is declared more than once.",
                "Write a separate transition for each event that has a payload type or a timer.",
            )
            return
        public = all(found.public for found in declarations)
        for event in events:
            if "*" not in event:
                self._declare_event(event, payloads[0] if payloads else None, public=public)
        if timed and (timer := self._timer(events[0], timed[0])) is not None:
            self._arm(source, timer)

    def _timer(self, event: str, declared: Declaration) -> Timer | None:
        recurring, missed = declared.recurring, declared.missed
        if isinstance(declared.after, timedelta):
            return Timer(event, declared.after, recurring=recurring, missed=missed)
        if isinstance(declared.after, Calendar):
            return calendar_timer(event, declared.after, recurring=recurring, missed=missed)
        when = self.callbacks.one(declared.after)
        if when is None:
            return None
        return Timer(event, when=when, recurring=recurring, instant=declared.instant, missed=missed)

    def _check_stances(self, states: Iterable[State], transitions: Iterable[Transition]) -> None:
        for state in states:
            for problem in stance_problems(state, transitions):
                self.problem(*problem, state.location)

    def _declare_event(self, event: str, payload: Any, *, public: bool) -> None:
        known = self.events.get(event)
        type_ = known.payload if known is not None else None
        if payload is not None and isinstance(type_, Typed) and type_.declared != payload:
            self.problem(f"event '{event}' has two payload types.", "Declare it once, with | between its transitions.")
        if type_ is None and payload is not None:
            type_ = self._type(payload)
        public = public and not event.startswith(PLATFORM_NAMES) and (known is None or known.public)
        self.events[event] = EventType(event, type_, public=public)

    def _arm(self, source: str, timer: Timer) -> None:
        armed = self.timers.setdefault(source, {}).setdefault(timer.event, timer)
        if armed != timer:
            self.problem(
                f"state '{source}' has two timers for '{timer.event}'.",
                "Give each a different event.",
            )

    # ── small things ──────────────────────────────────────────────────────────────────────────────────────────────────

    def id_of(self, state: LibraryState) -> str:
        return self.ids[id(state)]


def _identified(top: Iterable[LibraryState]) -> Iterator[tuple[str, LibraryState]]:
    """Every state with its id: its own, or its whole path where another state of the chart has the same one."""
    found = list(_walk(top, ""))
    counts = Counter(state.id for _, state in found)
    return ((path if counts[state.id] > 1 else state.id, state) for path, state in found)


def _walk(states: Iterable[LibraryState], above: str) -> Iterator[tuple[str, LibraryState]]:
    for state in states:
        path = f"{above}.{state.id}" if above else state.id
        yield path, state
        yield from _walk([*state.states, *state.history], path)


def _declared_of_any_state(cls: type) -> Mapping[str, list[Declaration]]:
    """Declarations on `from_.any()` by event: the library copies its transitions without them."""
    found: dict[str, list[Declaration]] = {}
    events = [event for base in cls.__mro__ for event in vars(base).values() if isinstance(event, LibraryEvent)]
    for event in events:
        edges: Iterable[LibraryTransition] = getattr(event, "_transitions", None) or ()
        for edge in edges:
            if isinstance(edge.source, AnyState):
                found.setdefault(str(event), _declarations(edge))
    return found


def _stance(state: LibraryState, name: str) -> tuple[str, ...]:
    """The names that `defer`, `ignore` or `tag` gave a state."""
    kept: dict[str, Any] = vars(state)
    declared: dict[str, tuple[str, ...]] = kept.get(STANCE, {})
    return declared.get(name, ())


def _declarations(edge: LibraryTransition) -> list[Declaration]:
    kept: dict[str, Any] = vars(edge)
    declared: list[Declaration] = kept.get(DECLARATION, [])
    return declared


def _stays(edge: LibraryTransition) -> bool:
    """True for an internal transition to its own source, which leaves and enters no state."""
    return bool(edge.internal and edge.is_self)


def _name_of(state: LibraryState) -> str:
    """The name in diagrams: the author's, or else one of the id, with the words of `poweredOn` apart."""
    if state.name != state.id.replace("_", " ").capitalize():
        return state.name
    words = _WORD_BORDER.sub("_", state.id).split("_")
    spoken = " ".join(word if word.isupper() else word.lower() for word in words)
    return spoken[:1].upper() + spoken[1:]


def _kind(state: LibraryState) -> Kind:
    if isinstance(state, HistoryState):
        return Kind.DEEP_HISTORY if state.type.is_deep else Kind.SHALLOW_HISTORY
    if state.final:
        return Kind.FINAL
    if state.parallel:
        return Kind.PARALLEL
    return Kind.COMPOUND if state.states else Kind.ATOMIC


def _data_class(cls: type) -> object:
    """The `OrderData` of `class Order(StateChart[OrderData])`, looked for along the bases; None if there is none."""
    for base in cls.__mro__:
        for generic in getattr(base, "__orig_bases__", ()):
            origin = get_origin(generic)
            if isinstance(origin, type) and issubclass(origin, StateChart):
                (argument,) = get_args(generic)
                if isinstance(argument, ForwardRef):
                    argument = _resolved(argument, base)
                if argument is not Any and not isinstance(argument, TypeVar):
                    return cast("object", argument)
    return None


def _resolved(named: ForwardRef, cls: type) -> object:
    """The type behind `StateChart["OrderData"]`; the name itself, if there is none."""
    space = vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
    return space.get(named.__forward_arg__, named)
