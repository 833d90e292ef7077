"""Choosing transitions and the states they leave and enter. Nothing in here changes anything.

Function names are those of the SCXML algorithm: https://www.w3.org/TR/scxml/#AlgorithmforSCXMLInterpretation
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from durable_fsm.core.index import Index
from durable_fsm.core.model import ROOT, Callback, Kind, Transition

History = Mapping[str, tuple[str, ...]]
Passes = Callable[[Transition], bool]


def select_transitions(index: Index, active: AbstractSet[str], event: str | None, passes: Passes) -> list[Transition]:
    """The transitions that *event* enables, or the eventless ones if it is None; conflicts resolved, in order."""
    enabled: dict[str, Transition] = {}
    for leaf in index.leaves(active):
        for state in (leaf, *index.ancestors[leaf]):
            candidates = index.eventless[state] if event is None else index.taking(state, event)
            chosen = next((transition for transition in candidates if passes(transition)), None)
            if chosen is not None:
                enabled[chosen.key] = chosen
                break
    return list(enabled.values())


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
            if exits.isdisjoint(compute_exit_set(index, active, history, [other])):
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
) -> set[str]:
    """The active states that taking *transitions* leaves."""
    exits: set[str] = set()
    for transition in transitions:
        if transition.targets:
            domain = get_transition_domain(index, history, transition)
            exits.update(state for state in active if index.is_descendant(state, domain))
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
    """The least common compound ancestor; the root, if there is no smaller one."""
    for ancestor in index.ancestors[source]:
        if index.states[ancestor].kind is Kind.COMPOUND and all(index.is_descendant(t, ancestor) for t in targets):
            return ancestor
    return ROOT


def get_effective_target_states(index: Index, history: History, transition: Transition) -> list[str]:
    """The targets, with every history state replaced by what it stands for now."""
    targets: dict[str, None] = {}
    for target in transition.targets:
        if not index.states[target].kind.is_history:
            targets[target] = None
        elif target in history:
            targets.update(dict.fromkeys(history[target]))
        else:
            default = index.states[target].initial
            if default is not None:
                targets.update(dict.fromkeys(get_effective_target_states(index, history, default)))
    return list(targets)


@dataclass(slots=True)
class Entry:
    """What taking transitions enters: the states, those entered by default, and content of default histories."""

    states: set[str] = field(default_factory=set[str])
    default: set[str] = field(default_factory=set[str])
    history_content: dict[str, tuple[Callback, ...]] = field(default_factory=dict[str, tuple[Callback, ...]])


def compute_entry_set(index: Index, history: History, transitions: Iterable[Transition]) -> Entry:
    """The states that taking *transitions* enters, wherever their targets lead."""
    entry = Entry()
    for transition in transitions:
        for target in transition.targets:
            _add_descendant_states_to_enter(index, history, target, entry)
        domain = get_transition_domain(index, history, transition) if transition.targets else ROOT
        for target in get_effective_target_states(index, history, transition):
            _add_ancestor_states_to_enter(index, history, target, domain, entry)
    return entry


def _add_descendant_states_to_enter(index: Index, history: History, id: str, entry: Entry) -> None:
    state = index.states[id]
    if state.kind.is_history:
        parent = index.ancestors[id][0]
        if id in history:
            remembered: Iterable[str] = history[id]
        else:
            remembered = state.initial.targets if state.initial else ()
            entry.history_content[parent] = state.initial.actions if state.initial else ()
        for target in remembered:
            _add_descendant_states_to_enter(index, history, target, entry)
        for target in remembered:
            _add_ancestor_states_to_enter(index, history, target, parent, entry)
        return
    entry.states.add(id)
    if state.kind is Kind.COMPOUND:
        entry.default.add(id)
        targets = state.initial.targets if state.initial else ()
        for target in targets:
            _add_descendant_states_to_enter(index, history, target, entry)
        for target in targets:
            _add_ancestor_states_to_enter(index, history, target, id, entry)
    elif state.kind is Kind.PARALLEL:
        _add_regions(index, history, id, entry)


def _add_ancestor_states_to_enter(index: Index, history: History, id: str, ancestor: str, entry: Entry) -> None:
    for above in index.ancestors[id]:
        if above == ancestor:
            return
        entry.states.add(above)
        if index.states[above].kind is Kind.PARALLEL:
            _add_regions(index, history, above, entry)


def _add_regions(index: Index, history: History, id: str, entry: Entry) -> None:
    for child in index.states[id].children:
        entered = any(state == child or index.is_descendant(state, child) for state in entry.states)
        if not entered and not index.states[child].kind.is_history:
            _add_descendant_states_to_enter(index, history, child, entry)
