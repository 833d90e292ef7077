"""A chart made ready to run: its lookup tables and the plans of its microsteps, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from durable_fsm.core.chart import Chart, Transition
from durable_fsm.core.index import Index
from durable_fsm.core.plan import Plan, plan_of

KEPT = 4_096
"""Plans of one chart that are remembered; a chart with more combinations forgets all of them and begins again."""


class Program:
    """A chart, made ready to run."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.index = Index(chart)
        self.plans: dict[tuple[object, ...], Plan] = {}

    def plan(
        self, leaves: tuple[str, ...], history: Mapping[str, tuple[str, ...]], enabled: Sequence[Transition]
    ) -> Plan:
        """The plan for some transitions of the chart, conflicts not yet resolved, in this configuration."""
        key: tuple[object, ...] = (leaves, *map(id, enabled))  # the chart keeps its transitions, and so their ids
        if self.index.has_history:
            key = (*key, *history.items())
        plan = self.plans.get(key)
        if plan is None:
            if len(self.plans) >= KEPT:
                self.plans.clear()
            plan = self.plans[key] = plan_of(self.index, leaves, history, enabled)
        return plan


def program_of(chart: Chart) -> Program:
    """The program of a chart; made when it is first asked for, and kept as long as the chart."""
    kept: dict[str, object] = vars(chart)  # as `cached_property` does, for a class of a lower module
    program = kept.get("program")
    if not isinstance(program, Program):
        program = kept["program"] = Program(chart)
    return program


def index_of(chart: Chart) -> Index:
    """The lookup tables of a chart."""
    return program_of(chart).index
