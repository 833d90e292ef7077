"""What repeats is drawn once: actions of every transition, transitions out of every state, and those of a library."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from durable_fsm import TransitionsConfig, chart_from
from durable_fsm.core.chart import Chart
from durable_fsm.diagram import to_svg
from durable_fsm.diagram.exports import to_dot, to_mermaid, to_plantuml
from durable_fsm.diagram.exports.export import Export
from durable_fsm.diagram.extract import graph_of
from durable_fsm.diagram.graph import ANYWHERE
from tests.building import chart, edge, note
from tests.diagram.drawing import Drawing
from tests.diagram.faults import faults

STATES = ["draft", "review", "approved", "published", {"name": "deleted", "final": True}]
WAY = [["submit", "draft", "review"], ["accept", "review", "approved"], ["publish", "approved", "published"]]


def article(**more: Any) -> Chart:
    transitions = [*WAY, ["delete", "*", "deleted"], ["reset", "*", "draft"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the events that the library adds
        return chart_from(TransitionsConfig("Article", STATES, transitions, "draft", **more))


def labels(made: Chart) -> list[str]:
    return re.findall(r'<tspan class="(?:event|action)">(.*?)</tspan>', to_svg(made, theme="light"))


def test_a_transition_out_of_every_state_has_one_arrow() -> None:
    graph = graph_of(article(), condensed=True)

    everywhere = [edge for edge in graph.edges if edge.source == ANYWHERE]
    assert [(edge.targets, len(edge.labels)) for edge in everywhere] == [(("deleted",), 4), (("draft",), 4)]
    assert graph.by_id[ANYWHERE].name == "from any state"
    assert labels(article()).count("delete") == 1
    assert faults(Drawing(to_svg(article(), theme="light")), article()) == []


def test_a_transition_out_of_some_states_keeps_its_arrows() -> None:
    made = chart(
        "a\nb\nc\nd\ne\nover final",
        *(edge(state, "stop", "over") for state in "abcd"),
        *(edge(one, f"to {one}", other) for one, other in zip("abcd", "bcde", strict=True)),
    )

    assert labels(made).count("stop") == 4


def test_the_highlight_of_one_transition_out_of_every_state_is_on_the_arrow() -> None:
    made = article()
    key = next(edge.key for edge in made.transitions if edge.source == "review" and edge.events == ("delete",))

    [taken] = [edge for edge in graph_of(made, taken=[key], condensed=True).edges if edge.taken]

    assert (taken.source, taken.targets) == (ANYWHERE, ("deleted",))


def test_an_action_of_every_transition_is_in_the_summary_alone() -> None:
    svg = to_svg(article(before_state_change=log), theme="light")

    assert svg.count("Every transition / log") == 1
    assert "log" not in labels(article(before_state_change=log))


def log() -> None: ...


def test_an_action_of_most_transitions_stays_on_their_labels() -> None:
    made = chart(
        "a\nb\nc\nd",
        edge("a", "go", "b", actions=[note("count")]),
        edge("b", "go", "c", actions=[note("count")]),
        edge("c", "go", "d"),
    )

    assert labels(made).count("/ count") == 2


def test_events_that_the_library_adds_are_not_drawn() -> None:
    added = article(auto_transitions=True)

    assert len(added.transitions) > len(article().transitions)
    assert labels(added) == labels(article())
    assert "The events to_&lt;state&gt; are not shown." in to_svg(added, theme="light")


@pytest.mark.parametrize("public", [True, False])
def test_an_authors_own_event_of_such_a_name_is_drawn(public: bool) -> None:
    private = () if public else ("to_b",)
    made = chart_from(
        TransitionsConfig(
            "Own", ["a", "b", "c"], [["to_b", "a", "b"], ["go", "b", "c"], ["go", "c", "a"]], "a", private=private
        )
    )

    assert "to_b" in labels(made)


# ── text formats ──────────────────────────────────────────────────────────────────────────────────────────────────────

FORMATS = [to_mermaid, to_plantuml, to_dot]


@pytest.mark.parametrize("export", FORMATS, ids=lambda export: export.__name__)
def test_a_text_says_once_what_repeats(export: Callable[[Chart], Export]) -> None:
    written = export(article(before_state_change=log))

    assert written.text.count("from any state") >= 1
    assert len([line for line in written.text.splitlines() if re.search(r"(: |label=\")delete\b", line)]) == 1
    assert written.text.count("Every transition / log") == written.text.count("log") == 1
    assert written.lost == ()


@pytest.mark.parametrize("export", FORMATS, ids=lambda export: export.__name__)
def test_a_text_names_the_events_that_are_not_drawn(export: Callable[[Chart], Export]) -> None:
    added = export(article(auto_transitions=True))

    [comment] = [line for line in added.text.splitlines() if "to_draft" in line]
    assert comment.strip().endswith("Not drawn: to_approved, to_deleted, to_draft, to_published, to_review")
    assert [line for line in added.text.splitlines() if line != comment] == export(article()).text.splitlines()
