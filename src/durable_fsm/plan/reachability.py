"""Ways to an end: whether a machine can still end, if every guard says yes.

A state may become active if a transition leads there whose event may come: anyone may send it, a timer or work of a state
that may become active brings it, or the machine may raise it. States are never thought to be left, so the answer errs on one
side only: a machine that cannot end by this is stranded, whatever its data are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from durable_fsm.core.chart import ROOT, Chart, Kind, State, Transition
from durable_fsm.core.events import PLATFORM_NAMES
from durable_fsm.core.index import Remembered, matches
from durable_fsm.core.limits import GRANTED
from durable_fsm.core.program import index_of

ALWAYS = ("error.execution", "error.communication")
"""Events that a machine may tell itself in any state."""


class Outlook(NamedTuple):
    """The future of a configuration.

    Attributes:
        moves: whether any transition can be taken.
        ends: whether an end can be reached.
        shut: private events of transitions out of the active states, which nothing brings.
    """

    moves: bool
    ends: bool
    shut: tuple[str, ...] = ()


class Reachability:
    """The ways of a chart. *mentioned* are the names in the code of callbacks: private events among them may be raised."""

    def __init__(self, chart: Chart, mentioned: Collection[str]) -> None:
        self.chart = chart
        self._mentioned = mentioned
        self._index = index_of(chart)
        self._of = Remembered[tuple[tuple[str, ...], frozenset[str]], Outlook](lambda key: self._outlook(*key))

    def outlook(self, leaves: tuple[str, ...], pending: Collection[str] = ()) -> Outlook:
        """The future of a machine in these leaves; *pending* are events that are on their way to it."""
        return self._of[leaves, frozenset(pending)]

    def beginning(self) -> Outlook:
        """The future of a new machine."""
        return self.outlook(self._index.leaves(self._entered(self.chart.root)))

    def _outlook(self, leaves: tuple[str, ...], pending: frozenset[str]) -> Outlook:
        chart, index = self.chart, self._index
        active = {ROOT, *index.with_ancestors(tuple(id for id in leaves if id in chart.states))}
        reached: set[str] = set()  # by a transition: a final state says so only when it is entered
        taken: set[str] = set()
        moves = False
        grew = True
        while grew:
            grew = False
            for id in list(active):
                for edge in index.transitions[id]:
                    if edge.key in taken or not self._may_be_taken(edge, active, reached, pending):
                        continue
                    taken.add(edge.key)
                    moves = moves or bool(edge.targets) or not edge.events
                    for target in edge.targets:
                        entered = {*self._entered(chart.states[target]), *index.ancestors[target], target}
                        grew = grew or not entered <= active or not entered <= reached
                        reached |= entered
                        active |= entered
                    grew = grew or bool(edge.targets)
        ends = any(chart.states[id].kind is Kind.FINAL and chart.states[id].parent == ROOT for id in reached)
        ends = ends or any(self._may_be_final(id, active) for id in index.parallels_at_top if id in active)
        return Outlook(moves, ends, tuple(dict.fromkeys(self._shut(leaves, active, reached, pending))))

    def _entered(self, state: State) -> Iterator[str]:
        """The states that may become active inside one that is entered."""
        pending, seen = [state.id], set[str]()
        while pending:
            id = pending.pop()
            if id in seen:
                continue
            seen.add(id)
            inner = self.chart.states[id]
            if inner.kind is Kind.PARALLEL:
                pending += self._index.regions[id]
            elif inner.kind is Kind.COMPOUND:
                pending += self._index.initial[id].targets
            elif inner.kind.is_history and inner.parent is not None:
                # It remembers any of its neighbours, with all that is inside.
                pending += [other for other in self.chart.states if self._index.is_descendant(other, inner.parent)]
                seen |= {other.id for other in self.chart.states.values() if other.kind.is_history}
            for ancestor in self._index.ancestors[id]:  # a default transition may lead deeper
                if self._index.is_descendant(ancestor, state.id):
                    pending.append(ancestor)
        yield from (id for id in seen if not self.chart.states[id].kind.is_history)

    def _may_be_taken(self, edge: Transition, active: set[str], reached: set[str], pending: Collection[str]) -> bool:
        return not edge.events or any(self._may_come(name, active, reached, pending) for name in edge.events)

    def _may_come(self, descriptor: str, active: set[str], reached: set[str], pending: Collection[str]) -> bool:
        chart = self.chart
        if any(matches(descriptor, name) for name in (*ALWAYS, *pending)):
            return True
        if any(chart.states[id].machines for id in active if id in chart.states):
            return True  # a child may send its parent whatever it likes
        if any(matches(descriptor, event.name) for event in chart.events.values() if self._may_be_sent(event.name)):
            return True
        if descriptor != "*" and not descriptor.startswith(PLATFORM_NAMES) and descriptor not in chart.events:
            return True  # a wildcard, or a name that no one declares: unknown, so nothing is said about it
        return any(matches(descriptor, name) for name in self._platform(active, reached))

    def _may_be_sent(self, event: str) -> bool:
        declared = self.chart.events[event]
        if event.startswith(PLATFORM_NAMES):
            return False
        return declared.public or event in self._mentioned or event.replace(".", "_") in self._mentioned

    def _platform(self, active: set[str], reached: set[str]) -> Iterator[str]:
        """Events that timers and work of these states bring, and those of states that are done."""
        for id in active:
            state = self.chart.states[id]
            yield from (timer.event for timer in state.timers)
            for activity in state.activities:
                yield from (f"done.invoke.{activity.id}", f"error.invoke.{activity.id}", f"{GRANTED}{activity.id}")
        for id in reached:
            state = self.chart.states[id]
            if state.kind is Kind.FINAL and state.parent is not None:
                yield from (f"done.state.{around}" for around in self._index.ancestors[id] if around != ROOT)
        for work in self.chart.detached:
            yield from (f"done.invoke.{work}", f"error.invoke.{work}")

    def _may_be_final(self, id: str, active: set[str]) -> bool:
        inside = self._index.regions[id]
        if self.chart.states[id].kind is Kind.PARALLEL:
            return all(self._may_be_final(region, active) for region in inside)
        return any(child in active and self.chart.states[child].kind is Kind.FINAL for child in inside)

    def _shut(
        self, leaves: tuple[str, ...], active: set[str], reached: set[str], pending: Collection[str]
    ) -> Iterator[str]:
        for id in (leaf for leaf in leaves if leaf in self.chart.states):
            for state in (id, *self._index.ancestors[id]):
                for edge in self._index.transitions[state]:
                    if edge.targets and not self._may_be_taken(edge, active, reached, pending):
                        yield from edge.events
