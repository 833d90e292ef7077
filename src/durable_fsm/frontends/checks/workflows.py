"""Check the state whose end answers a workflow."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from durable_fsm.core.chart import Chart, Kind
from durable_fsm.core.program import index_of
from durable_fsm.errors import quoted
from durable_fsm.frontends.arguments import FoundProblem


def problems_in(chart: Chart) -> Iterator[FoundProblem]:
    """Reasons why the state that `workflow=` names can never answer a run."""
    id = chart.hosting.workflow
    if not isinstance(id, str):
        return
    state = chart.states.get(id) if id else None
    if state is None:
        close = difflib.get_close_matches(id, [name for name in chart.states if name], n=1)
        remedy = f"Did you mean {quoted(close)}?" if close else "Name a state, or say workflow=True."
        yield f"workflow='{id}' names no state of the chart.", remedy, None
    elif not _can_be_done(chart, id):
        what = f"workflow='{id}' waits until that state is done, and it has no final state directly inside."
        yield what, "Name the state around a final one, or say workflow=True.", state.location


def _can_be_done(chart: Chart, id: str) -> bool:
    """Whether `done.state.<id>` may be raised."""
    inside = index_of(chart).regions[id]
    if chart.states[id].kind is Kind.PARALLEL:
        return all(_can_be_done(chart, region) for region in inside)
    return any(chart.states[child].kind is Kind.FINAL for child in inside)
