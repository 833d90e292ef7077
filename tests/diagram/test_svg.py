"""The parts of an SVG that pages and the console rely on: ids, keys, classes, descriptions, links, stable bytes."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from durable_fsm.core.chart import Activity, Chart, Each, Unexpected
from durable_fsm.core.values import Location
from durable_fsm.diagram import graph_of, to_svg
from tests.building import action, chart, edge, guard
from tests.diagram.drawing import SVG, Drawing
from tests.diagram.faults import faults
from tests.diagram.study import STUDY, study

ROOT = Path(__file__).parents[2]

DIGEST = """
import hashlib
from durable_fsm.diagram import to_svg
from tests.diagram.study import STUDY, study
for name in STUDY:
    for theme in ("light", "auto"):
        svg = to_svg(study(name), theme=theme, active=["payment"], heat={"draft": 2.5})
        print(name, theme, hashlib.sha256(svg.encode()).hexdigest())
"""


@pytest.fixture
def order() -> Chart:
    return study("order")


def group(svg: str, id: str) -> ElementTree.Element:
    """The group with this id."""
    found = ElementTree.fromstring(svg).find(f".//{SVG}g[@id='{id}']")
    assert found is not None, f"no group {id!r}"
    return found


def classes(svg: str, id: str) -> set[str]:
    return set(group(svg, id).get("class", "").split())


def lit(svg: str, word: str) -> set[str]:
    """The ids of all groups that have a class."""
    groups = ElementTree.fromstring(svg).iter(f"{SVG}g")
    return {item.get("id", "") for item in groups if word in item.get("class", "").split()}


# ── ids, keys and words ───────────────────────────────────────────────────────────────────────────────────────────────


def test_every_state_is_a_group_with_its_id_and_its_kind(order: Chart) -> None:
    svg = to_svg(order, theme="light")

    assert {f"state-{id}" for id in order.states if id} == lit(svg, "fsm-state")
    assert group(svg, "state-charging").get("data-state") == "charging"
    assert classes(svg, "state-charging") == {"fsm-state", "atomic", "initial"}
    assert classes(svg, "state-payment") == {"fsm-state", "compound"}
    assert classes(svg, "state-cancelled") == {"fsm-state", "final"}
    assert classes(to_svg(study("drone"), theme="light"), "state-battery") == {"fsm-state", "compound", "region"}


def test_every_transition_is_a_group_with_its_number_its_key_and_its_ends(order: Chart) -> None:
    svg = to_svg(order, theme="light")
    keys = {key for id in lit(svg, "fsm-transition") for key in group(svg, id).get("data-key", "").split()}
    place = next(number for number, edge in enumerate(order.transitions) if edge.events == ("place",))
    drawn = group(svg, f"transition-{place}")

    assert keys == {edge.key for edge in order.transitions}
    assert drawn.get("data-source") == "draft"
    assert drawn.get("data-target") == "payment"
    assert drawn.get("data-transitions") == str(place)
    assert drawn.get("data-key") == order.transitions[place].key
    assert classes(svg, f"transition-{place}") == {"fsm-transition", "t-event"}


def test_ids_are_unique_and_take_a_prefix_for_pages_with_several_machines(order: Chart) -> None:
    ids = re.findall(r'\bid="([^"]+)"', to_svg(order, theme="light"))
    prefixed = re.findall(r'\bid="([^"]+)"', to_svg(order, theme="light", id_prefix="shop-"))

    assert len(set(ids)) == len(ids)
    assert prefixed == [f"shop-{id}" for id in ids]


def test_the_description_for_screen_readers_has_size_initial_and_final_states(order: Chart) -> None:
    root = ElementTree.fromstring(to_svg(order, theme="light"))
    labels = root.get("aria-labelledby", "").split()
    texts = [item.text for id in labels for item in root if item.get("id") == id]

    assert root.get("role") == "img"
    assert root.get("data-machine") == "Order"
    assert texts == [
        "Order",
        "State machine Order: 16 states, 20 transitions. Starts in Draft. Ends in Completed, Expired, Cancelled.",
    ]


def test_the_description_of_a_chart_says_that_it_ignores_unexpected_events(order: Chart) -> None:
    ignoring = replace(order, policies=replace(order.policies, unexpected=Unexpected.IGNORE))

    assert "Ignores events that no transition accepts." in to_svg(ignoring, theme="light")


def test_states_and_labels_have_tooltips_with_the_whole_text(order: Chart) -> None:
    svg = to_svg(order, theme="light")

    state = group(svg, "state-charging").findtext(f"{SVG}title", "")
    number = next(number for number, edge in enumerate(order.transitions) if "retry_charge" in edge.events)
    label = group(svg, f"transition-{number}").findtext(f"{SVG}title", "")

    assert state.splitlines()[:2] == ["Charging card (payment.charging)", "invoke charge_card"]
    assert label == "backing_off → charging: after 30 s (retry_charge)"


def test_the_same_chart_gives_the_same_bytes_in_another_process() -> None:
    def digests(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        command = [sys.executable, "-W", "ignore", "-c", DIGEST]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    first = digests("1")

    assert len(first.splitlines()) == 2 * len(STUDY)
    assert digests("2") == first


# ── themes, links, errors ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_picture_has_one_style_sheet_and_a_theme_changes_only_that(order: Chart) -> None:
    drawn = {theme: to_svg(order, theme=theme) for theme in ("light", "dark", "auto", "vars")}  # type: ignore[arg-type]

    same = r'<style>.*?</style>|data-model="[^"]*"'
    assert len({re.sub(same, "", svg, flags=re.DOTALL) for svg in drawn.values()}) == 1
    assert "prefers-color-scheme:dark" in drawn["auto"]
    assert "var(--fsm-ink" in drawn["vars"]
    assert "style=" not in drawn["light"]


def test_states_and_labels_link_to_their_source(order: Chart) -> None:
    svg = to_svg(order, theme="light", source_url="https://example.org/{file}#L{line}")
    place = replace(order.states["draft"], location=Location("shop/orders.py", 7))
    moved = replace(order, states={**order.states, "draft": place})

    assert svg.count("<a href=") >= len(order.states) - 1
    assert '<a href="https://example.org/shop/orders.py#L7">' in to_svg(
        moved, theme="light", source_url="https://example.org/{file}#L{line}"
    )
    assert "<a " not in to_svg(order, theme="light")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"theme": "solar"}, "unknown theme 'solar'; use 'light', 'dark', 'auto' or 'vars'"),
        ({"depth": 0}, "a picture of depth 0 would show nothing; use 1 or more"),
        ({"direction": "BT"}, "a picture goes 'TB' or 'LR', not 'BT'"),
        ({"direction": "LR"}, "a picture with nested states goes downwards; fold it with depth=1, or use 'TB'"),
    ],
)
def test_an_invalid_option_is_refused_with_what_to_do(order: Chart, options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        to_svg(order, **options)  # type: ignore[arg-type]


# ── folding and direction ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_folded_state_counts_the_states_inside_and_keeps_the_edges_that_leave_it() -> None:
    claim = study("claim")

    svg = to_svg(claim, theme="light", depth=1)
    drawing = Drawing(svg)

    assert "15 states inside" in [text.text for text in drawing.boxes["assessment"].texts]
    assert set(drawing.boxes) == set(claim.root.children)
    assert "28 states not shown." in svg
    assert ("assessment", ("decision",)) in {(line.source, line.targets) for line in drawing.lines}


def test_a_chart_of_300_states_folds_into_a_picture_of_its_30_parts() -> None:
    parts = [f"part{number}" for number in range(30)]
    text = "\n".join(line for part in parts for line in (part, *(f"    {part}_step{number}" for number in range(9))))
    steps = [edge(f"{part}_step{number}", "next", f"{part}_step{number + 1}") for part in parts for number in range(8)]
    leaps = [edge(f"{here}_step8", "done", there) for here, there in pairwise(parts)]
    made = chart(text, *steps, *leaps)

    drawing = Drawing(to_svg(made, theme="light", depth=1))

    assert len(made.states) == 301
    assert len(drawing.boxes) == 30
    assert sum("fsm-transition" in line.classes for line in drawing.lines) == 29
    assert faults(drawing, made) == []


def test_a_flat_chart_can_be_drawn_to_the_right() -> None:
    payment = study("payment")

    right = Drawing(to_svg(payment, theme="light", direction="LR"))
    down = Drawing(to_svg(payment, theme="light"))

    assert right.boxes["pending"].rect.right < right.boxes["authorized"].rect.left
    assert down.boxes["pending"].rect.bottom < down.boxes["authorized"].rect.top
    assert right.canvas.width > right.canvas.height
    assert faults(right, payment) == []


# ── light and heat ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_active_states_are_highlighted_with_their_ancestors(order: Chart) -> None:
    svg = to_svg(order, theme="light", active=["backing_off"])

    assert lit(svg, "is-active") == {"state-payment", "state-backing_off"}


def test_taken_transitions_are_highlighted_by_key_and_possible_ones_by_event(order: Chart) -> None:
    taken = next(edge.key for edge in order.transitions if "place" in edge.events)

    svg = to_svg(order, theme="light", active=["backing_off"], taken=[taken], possible=["cancel"])

    assert [group(svg, id).get("data-key") for id in lit(svg, "is-taken")] == [taken]
    assert [group(svg, id).get("data-source") for id in lit(svg, "is-possible")] == ["payment"]


def test_a_folded_state_is_active_if_something_inside_is() -> None:
    svg = to_svg(study("claim"), theme="light", depth=1, active=["on_site"])

    assert lit(svg, "is-active") == {"state-assessment"}


def test_a_heat_map_shows_numbers_and_makes_lines_wider(order: Chart) -> None:
    often, seldom = order.transitions[0].key, order.transitions[1].key

    svg = to_svg(order, theme="light", heat={"draft": 1200, often: 90, seldom: 0.5})
    badges = [item.text for item in ElementTree.fromstring(svg).iter(f"{SVG}text") if item.get("class") == "count"]
    widths = [float(width) for width in re.findall(r"stroke-width:([\d.]+)\"", svg)]

    assert sorted(badges, key=str) == ["0.5", "1 200", "90"]
    assert 1.4 < min(widths) < max(widths) < 4
    assert graph_of(order, depth=1, heat={"charging": 2, "challenge": 3}).by_id["payment"].heat == 5


def test_a_state_that_does_something_for_each_of_many_items_is_a_stack() -> None:
    each = Each("parcels", list)
    made = chart("a\nb\nc", activities={"b": [Activity("b", "print_label", print, each=each)]})

    svg = ElementTree.fromstring(to_svg(made, theme="light"))
    cards = [item for item in svg.iter(f"{SVG}rect") if "card" in (item.get("class") or "").split()]
    texts = ["".join(item.itertext()) for item in svg.iter(f"{SVG}text")]

    assert len(cards) == 2
    assert "invoke ×N print_label, each of parcels" in texts
    assert "join all" in texts


# ── what charts may hold ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_chart_of_one_state_is_a_picture() -> None:
    made = chart("only")

    drawing = Drawing(to_svg(made, theme="light"))

    assert set(drawing.boxes) == {"only"}
    assert [line.targets for line in drawing.lines] == [("only",)]
    assert faults(drawing, made) == []


@pytest.mark.parametrize(
    "name",
    ["<&\"'>", "a:b", "a\\b", "", "W" * 90, "長い名前の状態です", "🚀 gestartet", "Ünïcödé", "a.b-c", "]]>", "n1"],
)
def test_unusual_names_are_drawn_as_they_are(name: str) -> None:
    made = chart("first\nsecond", edge("first", "go", "second", key="k"), edge("second", "back", "first", key="l"))
    states = {**made.states, "first": replace(made.states["first"], name=name)}
    go = replace(made.transitions[0], events=(name or "go",))
    made = replace(made, states=states, transitions=(go, made.transitions[1]), name=f"Order {name}", doc=name)

    drawing = Drawing(to_svg(made, theme="light"))

    assert drawing.boxes["first"].texts[0].text == (name or "first")
    assert faults(drawing, made) == []


def test_ids_may_contain_characters_that_graphviz_interprets() -> None:
    made = chart("a:b\nc\\d\n<e>", edge("a:b", "go", "c\\d"), edge("c\\d", "go", "<e>"), edge("<e>", "go", "a:b"))

    drawing = Drawing(to_svg(made, theme="light"))

    assert set(drawing.boxes) == {"a:b", "c\\d", "<e>"}
    assert faults(drawing, made) == []


def test_a_long_label_is_cut_and_the_tooltip_has_the_whole_text() -> None:
    long = "a_very_long_event_" * 5
    made = chart("a\nb", edge("a", long, "b", key="k"))

    svg = to_svg(made, theme="light")
    label = Drawing(svg).lines[-1]

    assert label.texts[0].text.endswith("…")
    assert long in group(svg, "transition-0").findtext(f"{SVG}title", "")


def test_tags_are_chips_at_the_foot_of_their_state() -> None:
    made = chart("a\nb\n    c\nd parallel\n    e\n        f\n    g")
    tagged = {id: replace(state, tags=frozenset({"open", "paid"})) for id, state in made.states.items() if id}
    made = replace(made, states={**made.states, **tagged})

    drawing = Drawing(to_svg(made, theme="light"))

    assert all([text.text for text in box.texts][1:] == ["open", "paid"] for box in drawing.boxes.values())
    assert faults(drawing, made) == []


def test_a_fork_is_one_label_and_a_bar_with_an_arrow_to_each_target() -> None:
    regions = "idle\nboth parallel\n    left\n        a\n        b\n    right\n        c\n        d"
    made = chart(regions, edge("idle", "split", "b", "d"), edge("both", "over", "idle"))

    drawing = Drawing(to_svg(made, theme="light"))
    fork = next(line for line in drawing.lines if line.bar is not None)

    assert fork.targets == ("b", "d")
    assert len(fork.paths) == 3
    assert faults(drawing, made) == []


def test_transitions_between_the_same_states_share_a_line_with_a_row_each_and_errors_have_their_own() -> None:
    asked = {"guards": (guard(lambda _: True, "has_items"),), "actions": (action(lambda _: None, "reserve"),)}
    made = chart(
        "a\nb",
        edge("a", "go", "b", key="go", **asked),
        edge("a", "jump", "b", key="jump"),
        edge("a", "error.execution", "b", key="fail"),
    )

    lines = [line for line in Drawing(to_svg(made, theme="light")).lines if "fsm-transition" in line.classes]

    assert [line.key for line in lines] == ["go jump", "fail"]
    assert [text.text for text in lines[0].texts] == ["go [has_items] / reserve", "jump"]
    assert "t-error" in lines[1].classes


def test_the_digest_of_a_picture_does_not_depend_on_what_was_drawn_before(order: Chart) -> None:
    first = hashlib.sha256(to_svg(order).encode()).hexdigest()
    to_svg(study("claim"), depth=1)

    assert hashlib.sha256(to_svg(order).encode()).hexdigest() == first
