"""Our own export to XState, read again, is the same chart."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable

import pytest

from durable_fsm import XStateConfig, activity, chart_from
from durable_fsm.core.chart import Callback, Chart, Kind, State, Transition
from durable_fsm.core.events import ERROR
from durable_fsm.core.index import Index
from durable_fsm.core.program import index_of
from durable_fsm.diagram.exports.xstate import to_xstate
from tests.diagram.conftest import examples
from tests.diagram.random_charts import random_chart
from tests.diagram.study import STUDY, study
from tests.scaling import SCALE

CHARTS = int(200 * SCALE)

Shape = dict[str, object]


def read_again(chart: Chart) -> Chart:
    """The chart of the export, with functions that do nothing, and the limits that XState does not know."""
    index = index_of(chart)
    edges = [*chart.transitions, *index.initial.values()]
    states = chart.states.values()
    actions = [one for edge in edges for one in (*edge.before, *edge.actions, *edge.after)]
    actions += [one for state in states for one in (*state.entry, *state.done, *state.exit)]
    config = json.loads(to_xstate(chart).text)
    written = json.dumps(config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of charts that are made at random
        return chart_from(
            XStateConfig(
                config,
                chart.name,
                guards=named(guard for edge in chart.transitions for guard in edge.guards),
                actions=named(action for action in actions if json.dumps(action.name) in written),
                actors={one.name: activity(do, limit=one.limit) for state in states for one in state.activities},
            )
        )


def named(callbacks: Iterable[Callback]) -> dict[str, object]:
    return {callback.name: do for callback in callbacks}


def do() -> None:
    """Do nothing."""


def shape(chart: Chart) -> Shape:
    """The parts of a chart that XState can express, without the order in which independent parts were written.

    It cannot express transitions for `error.execution`; the export says so.
    """
    index = index_of(chart)
    return {id: shape_of_state(chart, index, state) for id, state in chart.states.items()}


def shape_of_state(chart: Chart, index: Index, state: State) -> Shape:
    nested = state.kind in (Kind.COMPOUND, Kind.SHALLOW_HISTORY, Kind.DEEP_HISTORY)
    fixed = {timer.event: timer.after for timer in state.timers if timer.when is None}
    edges: dict[str, list[Shape]] = {}
    for edge in index.transitions[state.id]:
        for event in edge.events or ("",):
            if event == ERROR:
                assert any(f"on '{ERROR}'" in sentence for sentence in to_xstate(chart).lost)
                continue
            name = f"after {fixed[event]}" if event in fixed else event.removesuffix("*").removesuffix(".")
            edges.setdefault(name, []).append(shape_of_edge(index, state, edge))
    return {
        "kind": state.kind,
        "parent": state.parent,
        "children": state.children,
        "initial": index.initial[state.id].targets if nested else (),
        "entry": [callback.name for callback in (*state.entry, *state.done)],
        "exit": [callback.name for callback in state.exit],
        "activities": [(activity.id, activity.name) for activity in state.activities],
        "tags": state.tags,
        "edges": edges,
    }


def shape_of_edge(index: Index, state: State, edge: Transition) -> Shape:
    inside = bool(edge.targets) and all(index.is_descendant(target, state.id) for target in edge.targets)
    return {
        "targets": edge.targets,
        "guards": [guard.label for guard in edge.guards],
        "actions": [callback.name for callback in (*edge.before, *edge.actions, *edge.after)],
        "stays": edge.internal and inside and state.kind is Kind.COMPOUND,
    }


@pytest.mark.parametrize("seed", range(CHARTS // 10))
def test_a_random_chart_is_the_same_when_its_export_is_read(seed: int) -> None:
    for made in map(random_chart, range(seed * 10, seed * 10 + 10)):
        assert shape(read_again(made)) == shape(made)


@pytest.mark.parametrize("name", [*STUDY, *examples()])
def test_a_chart_of_the_catalogue_is_the_same_when_its_export_is_read(name: str) -> None:
    made = study(name) if name in STUDY else examples()[name]

    assert shape(read_again(made)) == shape(made)
