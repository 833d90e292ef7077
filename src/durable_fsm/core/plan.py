"""Plans of microsteps: worked out once for each configuration and set of transitions, and kept by the program.

Which states a microstep leaves and enters follows from the configuration, the transitions and the history alone, so a
chart that is stepped often pays for the algorithm once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from durable_fsm.core import selection
from durable_fsm.core.chart import Kind, State, Transition
from durable_fsm.core.index import Index


@dataclass(frozen=True, slots=True)
class Departure:
    """A state that is left, and the transition that leaves it."""

    state: State
    cause: Transition


@dataclass(frozen=True, slots=True)
class Arrival:
    """A state that is entered, the transition that leads there, and the default transitions taken inside it."""

    state: State
    cause: Transition
    defaults: tuple[Transition, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """One microstep, before any callback has run.

    Attributes:
        transitions: what is taken, conflicts resolved, in order; `keys` names those that have a name.
        departures: the states that are left, from the inside out.
        arrivals: the states that are entered, from the outside in.
        memories: what history states remember from now on.
        before: everything active before, `after` everything active afterwards, `leaves` its leaves in order.
    """

    transitions: tuple[Transition, ...]
    keys: tuple[str, ...]
    departures: tuple[Departure, ...]
    arrivals: tuple[Arrival, ...]
    exited: tuple[str, ...]
    entered: tuple[str, ...]
    memories: tuple[tuple[str, tuple[str, ...]], ...]
    before: frozenset[str]
    after: frozenset[str]
    leaves: tuple[str, ...]


def plan_of(
    index: Index, leaves: tuple[str, ...], history: Mapping[str, tuple[str, ...]], enabled: Sequence[Transition]
) -> Plan:
    """The plan for these transitions, conflicts not yet resolved, in this configuration."""
    active = index.active[leaves]
    taken = selection.remove_conflicting_transitions(index, active, history, list(enabled))
    exits = selection.compute_exit_set(index, active, history, taken)
    exited = index.in_order(exits)[::-1]
    memories = {id: below for state in exited for id, below in _remembered(index, state, leaves, active)}
    entry = selection.compute_entry_set(index, {**history, **memories}, taken)
    entered = index.in_order(entry.states)
    after = active.difference(exited).union(entered)
    return Plan(
        transitions=tuple(taken),
        keys=tuple(transition.key for transition in taken if transition.key),
        departures=tuple(Departure(index.states[id], exits[id]) for id in exited),
        arrivals=tuple(
            Arrival(
                index.states[id],
                entry.states[id],
                tuple(found for found in (entry.default.get(id), entry.history.get(id)) if found is not None),
            )
            for id in entered
        ),
        exited=tuple(exited),
        entered=tuple(entered),
        memories=tuple(memories.items()),
        before=active,
        after=after,
        leaves=index.leaves(after),
    )


def _remembered(
    index: Index, id: str, leaves: tuple[str, ...], active: frozenset[str]
) -> list[tuple[str, tuple[str, ...]]]:
    """The memories of the history states in a state that is left."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for memory in index.histories[id]:
        if memory.kind is Kind.DEEP_HISTORY:
            below = [leaf for leaf in leaves if index.is_descendant(leaf, id)]
        else:
            below = [child for child in index.regions[id] if child in active]
        found.append((memory.id, tuple(below)))
    return found
