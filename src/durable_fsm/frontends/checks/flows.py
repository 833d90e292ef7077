"""Check charts that run as flows: from beginning to end in one invocation, without events from outside."""

from __future__ import annotations

from collections.abc import Iterator

from durable_fsm.core.chart import Chart
from durable_fsm.core.lint import waiting_states
from durable_fsm.frontends.arguments import FoundProblem


def problems_in(chart: Chart) -> Iterator[FoundProblem]:
    """Reasons why a chart with `flow=True` cannot run as a flow."""
    if not chart.hosting.flow:
        return
    for state in waiting_states(chart):
        what = f"a flow would wait in state '{state.id}' for ever: only an event from outside leaves it."
        yield (
            what,
            "Give it an activity, a timer or a transition without event; or run it as a workflow.",
            state.location,
        )
    for state in chart.states.values():
        for child in state.machines:
            what = f"a flow cannot run machine '{child.name}': it has no key to which the child could answer."
            yield what, "Run the chart as a workflow.", child.location or state.location
    for work in chart.work:
        what = f"a flow cannot start work '{work.id}' that no state waits for."
        yield what, "Make it an activity of a state, or run the chart as a workflow.", work.location
