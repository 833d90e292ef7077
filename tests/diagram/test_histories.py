"""An arrow into a history state and the arrow to where it leads the first time can be told apart."""

from __future__ import annotations

import pytest

from durable_fsm.core.chart import Chart, Transition
from durable_fsm.diagram import to_svg
from tests.building import chart, edge
from tests.diagram.drawing import Drawing
from tests.diagram.faults import faults, lines_on_lines


def remembering(states: str, target: str, *edges: Transition) -> Chart:
    return chart(states, *edges, initial={"last": Transition("last--default", "last", (target,))})


MIXER = remembering(
    """
    idle
    mixing
        slow
        fast
        last history
    paused
    """,
    "slow",
    edge("idle", "begin", "mixing"),
    edge("slow", "quicker", "fast"),
    edge("fast", "slower", "slow"),
    edge("mixing", "pause", "paused"),
    edge("paused", "resume", "last"),
    edge("idle", "continue", "last"),
)

BOTH_FROM_ABOVE = remembering(
    """
    off
    on
        left
            a
            b
        right
        last deep
    """,
    "left",
    edge("off", "turn_on", "last"),
    edge("on", "turn_off", "off"),
    edge("left", "swap", "right"),
    edge("a", "next", "b"),
    edge("b", "again", "last"),
)

ONE_STATE_FOR_BOTH = remembering(
    """
    work
        one
        two
        last history
    away
    """,
    "two",
    edge("one", "next", "two"),
    edge("two", "redo", "last"),
    edge("work", "leave", "away"),
    edge("away", "return", "last"),
)

CHARTS = {"from above and below": MIXER, "both from above": BOTH_FROM_ABOVE, "one state for both": ONE_STATE_FOR_BOTH}


@pytest.mark.parametrize("made", CHARTS.values(), ids=CHARTS.keys())
def test_the_lines_of_a_history_state_do_not_run_along_each_other(made: Chart) -> None:
    drawing = Drawing(to_svg(made, theme="light"))

    assert faults(drawing, made) == []
    of_history = {line.key for line in drawing.lines if "last" in (line.source, *line.targets)}
    assert [pair for pair in lines_on_lines(drawing) if of_history.issuperset(pair)] == []


@pytest.mark.parametrize("made", CHARTS.values(), ids=CHARTS.keys())
def test_only_the_arrow_to_where_it_leads_the_first_time_is_dashed(made: Chart) -> None:
    svg = to_svg(made, theme="light")

    dashed = [part.partition('data-key="')[2].partition('"')[0] for part in svg.split("<g ") if "dasharray=" in part]
    assert dashed == ["last--default"]
