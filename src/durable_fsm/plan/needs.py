"""Needs of machines that a build blocks: the names that it does not have any more, and data that do not fit it.

From these a migration is written, see `migration_file`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from durable_fsm.core.chart import ROOT, Chart, Kind
from durable_fsm.core.program import index_of
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.values import Misfit


@dataclass
class Needs:
    """The needs of the machines of one version, with the number of machines for each.

    Attributes:
        machines: how many machines have this version; `blocked` of them cannot continue.
        states: leaves that the chart does not have as leaves.
        ended: leaves that are final in the chart, while the machine runs.
        regions: regions that nothing inside is active in.
        activities: running activities that their state does not declare, as `(state, id)`.
        data: paths where the data do not fit, with the problem.
        undo: work that can be undone, and whose undo the chart does not have.
        children: running machines that their state does not have any more.
    """

    version: str
    machines: int = 0
    blocked: int = 0
    states: Counter[str] = field(default_factory=Counter[str])
    ended: Counter[str] = field(default_factory=Counter[str])
    regions: Counter[str] = field(default_factory=Counter[str])
    activities: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    data: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    undo: Counter[str] = field(default_factory=Counter[str])
    children: Counter[str] = field(default_factory=Counter[str])

    def add(self, chart: Chart, machine: Snapshot) -> None:
        """Count a blocked machine."""
        self.blocked += 1
        is_running = machine.status is Status.RUNNING
        for leaf in machine.configuration:
            state = chart.states.get(leaf)
            if state is None or not state.kind.is_leaf:
                self.states[leaf] += 1
            elif state.kind is Kind.FINAL and state.parent == ROOT and is_running:
                self.ended[leaf] += 1
        self.regions.update(_empty_regions(chart, machine))
        for one in machine.activities:
            place = chart.states.get(one.state) if one.state is not None else None
            if place is not None and all(activity.id != one.id for activity in place.activities):
                self.activities[place.id, one.id] += 1
        for done in {one.id for one in machine.undo}:
            activity = chart.activities.get(done)
            if activity is None or activity.undo is None:
                self.undo[done] += 1
        for child in machine.machines:
            state = chart.states.get(child.state)
            declared = state.machines[child.place : child.place + 1] if state is not None else ()
            if not declared or (declared[0].chart is not None and declared[0].chart.name != child.chart):
                self.children[child.id] += 1
        if is_running or machine.version != chart.version:  # a migration checks the data of those that have ended, too
            self.data.update(set(_misfits(chart, machine)))


def _misfits(chart: Chart, machine: Snapshot) -> Iterator[tuple[str, str]]:
    try:
        chart.data.load({} if machine.data is None else machine.data)
    except Misfit as error:
        yield error.path, error.problem


def _empty_regions(chart: Chart, machine: Snapshot) -> Iterator[str]:
    """Regions of active parallel states in which nothing is active."""
    index = index_of(chart)
    active = index.with_ancestors(tuple(leaf for leaf in machine.configuration if leaf in chart.states))
    for id in active:
        if chart.states[id].kind is Kind.PARALLEL:
            yield from (region for region in index.regions[id] if region not in active)
