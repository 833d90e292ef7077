"""Which transitions are taken together, and which states they leave and enter. Nothing in here changes anything.

Function names are those of the SCXML algorithm: https://www.w3.org/TR/scxml/#AlgorithmforSCXMLInterpretation
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import takewhile

from durable_fsm.core.chart import ROOT, Kind, Transition
from durable_fsm.core.index import Index

History = Mapping[str, tuple[str, ...]]
Causes = dict[str, Transition]


def remove_conflicting_transitions(
    index: Index, active: AbstractSet[str], history: History, enabled: list[Transition]
) -> list[Transition]:
    """Of transitions that would leave the same states, keep the innermost, then the first."""
    if len(enabled) < 2:
        return enabled
    kept: list[Transition] = []
    for transition in enabled:
        exits = compute_exit_set(index, active, history, [transition])
        preempted: list[Transition] = []
        for other in kept:
            if exits.keys().isdisjoint(compute_exit_set(index, active, history, [other])):
                continue
            if not index.is_descendant(transition.source, other.source):
                break
            preempted.append(other)
        else:
            kept = [other for other in kept if other not in preempted]
            kept.append(transition)
    return kept


def compute_exit_set(
    index: Index, active: AbstractSet[str], history: History, transitions: Iterable[Transition]
) -> Causes:
    """The active states that taking *transitions* leaves, each with the first transition that leaves it."""
    exits: Causes = {}
    for transition in transitions:
        if transition.targets:
            domain = get_transition_domain(index, history, transition)
            for state in active:
                if index.is_descendant(state, domain):
                    exits.setdefault(state, transition)
    return exits


def get_transition_domain(index: Index, history: History, transition: Transition) -> str:
    """The innermost state that stays active while everything the transition touches lies inside it."""
    targets = get_effective_target_states(index, history, transition)
    source = transition.source
    if (
        transition.internal
        and index.states[source].kind is Kind.COMPOUND
        and all(index.is_descendant(target, source) for target in targets)
    ):
        return source
    return find_lcca(index, source, targets)


def find_lcca(index: Index, source: str, targets: Iterable[str]) -> str:
    """The least common compound ancestor; or else the root."""
    for ancestor in index.ancestors[source]:
        if index.states[ancestor].kind is Kind.COMPOUND and all(index.is_descendant(t, ancestor) for t in targets):
            return ancestor
    return ROOT


def get_effective_target_states(index: Index, history: History, transition: Transition) -> list[str]:
    """The targets, with every history state replaced by the states it remembers, or by its default."""
    targets: dict[str, None] = {}
    for target in transition.targets:
        if not index.states[target].kind.is_history:
            targets[target] = None
        elif target in history:
            targets.update(dict.fromkeys(history[target]))
        else:
            default = index.initial[target]
            targets.update(dict.fromkeys(get_effective_target_states(index, history, default)))
    return list(targets)


@dataclass(slots=True)
class EntrySet:
    """The states that taking transitions enters.

    Attributes:
        states: the states, each with the transition that leads there.
        default: the initial transitions taken on the way, by compound state.
        history: default transitions of history states that remembered nothing, by the state they lie in.
    """

    states: Causes = field(default_factory=Causes)
    default: Causes = field(default_factory=Causes)
    history: Causes = field(default_factory=Causes)


def compute_entry_set(index: Index, history: History, transitions: Iterable[Transition]) -> EntrySet:
    """The states that taking *transitions* enters, wherever their targets lead."""
    entering = _Entering(index, history)
    for transition in transitions:
        for target in transition.targets:
            entering.add_descendant_states_to_enter(target, transition)
        for target in get_effective_target_states(index, history, transition):
            domain = get_transition_domain(index, history, transition)
            entering.add_ancestor_states_to_enter(target, domain, transition)
    return entering.entry


class _Entering:
    """Collects an `EntrySet`; *cause* is the transition that leads to a state."""

    def __init__(self, index: Index, history: History) -> None:
        self.index = index
        self.history = history
        self.entry = EntrySet()

    def add_descendant_states_to_enter(self, id: str, cause: Transition) -> None:
        kind = self.index.states[id].kind
        if kind.is_history:
            self.add_history(id, cause)
            return
        self.entry.states.setdefault(id, cause)
        if kind is Kind.COMPOUND:
            initial = self.entry.default[id] = self.index.initial[id]
            self.add_targets(initial.targets, id, initial)
        elif kind is Kind.PARALLEL:
            self.add_regions(id, cause)

    def add_history(self, id: str, cause: Transition) -> None:
        parent = self.index.ancestors[id][0]
        if id in self.history:
            self.add_targets(self.history[id], parent, cause)
        else:
            default = self.entry.history[parent] = self.index.initial[id]
            self.add_targets(default.targets, parent, default)

    def add_targets(self, targets: Iterable[str], ancestor: str, cause: Transition) -> None:
        for target in targets:
            self.add_descendant_states_to_enter(target, cause)
        for target in targets:
            self.add_ancestor_states_to_enter(target, ancestor, cause)

    def add_ancestor_states_to_enter(self, id: str, ancestor: str, cause: Transition) -> None:
        for above in takewhile(lambda above: above != ancestor, self.index.ancestors[id]):
            self.entry.states.setdefault(above, cause)
            if self.index.states[above].kind is Kind.PARALLEL:
                self.add_regions(above, cause)

    def add_regions(self, id: str, cause: Transition) -> None:
        for region in self.index.regions[id]:
            if not any(state == region or self.index.is_descendant(state, region) for state in self.entry.states):
                self.add_descendant_states_to_enter(region, cause)
