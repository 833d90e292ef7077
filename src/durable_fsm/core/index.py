"""Lookup tables over a chart, computed once, so that a step costs what is active and not what is declared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import TypeAlias, TypeVar

from durable_fsm.core.chart import ROOT, Chart, Kind, State, Transition, Unexpected
from durable_fsm.core.limits import GRANTED
from durable_fsm.errors import quoted


def matches(descriptor: str, event: str) -> bool:
    """Whether an event descriptor selects an event: `a` and `a.*` select `a` and `a.b`; `*` selects everything.

    https://www.w3.org/TR/scxml/#EventDescriptors
    """
    if descriptor == "*":
        return True
    prefix = descriptor.removesuffix("*").removesuffix(".")
    return event == prefix or event.startswith(f"{prefix}.")


KEPT = 4_096
"""Configurations for which answers are remembered; beyond that all are forgotten."""


class Stance(Enum):
    """How a state declares to treat an event from outside that none of its own transitions takes."""

    DEFER = "defer"
    IGNORE = "ignore"


Leaves: TypeAlias = tuple[str, ...]
Candidates: TypeAlias = tuple[tuple[Transition, ...], ...]

K = TypeVar("K")
V = TypeVar("V")


class Remembered(dict[K, V]):
    """Answers, each worked out when it is first asked for: `index.active[leaves]`. Any other time it is a lookup.

    Answers to some keys may not be kept: names made up by senders must not fill the memory.
    """

    def __init__(self, answer: Callable[[K], V], *, keeps: Callable[[K], bool] | None = None) -> None:
        super().__init__()
        self._answer = answer
        self._keeps = keeps

    def __missing__(self, key: K) -> V:
        found = self._answer(key)
        if self._keeps is None or self._keeps(key):
            if len(self) >= KEPT:
                self.clear()
            self[key] = found
        return found


class Index:
    """Ancestors, document order and transitions by state.

    `order` maps ids to document order, `ancestors` an id to its ancestors, nearest first, the root last. `initial` has
    a transition for every compound and history state, `regions` the children of a state without its histories.

    Answers that every event asks for are `Remembered`. Leaves are the active leaves, in document order:

        active[leaves]               the whole configuration, without the root
        active_in_order[leaves]      the same, in document order; raises KeyError for ids that the chart does not have
        discord[leaves]              why leaves of the chart cannot be a configuration, as a sentence; empty if they can
        candidates[leaves, event]    for each leaf the transitions to ask, the innermost first; eventless ones for None
        stances[leaves, event]       candidates for an event from outside, and what becomes of it if none is enabled
    """

    def __init__(self, chart: Chart) -> None:
        self.states = chart.states
        self.order = {id: place for place, id in enumerate(chart.states)}
        self.ancestors: dict[str, tuple[str, ...]] = {}
        self.histories: dict[str, tuple[State, ...]] = {}
        self.regions: dict[str, tuple[str, ...]] = {}
        for state in chart.states.values():
            parent = state.parent
            self.ancestors[state.id] = () if parent is None else (parent, *self.ancestors[parent])
            below = [chart.states[child] for child in state.children]
            self.histories[state.id] = tuple(child for child in below if child.kind.is_history)
            self.regions[state.id] = tuple(child.id for child in below if not child.kind.is_history)
        self.lineage = {id: frozenset(ancestors) for id, ancestors in self.ancestors.items()}
        self.initial = {state.id: self._initial(state) for state in chart.states.values()}
        self.transitions: dict[str, list[Transition]] = {id: [] for id in chart.states}
        for transition in chart.transitions:
            self.transitions[transition.source].append(transition)
        self.eventless = {
            id: tuple(transition for transition in transitions if not transition.events)
            for id, transitions in self.transitions.items()
        }
        self.has_eventless = any(self.eventless.values())
        self.descriptors = frozenset(descriptor for edge in chart.transitions for descriptor in edge.events)
        self._declared = frozenset(chart.events)
        self._ignored = frozenset(descriptor for state in chart.states.values() for descriptor in state.ignores)
        policies = chart.policies
        self._ignores_unknown = policies.unexpected is Unexpected.IGNORE and not policies.scxml
        self._by_event: dict[tuple[str, str], tuple[Transition, ...]] = {}
        self.active = Remembered[Leaves, frozenset[str]](lambda leaves: frozenset(self.with_ancestors(leaves)))
        self.active_in_order = Remembered[Leaves, tuple[str, ...]](
            lambda leaves: tuple(self.in_order(self.active[leaves]))
        )
        self.discord = Remembered[Leaves, str](self._discord)
        self.candidates = Remembered[tuple[Leaves, str | None], Candidates](
            self._candidates, keeps=lambda key: key[1] is None or key[1] in self._declared
        )
        self.stances = Remembered[tuple[Leaves, str], tuple[Candidates, frozenset[Stance]]](
            self._stances, keeps=lambda key: key[1] in self._declared
        )
        self.has_stances = any(state.defers or state.ignores for state in chart.states.values())
        self.has_history = any(self.histories.values())
        self.parallels_at_top = tuple(id for id in self.regions[ROOT] if chart.states[id].kind is Kind.PARALLEL)

    def _initial(self, state: State) -> Transition:
        """The default transition of a compound or history state; other kinds never look."""
        if state.initial is not None:
            return state.initial
        if state.kind.is_history and state.parent is not None:
            parent = self.states[state.parent]
            targets = self.regions[parent.id] if parent.kind is Kind.PARALLEL else self._initial(parent).targets
            return Transition("", state.id, targets)
        return Transition("", state.id, self.regions[state.id][:1])

    def _discord(self, leaves: Leaves) -> str:
        active = self.active[leaves]
        for state in (self.states[ROOT], *(self.states[id] for id in self.in_order(active))):
            inside = [id for id in self.regions[state.id] if id in active]
            if state.kind is Kind.COMPOUND and len(inside) > 1:
                return f"states {quoted(inside)} cannot be active together."
            if state.kind is Kind.COMPOUND and not inside:
                return "no state at all is active."
            missing = [id for id in self.regions[state.id] if id not in active]
            if state.kind is Kind.PARALLEL and missing:
                return f"'{state.id}' is active, and nothing inside {quoted(missing)} is."
        return ""

    def taking(self, state: str, event: str) -> tuple[Transition, ...]:
        """The transitions of *state* whose descriptors select *event*, in document order."""
        found = self._by_event.get((state, event))
        if found is None:
            found = tuple(
                transition
                for transition in self.transitions[state]
                if any(matches(descriptor, event) for descriptor in transition.events)
            )
            if event in self._declared:  # names made up by senders must not fill the memory
                self._by_event[state, event] = found
        return found

    def _candidates(self, key: tuple[Leaves, str | None]) -> Candidates:
        leaves, event = key
        return tuple(
            tuple(
                transition
                for state in (leaf, *self.ancestors[leaf])
                for transition in (self.eventless[state] if event is None else self.taking(state, event))
            )
            for leaf in leaves
        )

    def _stances(self, key: tuple[Leaves, str]) -> tuple[Candidates, frozenset[Stance]]:
        # A deferred event does not reach the states around the one that defers it: their transitions are not candidates.
        leaves, event = key
        paths = [self._heard(leaf, event) for leaf in leaves]
        candidates = tuple(tuple(edge for id in path for edge in self.taking(id, event)) for path, _ in paths)
        return candidates, frozenset(stance for _, stance in paths if stance is not None)

    def _heard(self, leaf: str, event: str) -> tuple[list[str], Stance | None]:
        """The states from the leaf outwards that hear of the event, and the innermost stance among theirs."""
        path: list[str] = []
        stance: Stance | None = None
        for id in (leaf, *self.ancestors[leaf]):
            path.append(id)
            state = self.states[id]
            if any(matches(descriptor, event) for descriptor in state.defers):
                return path, stance or Stance.DEFER
            if any(matches(descriptor, event) for descriptor in state.ignores):
                stance = stance or Stance.IGNORE
        return path, stance

    def ignores(self, leaves: Leaves, event: str) -> bool:
        """Whether a machine that accepts no more events ignores *event*."""
        return Stance.IGNORE in self.stances[leaves, event][1]

    def knows(self, event: str) -> bool:
        """Whether any transition of the chart could ever accept *event*."""
        return event in self._declared or any(matches(descriptor, event) for descriptor in self.descriptors)

    def hears_grant(self, activity: str) -> bool:
        """Whether a transition asks for an event when this activity gets its slot; a wildcard does not ask."""
        granted = f"{GRANTED}{activity}"
        return any(descriptor.startswith(GRANTED) and matches(descriptor, granted) for descriptor in self.descriptors)

    def admits(self, event: str) -> bool:
        """Whether anyone may send *event*: the chart knows it, or declares that it ignores such events."""
        return (
            self.knows(event)
            or self._ignores_unknown
            or any(matches(descriptor, event) for descriptor in self._ignored)
        )

    def is_descendant(self, state: str, ancestor: str) -> bool:
        """Whether *state* lies properly inside *ancestor*."""
        return ancestor in self.lineage[state]

    def in_order(self, states: Iterable[str]) -> list[str]:
        """The ids in document order."""
        return sorted(states, key=self.order.__getitem__)

    def leaves(self, configuration: Iterable[str]) -> tuple[str, ...]:
        """The atomic and final states among the active ones, in document order."""
        kinds = (Kind.ATOMIC, Kind.FINAL)
        return tuple(id for id in self.in_order(configuration) if self.states[id].kind in kinds)

    def with_ancestors(self, leaves: Iterable[str]) -> set[str]:
        """The whole configuration that has these leaves, without the root."""
        found: set[str] = set()
        for leaf in leaves:
            found.add(leaf)
            found.update(self.ancestors[leaf])
        found.discard(ROOT)
        return found
