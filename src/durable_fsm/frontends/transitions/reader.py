"""Read a configuration or a `Machine` of transitions, and make a chart of it.

The library itself makes a machine of a configuration, so its lists and dictionaries mean the same as in the library.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from enum import Enum
from itertools import combinations
from typing import Any, NoReturn, cast
from weakref import WeakKeyDictionary

from pydantic import PydanticUserError
from transitions import Machine
from transitions.extensions.states import Error, Timeout

from durable_fsm.core.chart import (
    ROOT,
    Callback,
    Chart,
    EventType,
    Guard,
    Kind,
    Policies,
    State,
    Transition,
)
from durable_fsm.core.events import ERROR, PLATFORM_NAMES
from durable_fsm.core.lint import ChartFinding, findings
from durable_fsm.core.scope import Scope
from durable_fsm.core.values import Location, ValueType
from durable_fsm.errors import DefinitionWarning, NotDurable, Problem
from durable_fsm.frontends.arguments import written
from durable_fsm.frontends.assembly import Parts, Problems, assemble
from durable_fsm.frontends.checks.doubts import Doubt, refuse_certain
from durable_fsm.frontends.checks.inputs import members_of, refuse_unknown
from durable_fsm.frontends.checks.names import hidden_members
from durable_fsm.frontends.checks.parameters import Provided, doubtful_parameters
from durable_fsm.frontends.checks.unused import unused_methods
from durable_fsm.frontends.machines import ReadChart, reading
from durable_fsm.frontends.making import why_not_data
from durable_fsm.frontends.names import EventNames, ignored_events, stance_problems
from durable_fsm.frontends.options import ChartOptions, unexpected_of
from durable_fsm.frontends.transitions.callbacks import ModelCallbacks
from durable_fsm.frontends.transitions.config import TransitionsConfig, built, listed
from durable_fsm.frontends.transitions.live import Model, ignores, limits, model_in, model_of, options_of, starts_of
from durable_fsm.frontends.transitions.models import ModelNames, model_type
from durable_fsm.frontends.transitions.owners import machine_of, owns_a_machine
from durable_fsm.frontends.transitions.tree import LibraryEdge, Tree
from durable_fsm.frontends.transitions.work import ConfiguredWork
from durable_fsm.frontends.values import Plain, Typed, typed

Listed = list[Any]  # Any: strings and callables, as the library takes them
CONVENTIONS = ("on_enter", "on_exit", "on_final", "on_timeout")
"""The library calls methods of the model with these beginnings and the name of a state."""

RESTING = "itself"
"""Last part of the id of a state that means "in the parent, and in none of its children"."""

_charts: WeakKeyDictionary[TransitionsConfig, Chart] = WeakKeyDictionary()
_classes: WeakKeyDictionary[type, Chart] = WeakKeyDictionary()


def reads(definition: object) -> bool:
    """True for a definition of transitions: a configuration, a machine, or a model that makes its own machine."""
    return isinstance(definition, TransitionsConfig | Machine) or owns_a_machine(definition)


def chart_from(definition: object, read: ReadChart) -> Chart:
    """The chart of a configuration or a class, made once; or of a machine as it is now. *read* reads charts it names.

    Raises:
        DefinitionError: with every problem found.
    """
    if isinstance(definition, TransitionsConfig):
        if definition not in _charts:
            with reading(definition):
                chart = MachineReader(built(definition), definition, model_of(definition), read).chart()
            _charts.setdefault(definition, chart)  # if another thread was faster, its chart is the one
        return _charts[definition]
    if isinstance(definition, type):
        if definition not in _classes:
            _classes.setdefault(definition, _live(machine_of(definition), read))
        return _classes[definition]
    return _live(machine_of(definition), read)


def _live(machine: Any, read: ReadChart) -> Chart:
    """The chart of a machine as it is now."""
    options = options_of(machine)
    model = model_in(machine, options.services)
    name = options.name or machine.name.removesuffix(": ") or (model.cls or type(machine)).__name__
    place = written(model.cls) or written(type(machine)) or Location("", 0)
    said: dict[str, Any] = {spec.name: getattr(options, spec.name) for spec in fields(ChartOptions)}
    stances: dict[str, Any] = {
        stance: {"*": getattr(options, stance)} for stance in ("defers", "ignores") if getattr(options, stance)
    }
    config = TransitionsConfig(name=name, states=(), initial=machine.initial, location=place, **said, **stances)
    return MachineReader(machine, config, model, read).chart()


class MachineReader:
    """Reads one machine; collects problems instead of stopping at the first."""

    def __init__(self, machine: Any, config: TransitionsConfig, model: Model, read: ReadChart) -> None:
        self.machine = machine
        self.read = read
        self.config = config
        self.model = model
        self.here = config.location if config.location is not None and config.location.file else None
        self.tree = Tree(machine)
        self.nested, self.library, self.edges = self.tree.nested, self.tree.states, self.tree.edges
        self.problem = Problems(config.name, self.here, NotDurable)
        self.states: dict[str, State] = {}
        self.work = ConfiguredWork(config, self.library, self.problem, read)
        self.names = EventNames(self.work.ids, self.library, self.problem)
        names = ModelNames(
            triggers=tuple(dict.fromkeys(edge.event for edge in self.edges if edge.event)),
            states={id: state.value if isinstance(state.value, Enum) else id for id, state in self.library.items()},
            attribute=machine.model_attribute,
            override=bool(machine.model_override),
        )
        self.auto = {names.of_state("to", id) for id in self.library} if machine.auto_transitions else set[str]()
        self.is_live = not config.states  # see `_live`
        lent = None
        if model.cls is not None:
            lent = model_type(model.cls, model.fields, names, self.problem, model.engine)
        self.callbacks = ModelCallbacks(
            lent,
            model.fields,
            names,
            self.problem,
            send_event=bool(machine.send_event),
            models=model.live,
            live=self.is_live,
        )
        self.last = self._last()

    # ── the chart ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def chart(self) -> Chart:
        for what, remedy in limits(self.machine, self.library, self.model):
            self.problem(what, remedy)
        if self.is_live and any(not edge.event for edge in self.edges):
            remedy = "Give it a name. In a TransitionsConfig the trigger '' means a transition without an event."
            self.problem("it has the trigger '', which only code inside the process could call.", remedy)
        data = self._data()
        refuse_unknown(self.work.declared, data, self.problem)
        top = [self._state(state, id, ROOT) for id, state in self.tree.children(self.machine.states, "")]
        transitions = tuple(self._transitions())
        self.callbacks.refuse_unknown(self.config.name, (*(one.id for one in self.work.detached), *self.work.on_demand))
        config = self.config
        root = State(
            ROOT,
            Kind.COMPOUND,
            None,
            name=config.name,
            children=tuple(top),
            initial=self._initial(),
            defers=tuple(config.defers.get("*", ())),
            ignores=tuple(config.ignores.get("*", ())),
        )
        events = self._events(root, transitions)
        self._check_stances(root, transitions)
        doubts = refuse_certain(self._doubts(data, events, transitions), self.problem)
        parts = Parts(
            states={ROOT: root, **{id: self.states[id] for id in self._document_order(top)}},
            transitions=transitions,
            events=events,
            data=data,
            doc=config.doc,
            policies=Policies(
                unexpected=unexpected_of(config, ignores=self._ignores()),
                catch_errors=any(ERROR in edge.events for edge in transitions),
            ),
            work=self.work.detached,
        )
        chart = assemble(parts, config, self.problem, self.read)
        self._judge(chart, doubts)
        return chart

    def _doubts(
        self, data: ValueType | None, events: Mapping[str, EventType], transitions: Iterable[Transition]
    ) -> Iterator[Doubt]:
        """Outside work of callbacks, methods of the model that nothing calls, parameters that nothing provides."""
        yield from (Doubt(*found, certain=False) for found in dict.fromkeys(self.callbacks.suspicions))
        if self.model.cls is not None:
            used = [callback.name.rpartition(".")[2] for callback in self.callbacks.asking]
            wanted = [f"{slot}_{id}" for slot in CONVENTIONS for id in self.library]
            doubts = unused_methods([self.model.cls], CONVENTIONS, wanted, used)
            yield from (doubt for doubt in doubts if doubt.certain)  # the class may be the model of others, too
        if not self.machine.send_event:
            provided = Provided(
                names=self.callbacks.provided.keys() - {"result", "error"},
                members=members_of(data) or frozenset(),
                events=events,
                timed=[timer.event for state in self.states.values() for timer in state.timers],
            )
            yield from doubtful_parameters(self.callbacks.asking, self.states.values(), transitions, provided)

    def _document_order(self, ids: Iterable[str]) -> Iterator[str]:
        for id in ids:
            yield id
            yield from self._document_order(self.states[id].children)

    def _ignores(self) -> bool:
        return all(ignores(self.machine, state) for state in self.library.values())

    def _ignores_alone(self, state: Any) -> bool:
        """True if this state ignores invalid triggers, and not all states do."""
        return ignores(self.machine, state) and not self._ignores()

    def _check_stances(self, root: State, transitions: Collection[Transition]) -> None:
        for stance, declared in (("defers", self.config.defers), ("ignores", self.config.ignores)):
            unknown = sorted(declared.keys() - self.library.keys() - {"*"})
            self._unknown(unknown, f"'{{}}' {stance} events, and is not a state.")
        for state in (root, *self.states.values()):
            alone = state.id in self.library and self._ignores_alone(self.library[state.id])
            for problem in stance_problems(replace(state, ignores=()) if alone else state, transitions):
                self.problem(*problem)

    def _judge(self, chart: Chart, doubts: Iterable[ChartFinding]) -> None:
        """Warn of suspicious parts, for which the library does not look."""
        for finding in hidden_members(chart, self.callbacks.asking, self.callbacks.provided):
            self.problem(finding.what, finding.remedy)
        self.problem.refuse_if_any()
        for finding in (*self._findings(chart), *doubts):
            self._warn(finding.what, finding.remedy)
        for state, event in self._ways_back(chart):
            self._warn(
                f"state '{state}' is final, and the machine ends there: it no longer accepts '{event}'.",
                "Remove the transition, or let the state not be final.",
            )
        if not self.config.queued:
            what = "queued=False is not possible: a trigger inside a callback waits until the transition has ended."
            self._warn(what, "Leave it out.")
        if self.auto:
            what = "every state can be reached by 'to_<state>', which is kept as a private event."
            self._warn(what, "auto_transitions=False leaves them out.")

    def _findings(self, chart: Chart) -> Iterator[ChartFinding]:
        """Suspicions, without the dead ends that are meant."""
        found = findings(chart)
        dead = {finding.state for finding in found if finding.kind == "dead-end"}
        for id in self.config.dead_ends:
            if id not in dead:
                self.problem(f"'{id}' is not a state that nothing leaves.", "Remove it from dead_ends=.")
        self.problem.refuse_if_any()
        return (one for one in found if one.kind != "dead-end" or one.state not in self.config.dead_ends)

    def _ways_back(self, chart: Chart) -> Iterator[tuple[str, str]]:
        """Transitions out of final states, except those of wildcards, which mean every state."""
        everywhere = [id for id, _ in self.tree.children(self.machine.states, "")]
        sources: dict[str, set[str]] = {}
        for edge in self.edges:
            sources.setdefault(edge.event, set()).add(edge.source)
        for edge in self.edges:
            final = edge.source in chart.states and chart.states[edge.source].kind is Kind.FINAL
            if final and edge.event not in self.auto and not sources[edge.event].issuperset(everywhere):
                yield edge.source, edge.event

    def _warn(self, what: str, remedy: str) -> None:
        problem = Problem(what, remedy, str(self.here or ""))
        warnings.warn(f"{self.config.name}: {problem}", DefinitionWarning, stacklevel=6)

    def _data(self) -> ValueType | None:
        declared = self.model.cls
        if declared is None:
            return Typed(dict[str, Any])
        if self.model.make is not None:
            return Plain(self.model.make, declared.__name__, self.model.services)
        try:
            return Typed(declared)
        except PydanticUserError as error:
            made = Plain.of(declared, self.config.services)
            if made is None:
                remedy = "Use a pydantic model or a dataclass; or, if it is not data: services=('{}',)."
                found = why_not_data(declared, self.config.services, remedy)
                for problem in found:
                    self.problem(*problem)
                if not found:
                    what = f"{declared.__name__} cannot be stored as JSON: {str(error).splitlines()[0]}"
                    self.problem(what, "Use a pydantic model or a dataclass.")
            return made

    # ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _state(self, state: Any, id: str, parent: str) -> str:
        children = [
            self._state(child, name, id) for name, child in self.tree.children(getattr(state, "states", {}), id)
        ]
        starts = [self.tree.path(id, start) for start in starts_of(state)]
        kind, initial = Kind.ATOMIC, None
        if any(start not in children for start in starts):
            self.problem(
                f"state '{id}' begins in '{starts[0]}', which is not one of its children.", "Correct the name."
            )
        elif len(starts) > 1:
            kind = Kind.PARALLEL
            if len(starts) != len(children):
                self.problem(
                    f"state '{id}' begins in some of its children, and not in all.", "Begin in one, or in all."
                )
        elif children:
            kind = Kind.COMPOUND
            start = starts[0] if starts else self._resting(state, id)
            initial = Transition(f"{id}--initial", id, (start,))
            children = [*({start: None} if not starts else {}), *children]
        elif state.final:
            kind = Kind.FINAL
        self.states[id] = State(
            id=id,
            kind=kind,
            parent=parent,
            name=id.rpartition(self.tree.separator)[2],
            children=tuple(children),
            initial=initial,
            entry=() if kind is Kind.FINAL else tuple(self._begun(id, state)),
            done=tuple(self._begun(id, state)) if kind is Kind.FINAL else (),
            exit=self.callbacks.of([*state.on_exit, *self._convention("on_exit", id, state.on_exit)]),
            activities=tuple(self.work.activities(id)),
            machines=tuple(self.work.machines(id)),
            timers=tuple(
                replace(timer, event=self.names.spelled(timer.event))
                for timer in self.work.timers(id, state, lambda delay: self.callbacks.of([delay], moved=True))
            ),
            defers=tuple(self.config.defers.get(id, ())),
            ignores=("*",) if self._ignores_alone(state) else tuple(self.config.ignores.get(id, ())),
            tags=frozenset(map(str, getattr(state, "tags", ()))),
            location=self.here,
        )
        return id

    def _resting(self, state: Any, id: str) -> str:
        """A leaf for the library's "in the parent, and in none of its children"."""
        resting = self.tree.path(id, RESTING)
        if resting in self.library:
            self.problem(
                f"state '{resting}' has the name of the rest in '{id}'.", "Give it another name, or an initial."
            )
        entry = (self.callbacks.noting(id),) if state.final and self.last else ()
        self.states[resting] = State(resting, Kind.ATOMIC, id, name=RESTING, entry=entry, location=self.here)
        return resting

    def _begun(self, id: str, state: Any) -> Iterator[Callback]:
        """Callbacks that run when a state is entered. The library does not run them when a machine is created."""
        if isinstance(state, Error) and not self.machine.get_triggers(id) and not cast("Any", state).is_accepted:
            yield self.callbacks.not_at_the_start(_error_state(id))
        names = [*state.on_enter, *self._convention("on_enter", id, state.on_enter)]
        if state.final and not self.nested:
            names += self.machine.on_final
        for callback in self.callbacks.of(names, moved=True):
            yield self.callbacks.not_at_the_start(callback)
        if state.final and self.last and not getattr(state, "states", None):
            yield self.callbacks.noting(id)

    def _last(self) -> dict[str, tuple[Callback, ...]]:
        """Callbacks for the end of each state of a hierarchical machine; under the root's id, of the whole machine."""
        if not self.nested:
            return {}
        named = {ROOT: [*self.machine.on_final]}
        for id, state in self.library.items():
            named[id] = [*state.on_final, *self._convention("on_final", id, state.on_final)]
        return {id: self.callbacks.of(names, moved=True) for id, names in named.items() if names}

    def _convention(self, slot: str, id: str, named: Listed) -> Listed:
        """`on_enter_paid` of the model, where the state does not name it itself."""
        method = f"{slot}_{id}"
        return (
            [method] if self.model.cls is not None and hasattr(self.model.cls, method) and method not in named else []
        )

    def _initial(self) -> Transition:
        """Where a machine begins: in one state, or in some that can be active together."""
        targets = [str(getattr(start, "name", start)) for start in listed(self.machine.initial)]
        if not targets:
            self.problem("the machine has no initial state.", "Give it an initial state.")
        for name in targets:
            if name not in self.library:
                self.problem(f"the machine begins in '{name}', which is not a state.", "Correct the name.")
        for one, other in combinations([name for name in targets if name in self.states], 2):
            if not self._are_beside(one, other):
                what = f"the machine begins in '{one}' and in '{other}', which are not regions of one parallel state."
                self.problem(what, "Put them into one: {'name': …, 'parallel': [...]}.")
        return Transition("", ROOT, tuple(targets))

    def _are_beside(self, one: str, other: str) -> bool:
        """Whether two states lie in different regions."""
        around = [id for id in self._lineage(one) if id in self._lineage(other)]
        innermost = around[0]
        return innermost not in (ROOT, one, other) and self.states[innermost].kind is Kind.PARALLEL

    def _lineage(self, id: str) -> list[str]:
        parent = self.states[id].parent if id != ROOT else None
        return [id] if parent is None else [id, *self._lineage(parent)]

    # ── transitions ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _transitions(self) -> Iterator[Transition]:
        counts: Counter[str] = Counter()
        order = {id: place for place, id in enumerate(self.library)}
        for edge in sorted(self.edges, key=lambda edge: order.get(edge.source, 0)):
            missing = next((id for id in (edge.source, edge.dest) if id is not None and id not in self.library), None)
            if missing is not None:
                self.problem(
                    f"transition '{edge.event}' names state '{missing}', and there is none.", "Correct the name."
                )
                continue
            if self.states[edge.source].kind is Kind.FINAL:
                continue
            name = self.names.spelled(edge.event)
            stem = f"{edge.source}--{name or 'always'}"
            counts[stem] += 1
            yield self._transition(f"{stem}--{counts[stem]}", name, edge)
        for id, state in self.library.items():
            if isinstance(state, Timeout) and state.timeout > 0:
                event = f"timeout_{id}"
                named: Listed = cast("Any", state).on_timeout
                actions = self.callbacks.of([*named, *self._convention("on_timeout", id, named)])
                yield Transition(f"{id}--{event}--1", id, (), (event,), actions=actions, location=self.here)

    def _transition(self, key: str, event: str, edge: LibraryEdge) -> Transition:
        machine, record = self.machine, edge.record
        moves = edge.dest is not None
        guards = [self.callbacks.preparation(name, once=True) for name in machine.prepare_event]
        guards += [self.callbacks.preparation(name) for name in record.prepare]
        guards += [guard for condition in record.conditions for guard in self._guards(condition)]
        after = [self.callbacks.ending(self.last, self._is_final)] if moves and self.last else list[Callback]()
        after += self.callbacks.of([*record.after, *machine.after_state_change], moved=True)
        after += map(self.callbacks.finished, self.callbacks.of(machine.finalize_event, moved=True))
        return Transition(
            key=key,
            source=edge.source,
            targets=() if edge.dest is None else (edge.dest,),
            events=(event,) if event else (),
            guards=tuple(guards),
            before=self.callbacks.of([*machine.before_state_change, *record.before]),
            after=tuple(after),
            internal=edge.dest is not None and edge.dest.startswith(f"{edge.source}{self.tree.separator}"),
            location=self.here,
        )

    def _guards(self, condition: Any) -> Iterator[Guard]:
        for callback in self.callbacks.of([condition.func]):
            yield Guard(callback.name, callback.call, callback.location, negated=not condition.target)

    def _is_final(self, id: str) -> bool:
        return id in self.library and bool(self.library[id].final)

    def _events(self, root: State, transitions: Iterable[Transition]) -> dict[str, EventType]:
        timers = {timer.event for state in self.states.values() for timer in state.timers}
        named = {*map(self.names.spelled, self.config.private)}
        private = {*timers, *self.auto, *named}
        found: dict[str, EventType] = {}
        taken = dict.fromkeys(name for edge in transitions for name in edge.events)
        for name in (*taken, *ignored_events((root, *self.states.values()), taken)):
            public = name not in private and not name.startswith(PLATFORM_NAMES)
            found[name] = EventType(name, self._payload(name), public=public)
            if "*" in name or any(name.startswith(f"{other}.") for other in found):
                self.problem(
                    f"event '{name}' has a dot or a star in its name and would match other events.",
                    "Write names without dots and stars.",
                )
        self._unknown(self.config.events.keys() - found.keys(), "event '{}' has a payload type, and no transition.")
        self._unknown(named - found.keys(), "event '{}' is private, and has no transition.")
        self._unknown(timers - found.keys(), "timer '{}' has no transition.")
        return dict(sorted(found.items()))

    def _unknown(self, names: Collection[str], what: str) -> None:
        for name in sorted(names):
            self.problem(what.format(name), "Correct the name, or add one.")

    def _payload(self, event: str) -> ValueType | None:
        declared = self.config.events.get(event)
        return None if declared is None else typed(declared, f"the payload of '{event}'", self.problem)


def _error_state(id: str) -> Callback:
    """The library's `Error` feature: entering such a state raises if it has no way out and is not accepted."""

    def reached(_: Scope) -> NoReturn:
        raise RuntimeError(f"error state '{id}' reached")

    return Callback("error state", reached)
