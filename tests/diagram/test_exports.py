"""Charts as text for other tools."""

from __future__ import annotations

import pytest

from durable_fsm.core.model import Chart
from durable_fsm.diagram.exports import to_markdown, to_mermaid, to_plantuml
from tests.building import chart, edge, note
from tests.diagram.study import STUDY, study


@pytest.fixture(scope="module", params=STUDY)
def studied(request: pytest.FixtureRequest) -> Chart:
    return study(request.param)


def test_the_table_has_a_row_for_every_transition(studied: Chart) -> None:
    table = to_markdown(studied).text.partition("\n\n")[0].splitlines()[2:]
    defaults = [state for state in studied.states.values() if state.initial and state.kind.is_history]

    assert len(table) == len(studied.transitions) + len(defaults)
    assert all(row.count(" | ") == 4 for row in table)
    assert to_markdown(studied).lost == ()


def test_bars_in_names_do_not_break_the_table() -> None:
    made = chart("a", edge("a", "x|y", actions=[note("p|q")]))

    assert "| a | x\\|y |  | p\\|q | stays |" in to_markdown(made).text


def test_no_edge_is_bent_to_make_it_fit(studied: Chart) -> None:
    """What is written leads where the chart says; what cannot be is told."""
    for export in (to_mermaid(studied), to_plantuml(studied)):
        arrows = [line.strip().partition(" : ")[0] for line in export.text.splitlines() if " --> " in line]
        drawn = {tuple(arrow.split(" --> ")) for arrow in arrows if "[*]" not in arrow}
        asked = {(edge.source, target) for edge in studied.transitions for target in edge.targets}
        asked |= {
            (state.id, target)
            for state in studied.states.values()
            if state.kind.is_history and state.initial
            for target in state.initial.targets
        }
        plain = {(source.partition("[")[0], target.partition("[")[0]) for source, target in drawn}
        histories = {(s, studied.states[t].parent if studied.states[t].kind.is_history else t) for s, t in asked}
        assert plain <= asked | histories
        missing = {source for source, target in asked if (source, target) not in plain | histories & plain}
        told = " ".join(export.lost)
        assert all(f"'{source}'" in told or (source in {s for s, _ in plain}) for source in missing)


def test_a_transition_out_of_a_region_is_left_out_and_told() -> None:
    made = chart(
        """
        both parallel
            left
                l1
            right
                r1
        over final
        """,
        edge("l1", "go", "over"),
        edge("both", "stop", "over"),
    )
    for export in (to_mermaid(made), to_plantuml(made)):
        assert export.lost == ("The transition from 'l1' to 'over', which crosses a region.",)
        assert "both --> over : stop" in export.text
        assert "--\n" in export.text


def test_forks_inner_ends_and_initial_actions_are_told() -> None:
    made = chart(
        """
        a
        p parallel
            x
                x1 final
            y
                y1
        """,
        edge("a", "go", "x1", "y1"),
        initial={"x": edge("x", "", "x1", actions=[note("begin")])},
    )
    assert set(to_mermaid(made).lost) == {
        "The fork from 'a' to x1, y1.",
        "That 'x1' is final.",
        "What 'x' does on its way in: / begin.",
    }
    assert set(to_plantuml(made).lost) == set(to_mermaid(made).lost)


def test_text_that_mermaid_would_read_as_its_own_is_spelled_out() -> None:
    made = chart("a\nb", edge("a", "go", "b", actions=[note('say "<x>"; # : y')]))

    assert "a --> b : go / say #quot;#lt;x#gt;#quot;#59; #35; #colon; y" in to_mermaid(made).text


def test_ids_with_dots_become_identifiers_and_stay_different() -> None:
    made = chart("a.b\na_b", edge("a.b", "go", "a_b"))

    assert "a_2e_b --> a_b : go" in to_mermaid(made).text


def test_histories_are_marks_in_plantuml_and_states_in_mermaid() -> None:
    made = chart("out\nin\n    one\n    two\n    deep deep", edge("out", "back", "deep"), edge("in", "leave", "out"))
    assert "out --> in[H*] : back" in to_plantuml(made).text
    assert 'state "H*" as deep' in to_mermaid(made).text


def test_a_chart_may_be_folded() -> None:
    text = to_mermaid(study("order"), depth=1).text

    assert "state payment {" not in text
    assert "inside" in text
