"""Charts as text for other tools, and the sentences about what an export leaves out."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from dataclasses import replace
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown import markdown

from durable_fsm.core.chart import Activity, Chart, Child, Each, Timer
from durable_fsm.diagram.exports import to_dot, to_markdown, to_mermaid, to_plantuml, to_scxml, to_xstate
from durable_fsm.diagram.exports.export import name_of
from durable_fsm.diagram.layout.engine import program
from tests.building import chart, edge, guard, note
from tests.diagram.random_charts import random_chart
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


def test_a_table_shows_guards_and_events_as_they_are_written() -> None:
    made = chart("a\nb_ final", edge("a", "*", "b_", guards=[guard(bool, "1<x and y>`2`"), guard(bool, "in_stock")]))

    shown = markdown(to_markdown(made).text, extensions=["tables"])

    cells = re.findall("<td>(.*?)</td>", shown)
    assert cells[:5] == ["a", "*", "1&lt;x and y&gt;`2`, in_stock", "", "b_"]


def test_bars_in_names_do_not_break_the_table() -> None:
    made = chart("a", edge("a", "x|y", actions=[note("p|q")]))

    assert "| a | x\\|y |  | p\\|q | stays |" in to_markdown(made).text


def test_an_export_contains_no_edge_that_the_chart_does_not_have(studied: Chart) -> None:
    """Every exported edge leads where the chart says; every other one is reported as left out."""
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


def test_a_transition_out_of_a_region_is_left_out_and_reported() -> None:
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


def test_left_out_forks_inner_final_states_and_initial_actions_are_reported() -> None:
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
        "'x1' is final.",
        "The initial actions of 'x': / begin.",
    }
    assert set(to_plantuml(made).lost) == set(to_mermaid(made).lost)


def test_characters_that_mermaid_interprets_are_escaped() -> None:
    made = chart("a\nb", edge("a", "go", "b", actions=[note('say "<x>"; # : y')]))

    assert "a --> b : go / say #quot;#lt;x#gt;#quot;#59; #35; #colon; y" in to_mermaid(made).text


def test_ids_with_dots_become_identifiers_and_stay_different() -> None:
    made = chart("a.b\na_b", edge("a.b", "go", "a_b"))

    assert "a_2e_b --> a_b : go" in to_mermaid(made).text


def test_reserved_words_of_mermaid_become_other_ids() -> None:
    made = chart("state\nEnd\nending", edge("state", "go", "End"), edge("End", "on", "ending"))

    assert "state_2e_ --> End_2e_ : go" in to_mermaid(made).text
    assert "End_2e_ --> ending : on" in to_mermaid(made).text


def test_history_states_are_marks_in_plantuml_and_states_in_mermaid() -> None:
    made = chart("out\nin\n    one\n    two\n    deep deep", edge("out", "back", "deep"), edge("in", "leave", "out"))
    assert "out --> in[H*] : back" in to_plantuml(made).text
    assert 'state "H*" as deep' in to_mermaid(made).text


def test_a_chart_may_be_folded() -> None:
    text = to_mermaid(study("order"), depth=1).text

    assert "state payment {" not in text
    assert "inside" in text


# ── DOT ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

NESTED = """
    idle
    outer parallel
        left
            one
            two
            back history
        right
            three
    over final
"""


def laid_out(text: str) -> dict[str, Any]:
    """The layout that Graphviz computes, as its JSON; it must report no warning."""
    done = subprocess.run([program(), "-Tjson"], input=text.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_graphviz_reads_the_dot_export_with_every_state_and_every_transition(studied: Chart) -> None:
    export = to_dot(studied)

    laid = laid_out(export.text)
    names = {item["name"] for item in laid["objects"]}
    tooltips = [edge.get("tooltip") for edge in laid["edges"]]

    assert {f"cluster {id}" for id, state in studied.states.items() if state.children and id} <= names
    assert {id for id, state in studied.states.items() if not state.children} <= names
    assert sum(tooltip is not None for tooltip in tooltips) >= sum(bool(edge.targets) for edge in studied.transitions)
    assert export.lost == ()


def test_graphviz_reads_the_dot_export_of_random_charts() -> None:
    for seed in range(50):
        text = to_dot(random_chart(seed)).text
        done = subprocess.run([program(), "-Tjson"], input=text.encode(), capture_output=True, check=False)
        assert (done.returncode, b"rror" in done.stderr) == (0, False), seed


def test_edges_of_dot_end_at_the_borders_of_nested_states() -> None:
    made = chart(NESTED, edge("idle", "go", "outer"), edge("left", "stop", "over"))

    edges = {edge["tooltip"]: edge for edge in laid_out(to_dot(made).text)["edges"] if "tooltip" in edge}

    assert edges["idle → outer: go"]["lhead"] == "cluster outer"
    assert edges["left → over: stop"]["ltail"] == "cluster left"


def test_dot_reports_an_edge_that_cannot_end_at_a_border() -> None:
    made = chart(NESTED, edge("one", "up", "left"), edge("left", "down", "two"), edge("idle", "go", "one", "three"))

    assert to_dot(made).lost == (
        "The transition from 'one' to 'left' ends at the border of 'left'.",
        "The transition from 'left' to 'two' begins at the border of 'left'.",
    )


def test_dot_draws_forks_as_bars_with_the_actions_on_the_way() -> None:
    made = chart(
        NESTED, edge("idle", "go", "one", "three"), initial={"left": edge("left", "", "two", actions=[note("begin")])}
    )

    edges = laid_out(to_dot(made).text)["edges"]

    assert sum(edge.get("tooltip", "").startswith("idle → one, three") for edge in edges) == 1
    assert len(edges) == 3 + 3  # three beginnings, and a line to the bar and two from it
    assert "/ begin" in [edge.get("label") for edge in edges]


def test_dot_draws_several_initial_states_as_a_bar_and_reports_transitions_of_the_root() -> None:
    made = chart(NESTED, edge("", "stop", "over"), initial={"": edge("", "", "two", "three", actions=[note("begin")])})

    edges = laid_out(to_dot(made).text)["edges"]

    assert sum(edge.get("label") == "/ begin" for edge in edges) == 1
    assert len(edges) == 2 + 3
    assert to_dot(made).lost == ("The transition ' → over: stop', which Order takes in every state.",)


def test_keywords_of_dot_are_quoted_as_names() -> None:
    made = chart("node\na:b\nc\\", edge("node", "go", "a:b", actions=[note('say "\\N" <b>')]), edge("a:b", "on", "c\\"))
    states = {**made.states, "node": replace(made.states["node"], name='<b>&"\\')}

    laid = laid_out(to_dot(replace(made, states=states)).text)

    assert {"node", "a:b", "c\\\\"} <= {item["name"] for item in laid["objects"]}


def test_a_dot_export_can_be_folded() -> None:
    assert "15 states inside" in to_dot(study("claim"), depth=1).text


# ── SCXML ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_scxml_names_code_and_contains_none(studied: Chart) -> None:
    text = to_scxml(studied).text

    assert not re.search(r"<script|\bsrc=", text)
    assert len(re.findall(r"<transition (?!target)", text)) == len(studied.transitions)


def test_scxml_sends_the_event_of_a_timer_and_cancels_it_when_its_state_is_left() -> None:
    text = to_scxml(chart("a\nb", edge("a", "late", "b"), timers={"a": [Timer("late", timedelta(minutes=1.5))]})).text

    assert '<send id="timer.a.1.late" event="late" delay="90s" />' in text
    assert '<cancel sendid="timer.a.1.late" />' in text
    assert 'delay="1500ms"' in to_scxml(chart("a", timers={"a": [Timer("late", timedelta(seconds=1.5))]})).text


def test_a_guard_is_a_true_variable_in_scxml() -> None:
    asked = [
        guard(bool, "has_items"),
        guard(bool, "is_late", negated=True),
        guard(bool, "n > len(items)", negated=True),
    ]
    export = to_scxml(chart("a\nb", edge("a", "go", "b", guards=asked)))

    assert 'cond="(has_items) and (not is_late) and (not (n &gt; len(items)))"' in export.text
    assert re.findall(r'<data id="(\w+)" expr="1" />', export.text) == ["has_items", "is_late", "n", "items"]
    assert "The guards: 'has_items', 'is_late', 'n', 'items' are always true." in export.lost


def test_a_guard_that_is_not_an_expression_becomes_a_variable_and_is_reported() -> None:
    export = to_scxml(chart("a\nb", edge("a", "go", "b", guards=[guard(bool, "<lambda>")])))

    assert 'cond="_lambda_"' in export.text
    assert "The spelling of guard '<lambda>': it is the variable '_lambda_'." in export.lost


def test_a_transition_without_a_target_is_not_internal_in_scxml() -> None:
    made = chart("a\n    b\n    c", edge("a", "stay", internal=True), edge("a", "in", "c", internal=True))

    assert '<transition event="stay" />' in to_scxml(made).text
    assert '<transition event="in" target="c" type="internal" />' in to_scxml(made).text


def test_scxml_is_escaped_and_has_names_and_tags_in_our_namespace() -> None:
    made = chart("a\nb", edge("a", "go", "b", actions=[note("say \"<x>\" & 'y'")]))
    states = {**made.states, "a": replace(made.states["a"], name='<A & "B">', tags=frozenset({"open", "paid"}))}

    root = ElementTree.fromstring(to_scxml(replace(made, states=states)).text)
    (state, log) = root[0], root.find(".//{*}log")

    assert state.attrib["{urn:x-durable-fsm}name"] == '<A & "B">'
    assert state.attrib["{urn:x-durable-fsm}tags"] == "open paid"
    assert log is not None
    assert ast.literal_eval(log.attrib["expr"]) == "say \"<x>\" & 'y'"


def test_everything_that_scxml_leaves_out_is_reported() -> None:
    work = Activity("work", "charge_card", print, exclusive=True)
    edges = [
        edge("", "stop", "b", key="stop"),
        edge("a", "go", "b", before=(note("ask"),), after=(note("tell"),), validators=(note("check"),)),
    ]
    made = chart(
        "a\nb final", *edges, entry={"": [note("greet")]}, done={"b": [note("bill")]}, activities={"a": [work]}
    )

    assert to_scxml(made).lost == (
        "'check' may reject 'go' in 'a'.",
        "'ask' runs before states are left.",
        "'tell' runs after states are entered.",
        "Activity 'work' is exclusive.",
        "The work, the retries and the deadline of activity 'work'.",
        "The output of 'b': the result of bill.",
        "The action greet of Order itself.",
        "The transition 'stop', which Order takes in every state.",
        "Events without a transition are rejected; there they are dropped.",
    )


def test_blanks_in_ids_are_replaced_in_scxml() -> None:
    assert '<transition event="go" target="b_20_c" />' in to_scxml(chart("a\nb", edge("a", "go", "b c"))).text


def test_child_machines_are_invoked_by_name_and_reported() -> None:
    child = Child("parcel", print, autoforward=True, finalize=(note("note"),))
    made = chart("a", machines={"a": [child]})

    assert '<invoke type="urn:x-durable-fsm:machine" autoforward="true">' in to_scxml(made).text
    assert "The chart of machine 'parcel', which is chosen at run time." in to_scxml(made).lost
    assert "The chart of machine 'parcel', which is chosen at run time." in to_xstate(made).lost


def test_that_something_runs_for_each_item_of_a_list_is_reported() -> None:
    each = Each("parcels", list, join="any")
    work = Activity("work", "charge_card", print, each=each)
    made = chart("a", activities={"a": [work]}, machines={"a": [Child("parcel", print, each=each)]})

    for export in (to_scxml(made), to_xstate(made)):
        assert "Activity 'work' runs once for each of parcels, joined by 'any'." in export.lost
        assert "Machine 'parcel' runs once for each of parcels, joined by 'any'." in export.lost


def test_computed_and_recurring_timers_and_deferred_events_are_reported() -> None:
    made = chart(
        "a\nb",
        edge("a", "due tick", "b"),
        timers={
            "a": [Timer("due", when=note("due_at")), Timer("tick", timedelta(seconds=1), recurring=True)],
        },
    )
    states = {**made.states, "a": replace(made.states["a"], defers=("pay", "ship"))}
    made = replace(made, states={**states, "": replace(states[""], defers=("*",))})
    told = {
        "'a' raises 'due' at the time that 'due_at' computes.",
        "'a' raises 'tick' again and again.",
        "'a' defers 'pay', 'ship'.",
        "'Order' defers '*'.",
    }

    assert told <= set(to_scxml(made).lost)
    assert told <= set(to_xstate(made).lost)
    assert re.findall(r"<send .*?/>", to_scxml(made).text) == ['<send id="timer.a.2.tick" event="tick" delay="1s" />']
    assert [*configured(made)["states"]["a"]["after"]] == ["1000"]
    assert "due" in configured(made)["states"]["a"]["on"]


# ── XState ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def configured(made: Chart) -> Any:
    return json.loads(to_xstate(made).text)


def test_xstate_has_names_as_descriptions_and_targets_by_path() -> None:
    config = configured(study("order"))
    payment = config["states"]["payment"]

    assert (config["id"], config["initial"]) == ("Order", "draft")
    assert payment["description"] == "Payment"
    assert payment["entry"] == ["reserve_stock"]
    assert payment["after"] == {"900000": {"target": "#Order.expired", "actions": ["release_stock"]}}
    assert payment["onDone"] == {"target": "#Order.fulfilment"}
    assert payment["on"]["xstate.error.actor.charging"] == {"target": "#Order.manual_review"}
    assert payment["states"]["charging"]["invoke"] == [
        {
            "id": "charging",
            "src": "charge_card",
            "onDone": {"target": "#Order.payment.paid", "actions": ["save_receipt"]},
            "onError": {"target": "#Order.payment.backing_off", "guard": "attempts_left", "actions": ["count_attempt"]},
        }
    ]


def test_transitions_of_xstate_on_one_event_are_an_array_in_order() -> None:
    asked = {"guards": (guard(bool, "is_late", negated=True),)}
    config = configured(
        chart("a\nb", edge("a", "go", "b", **asked), edge("a", "go", "a", key="again"), edge("a", "", "b"))
    )

    assert config["states"]["a"]["on"]["go"] == [
        {"target": "#Order.b", "guard": {"type": "not", "params": {"guard": "is_late"}}},
        {"target": "#Order.a", "reenter": True},
    ]
    assert config["states"]["a"]["always"] == [{"target": "#Order.b"}]


def test_a_public_event_of_a_timer_is_an_event_in_xstate_as_well() -> None:
    made = chart("a\nb", edge("a", "late", "b"), timers={"a": [Timer("late", timedelta(milliseconds=0.5))]})

    assert configured(made)["states"]["a"]["after"] == {"0.5": {"target": "#Order.b"}}
    assert configured(made)["states"]["a"]["on"] == {"late": {"target": "#Order.b"}}


def test_several_guards_become_one_guard_in_xstate() -> None:
    made = chart("a\nb", edge("a", "go", "b", guards=[guard(bool, "x"), guard(bool, "y")]))

    assert configured(made)["states"]["a"]["on"]["go"]["guard"] == {"type": "and", "params": {"guards": ["x", "y"]}}


@pytest.mark.parametrize(
    ("event", "others", "written"),
    [
        ("pay", [], ["pay"]),
        ("pay", ["pay.card"], ["pay.*"]),
        ("pay.*", ["pay.card"], ["pay.*"]),
        ("*", [], ["*"]),
        ("done.invoke", [], ["xstate.done.actor.*"]),
        ("done.state.c", [], ["xstate.done.state.Order.c"]),
        ("done", [], ["done", "xstate.done.*"]),
        ("error.*", [], ["xstate.error.*"]),
        ("error.execution", [], []),
    ],
)
def test_platform_events_have_the_names_of_xstate(event: str, others: list[str], written: list[str]) -> None:
    made = chart("a\nb\nc\n    d final", edge("a", event, "b"), *(edge("b", other, "a") for other in others))

    assert sorted(configured(made)["states"]["a"].get("on", {})) == written


def test_dots_in_ids_and_names_are_replaced_in_xstate() -> None:
    made = replace(chart("a.b\na", edge("a", "go", "a.b")), name="shop.Order")
    inner = chart("a\n    a.b\n    a.c", edge("a.b", "go", "a.c"))

    assert configured(made)["states"]["a"]["on"]["go"] == {"target": "#shop_2e_Order.a_2e_b"}
    assert configured(inner)["states"]["a"]["states"]["b"]["on"]["go"] == {"target": "#Order.a.c"}


def test_everything_that_xstate_leaves_out_is_reported() -> None:
    made = chart(
        NESTED,
        edge("one", "over", "three", key="across"),
        edge("idle", "error.execution", "over"),
        edge("idle", "*", "over", key="any"),
        edge("idle", "go", "outer", validators=(note("check"),)),
        initial={"left": edge("left", "", "two", "one"), "back": edge("back", "", "two", actions=[note("begin")])},
        timers={"idle": [Timer("late", timedelta(seconds=1))]},
        done={"over": [note("bill")]},
    )

    assert to_xstate(made).lost == (
        "The transition from 'idle' on 'error.execution' to over.",
        "'check' may reject 'go' in 'idle'.",
        "'idle' tries '*' before 'go'.",
        "'idle' raises 'late' after 1000 ms, for transitions of other states.",
        "'left' begins in two, one; there it begins in 'two'.",
        "The transition from 'one' to three leaves 'outer'; there it stays active.",
        "The actions on the way to the default of 'back': begin.",
        "The output of 'over': the result of bill.",
        "Events without a transition are rejected; there they are dropped.",
    )


def test_different_ids_have_different_names() -> None:
    ids = ["a.b", "a_b", "a_2e_b", "a__2e__b", "a b", "a.b_c", "a_b.c", "ü", "_fc_", "__fc__"]

    assert len({name_of(id) for id in ids}) == len(ids)
    assert name_of("on_hold") == "on_hold"
