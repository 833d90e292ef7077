"""Read the configuration of an XState machine, and make a chart of it."""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast
from weakref import WeakKeyDictionary

from durable_fsm.core.chart import ROOT, Callback, Chart, EventType, Kind, Policies, State, Timer, Transition
from durable_fsm.core.events import ERROR, PLATFORM_NAMES
from durable_fsm.core.lint import findings
from durable_fsm.core.values import Completed, Json, ValueType
from durable_fsm.core.xstate_events import FAMILIES
from durable_fsm.errors import DefinitionWarning, NotDurable, Problem
from durable_fsm.frontends.arguments import result_of
from durable_fsm.frontends.assembly import Parts, Problems, assemble
from durable_fsm.frontends.checks.inputs import refuse_unknown
from durable_fsm.frontends.machines import ReadChart, reading
from durable_fsm.frontends.names import stance_problems
from durable_fsm.frontends.values import Typed, typed
from durable_fsm.frontends.xstate.actors import Actors
from durable_fsm.frontends.xstate.config import XStateConfig
from durable_fsm.frontends.xstate.functions import NamedFunctions
from durable_fsm.frontends.xstate.nodes import Members, StateNode, StateTree, listed
from durable_fsm.frontends.xstate.vocabulary import STATE, Vocabulary

ENDED = "ended"
"""Final state of a machine whose root is put into another one, see `ConfigReader._wrap_root`."""

BUSY = frozenset({"invoke", "after", "always", "exit"})
"""Members that the root of a chart does not have."""

_charts: WeakKeyDictionary[XStateConfig, Chart] = WeakKeyDictionary()


def reads(definition: object) -> bool:
    """True for a configuration of XState."""
    return isinstance(definition, XStateConfig)


def chart_from(definition: object, read: ReadChart) -> Chart:
    """The chart of a configuration, made once. *read* reads the charts that it names.

    Raises:
        DefinitionError: with every problem found.
        OSError: its file cannot be read.
    """
    config = cast("XStateConfig", definition)
    if config not in _charts:
        with reading(config):
            chart = ConfigReader(config, read).chart()
        _charts.setdefault(config, chart)  # if another thread was faster, its chart is the one
    return _charts[config]


@dataclass(frozen=True, slots=True)
class WithContext:
    """A `ValueType` whose values begin with the members of `context`."""

    inner: Typed
    context: Mapping[str, Json]

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def declared(self) -> Any:
        return self.inner.declared

    def load(self, stored: Json) -> object:
        if stored is None or isinstance(stored, dict):
            stored = {**copy.deepcopy(dict(self.context)), **(stored or {})}
        return self.inner.load(stored)

    def dump(self, value: object) -> Json:
        return self.inner.dump(value)

    def completed(self, given: Json) -> Completed | None:
        return self.inner.completed(given)

    def schema(self) -> dict[str, Json] | None:
        return self.inner.schema()


class ConfigReader:
    """Reads one configuration; collects problems instead of stopping at the first."""

    def __init__(self, config: XStateConfig, read: ReadChart) -> None:
        self.config = config
        self.read = read
        self.members = config.members()
        machine = str(self.members.get("id") or config.name)
        self.problem = Problems(config.name, config.location, NotDurable)
        self.tree = StateTree(self.members, machine)
        self.vocabulary = Vocabulary(self.tree, self.problem)
        self.functions = NamedFunctions(config.guards, config.actions, self.problem)
        self.actors = Actors(config, self.problem, read)
        self.states: dict[str, State] = {}
        self.transitions: list[Transition] = []
        self._counts: Counter[str] = Counter()

    def chart(self) -> Chart:
        config = self.config
        for id in self.tree.repeated():
            self.problem(f"several states have the id '{id}'.", "Give each its own.")
        for node in self.tree.nodes:
            self.vocabulary.check(node)
        if self.tree.root.kind is not Kind.COMPOUND or not BUSY.isdisjoint(self.members):
            self._wrap_root()
        root = self._state(self.tree.root)
        data = self._data()
        refuse_unknown(self.actors.declared, data, self.problem)
        events = self._events()
        work = self.actors.detached()
        self.functions.refuse_unused()
        self.actors.refuse_unused()
        states = {ROOT: root, **{id: state for id, state in self.states.items() if id != ROOT}}
        on_demand = [child.id for state in states.values() for child in state.machines if child.on_demand]
        self.functions.refuse_unknown_work(self.problem.chart, (*(one.id for one in work), *on_demand))
        self._check_stances(states)
        chart = assemble(
            Parts(
                states=states,
                transitions=tuple(self.transitions),
                events=events,
                data=data,
                doc=str(self.members.get("description") or ""),
                policies=Policies(catch_errors=any(ERROR in edge.events for edge in self.transitions)),
                work=work,
            ),
            config if "version" not in self.members else replace(config, version=self._version()),
            self.problem,
            self.read,
        )
        for finding in findings(chart):
            remedy = "Give the invoke an onError." if finding.kind == "unhandled" else finding.remedy
            problem = Problem(finding.what, remedy, str(config.location or ""))
            warnings.warn(f"{chart.name}: {problem}", DefinitionWarning, stacklevel=5)
        return chart

    def _version(self) -> str:
        return self.config.version if self.config.version != "1" else str(self.members["version"])

    def _wrap_root(self) -> None:
        """Make the root of XState a state inside that of the chart, which has states, is not parallel and does no work."""
        inner = {name: member for name, member in self.members.items() if name in STATE}
        top: dict[str, Any] = {self.tree.machine: {**inner, "id": self.tree.machine}}
        if self._can_end(self.tree.root):
            top[self.tree.machine]["onDone"] = {"target": f"#{ENDED}"}
            top[ENDED] = {"type": "final", "id": ENDED}
        self.tree = StateTree({"initial": self.tree.machine, "states": top}, ROOT)
        self.vocabulary = Vocabulary(self.tree, self.problem)

    def _can_end(self, node: StateNode) -> bool:
        if node.kind is Kind.PARALLEL:
            return all(map(self._can_end, node.children.values()))
        return any(child.kind is Kind.FINAL for child in node.children.values())

    # ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _state(self, node: StateNode) -> State:
        """Make the state of a node; states are in document order, and so are their transitions."""
        self.states[node.id] = State(node.id, node.kind, None)  # takes its place
        says, members = node.kind, node.members
        state = State(
            id=node.id,
            kind=says,
            parent=None if node.parent is None else node.parent.id,
            name=self._name(node),
            children=tuple(child.id for child in node.children.values()),
            initial=self._initial(node),
            entry=() if node.id == ROOT else self.functions.actions(members.get("entry")),
            exit=self.functions.actions(members.get("exit")),
            done=self._output(node),
            activities=tuple(self.actors.activities(node)),
            machines=tuple(self.actors.machines(node)),
            timers=tuple(self._timers(node)),
            tags=frozenset(map(str, listed(members.get("tags")))),
            defers=tuple(self.config.defers.get(node.id or "*", ())),
            ignores=tuple(self.config.ignores.get(node.id or "*", ())),
            location=self.config.location,
        )
        self.transitions += self._edges(node)
        for child in node.children.values():
            self._state(child)
        self.states[node.id] = state
        return state

    def _name(self, node: StateNode) -> str:
        if node.id == ROOT:
            return self.problem.chart
        described = node.members.get("description")
        # A line is a name for diagrams; a longer text is documentation, for which a state has no place.
        short = isinstance(described, str) and 0 < len(described) <= 40 and "\n" not in described
        return str(described) if short else node.path[-1]

    def _initial(self, node: StateNode) -> Transition | None:
        members = node.members
        if node.kind.is_history:
            targets = self._targets(members.get("target"), node)
            return Transition(f"{node.id}--initial", node.id, targets) if targets else None
        if node.kind is not Kind.COMPOUND:
            return None
        said = members.get("initial")
        begins = cast("Members", said) if isinstance(said, Mapping) else {"target": said}
        target, actions = begins.get("target"), begins.get("actions")
        if not isinstance(target, str):
            self.problem(f"state '{node.id or self.tree.machine}' has no initial state.", "Name one of its children.")
            return None
        inner = target if target.startswith("#") else f".{target.removeprefix('.')}"
        targets = self._targets(inner, node)
        # The root of a chart is not entered, so that its entry actions run on the way to its first state.
        entry = listed(members.get("entry")) if node.id == ROOT else []
        does = self.functions.actions([*entry, *listed(actions)])
        return Transition(f"{node.id}--initial", node.id, targets, actions=does)

    def _output(self, node: StateNode) -> tuple[Callback, ...]:
        if node.kind is not Kind.FINAL:
            return ()
        at_top = node.parent is self.tree.root
        compute = self.config.outputs.get(node.id, self.config.outputs.get("*") if at_top else None)
        if compute is not None:
            return (self.functions.computed(compute),)
        output = node.members.get("output", self.members.get("output") if at_top else None)
        if output is None and node.id == ENDED:
            return (Callback("output", result_of),)
        return () if output is None else (Callback("output", lambda _: copy.deepcopy(output)),)

    def _timers(self, node: StateNode) -> Iterator[Timer]:
        for delay in self.vocabulary.after(node):
            event = self.vocabulary.timer_event(node, delay)
            if delay.isdecimal():
                yield Timer(event, timedelta(milliseconds=int(delay)))
            elif delay not in self.config.delays:
                self.problem(f"delay '{delay}' is not given.", f"Give it: delays={{'{delay}': timedelta(…)}}.")
            else:
                given = self.config.delays[delay]
                if isinstance(given, timedelta):
                    yield Timer(event, given)
                else:
                    yield Timer(event, when=self.functions.computed(given))

    # ── transitions ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _edges(self, node: StateNode) -> Iterator[Transition]:
        for event, said in self.vocabulary.transitions(node):
            yield self._edge(node, event, said)

    def _edge(self, node: StateNode, event: str, said: Mapping[str, Any]) -> Transition:
        stem = f"{node.id}--{event or 'always'}"
        self._counts[stem] += 1
        targets = self._targets(said.get("target"), node)
        edge = Transition(
            key=f"{stem}--{self._counts[stem]}",
            source=node.id,
            targets=targets,
            events=(event,) if event else (),
            guards=self.functions.guards(said.get("guard")),
            actions=self.functions.actions(said.get("actions")),
            location=self.config.location,
        )
        return edge if said.get("reenter") or not targets else self._staying(node, edge)

    def _staying(self, node: StateNode, edge: Transition) -> Transition:
        """XState does not leave the source of a transition to itself or into itself, unless it says `reenter`."""
        if edge.targets == (node.id,):
            if node.kind is Kind.ATOMIC:
                return replace(edge, targets=())
            if node.kind is Kind.COMPOUND and (initial := self._initial(node)) is not None:
                return replace(edge, targets=initial.targets, actions=(*edge.actions, *initial.actions), internal=True)
        return replace(edge, internal=True)

    def _targets(self, said: Any, node: StateNode) -> tuple[str, ...]:
        found: list[str] = []
        for text in listed(said):
            target = self.tree.target(text, node) if isinstance(text, str) else None
            if target is None:
                where = node.id or self.tree.machine
                self.problem(f"'{where}' names the state {text!r}, and there is none.", "Correct the name.")
            else:
                found.append(target.id)
        return tuple(found)

    # ── events and data ───────────────────────────────────────────────────────────────────────────────────────────────

    def _events(self) -> dict[str, EventType]:
        timers = {timer.event for state in self.states.values() for timer in state.timers}
        private = {*timers, *self.config.private}
        found: dict[str, EventType] = {}
        for name in dict.fromkeys(name for edge in self.transitions for name in edge.events):
            if "*" not in name and name not in FAMILIES:
                public = name not in private and not name.startswith(PLATFORM_NAMES)
                found[name] = EventType(name, self._payload(name), public=public)
        self._unknown(self.config.events.keys() - found.keys(), "event '{}' has a payload type, and no transition.")
        self._unknown({*self.config.private} - found.keys(), "event '{}' is private, and has no transition.")
        return dict(sorted(found.items()))

    def _unknown(self, names: Iterable[str], what: str) -> None:
        for name in sorted(names):
            self.problem(what.format(name), "Correct the name, or add one.")

    def _payload(self, event: str) -> ValueType | None:
        declared = self.config.events.get(event)
        return None if declared is None else typed(declared, f"the payload of '{event}'", self.problem)

    def _data(self) -> ValueType | None:
        context: Any = self.members.get("context") or {}
        if not isinstance(context, Mapping):
            self.problem("context is not a JSON object.", "Give the members of the data, or leave it out.")
            return None
        inner = typed(dict[str, Any] if self.config.data is None else self.config.data, "the data", self.problem)
        return WithContext(inner, cast("Mapping[str, Json]", context)) if inner is not None and context else inner

    def _check_stances(self, states: Mapping[str, State]) -> None:
        final = {id for id, state in states.items() if state.kind is Kind.FINAL}
        self._unknown(self.config.outputs.keys() - final - {"*"}, "'{}' has an output, and is not a final state.")
        for stance, declared in (("defers", self.config.defers), ("ignores", self.config.ignores)):
            self._unknown(declared.keys() - states.keys() - {"*"}, f"'{{}}' {stance} events, and is not a state.")
        for state in states.values():
            for problem in stance_problems(state, self.transitions):
                self.problem(*problem)
