"""A chart made ready to run: its lookup tables and the plans of its microsteps, computed once."""

from __future__ import annotations

from durable_fsm.core.chart import Chart
from durable_fsm.core.index import Index
from durable_fsm.core.plan import Plans


class Program:
    """A chart, made ready to run."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.index = Index(chart)
        self.plans = Plans(self.index)


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
