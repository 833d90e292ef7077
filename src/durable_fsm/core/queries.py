"""Queries: plain functions of a machine's data, which callers ask by name. They change nothing."""

from __future__ import annotations

from durable_fsm.core.author_code import ANYTHING, named
from durable_fsm.core.chart import Chart, Query
from durable_fsm.core.codec import plain
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.values import Json, Misfit
from durable_fsm.errors import ActionError, SnapshotUnreadable


def answer_of(chart: Chart, name: str, query: Query, machine: Snapshot | None) -> Json:
    """Answer a query about a machine of a chart; where there is no machine, the query gets None.

    Raises:
        ActionError: the query failed.
        SnapshotUnreadable: the stored data does not fit the chart's data type.
    """
    try:
        data = None if machine is None else chart.data.load(machine.data)
    except Misfit as error:
        problem = f"its data does not fit {chart.data.name}: {error.problem} at {error.path}."
        raise SnapshotUnreadable(chart=chart.name, problem=problem) from error
    try:
        return plain(query(data))
    except ANYTHING as error:
        function = getattr(query, "__name__", "the query")
        raise ActionError(chart=chart.name, event=name, callback=function, problem=f"{named(error)}.") from error
