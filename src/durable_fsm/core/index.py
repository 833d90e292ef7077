"""Lookup tables over a chart, computed once, so that a step costs what is active and not what is declared."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TypeAlias, TypeVar

from durable_fsm.core.chart import ROOT, Chart, Kind, State, Transition


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


Candidates: TypeAlias = tuple[tuple[Transition, ...], ...]

K = TypeVar("K")
V = TypeVar("V")


def _remember(known: dict[K, V], key: K, value: V) -> None:
    if len(known) >= KEPT:
        known.clear()
    known[key] = value


class Index:
    """Ancestors, document order and transitions by state; answers are cached per (state, event).

    `order` maps ids to document order, `ancestors` an id to its ancestors, nearest first, the root last. `initial` has
    a transition for every compound and history state, `regions` the children of a state without its histories.
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
        self._by_event: dict[tuple[str, str], tuple[Transition, ...]] = {}
        self._active: dict[tuple[str, ...], frozenset[str]] = {}
        self._in_order: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._candidates: dict[tuple[tuple[str, ...], str | None], Candidates] = {}
        self._stances: dict[tuple[tuple[str, ...], str], tuple[Candidates, frozenset[Stance]]] = {}
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

    def candidates(self, leaves: tuple[str, ...], event: str | None) -> Candidates:
        """For each leaf the transitions to ask, the innermost first; without an event the eventless ones."""
        found = self._candidates.get((leaves, event))
        if found is None:
            found = tuple(
                tuple(
                    transition
                    for state in (leaf, *self.ancestors[leaf])
                    for transition in (self.eventless[state] if event is None else self.taking(state, event))
                )
                for leaf in leaves
            )
            if event is None or event in self._declared:
                _remember(self._candidates, (leaves, event), found)
        return found

    def stances(self, leaves: tuple[str, ...], event: str) -> tuple[Candidates, frozenset[Stance]]:
        """The candidates for an event from outside, and what becomes of it if none is enabled.

        A deferred event does not reach the states around the one that defers it: their transitions are not candidates.
        """
        found = self._stances.get((leaves, event))
        if found is None:
            paths = [self._heard(leaf, event) for leaf in leaves]
            candidates = tuple(tuple(edge for id in path for edge in self.taking(id, event)) for path, _ in paths)
            found = candidates, frozenset(stance for _, stance in paths if stance is not None)
            if event in self._declared:
                _remember(self._stances, (leaves, event), found)
        return found

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

    def active(self, leaves: tuple[str, ...]) -> frozenset[str]:
        """The whole configuration that has these leaves, without the root."""
        found = self._active.get(leaves)
        if found is None:
            found = frozenset(self.with_ancestors(leaves))
            _remember(self._active, leaves, found)
        return found

    def active_in_order(self, leaves: tuple[str, ...]) -> tuple[str, ...]:
        """The same, in document order.

        Raises:
            KeyError: the chart does not have one of them.
        """
        found = self._in_order.get(leaves)
        if found is None:
            found = tuple(self.in_order(self.active(leaves)))
            _remember(self._in_order, leaves, found)
        return found

    def knows(self, event: str) -> bool:
        """Whether any transition of the chart could ever take *event*."""
        return event in self._declared or any(matches(descriptor, event) for descriptor in self.descriptors)

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
