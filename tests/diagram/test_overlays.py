"""Overlays: each says in words and numbers, not only in colours, what is known of states and transitions."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from durable_fsm import chart_from
from durable_fsm.core.chart import ROOT
from durable_fsm.diagram.overlay import Mark, Overlay, coverage, path, population, verdicts
from durable_fsm.diagram.overlay_drawing import DARK, LIGHT, overlay_css
from durable_fsm.diagram.stamp import stamp_of
from durable_fsm.diagram.svg import to_svg
from durable_fsm.diagram.theme import DARK as DARK_PICTURE
from durable_fsm.diagram.theme import LIGHT as LIGHT_PICTURE
from machines.order import Order
from tests.diagram.test_theme import contrast

ORDER = chart_from(Order)
COUNTS = {"cart": 3, "payment": 1204, "charging": 1204, "fulfilled": 3900}


def texts_of(svg: str, id: str) -> list[str]:
    """The texts drawn for a state, or a transition by its key."""
    for group in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}g"):
        is_thing = group.get("class", "").startswith(("fsm-state", "fsm-transition"))
        if is_thing and id in (group.get("data-state"), group.get("data-key")):
            return ["".join(text.itertext()) for text in group.iter("{http://www.w3.org/2000/svg}text")]
    raise LookupError(id)


def classes_of(svg: str, id: str) -> list[str]:
    found = re.search(rf'class="(fsm-state[^"]*)" data-state="{id}"', svg)
    assert found is not None
    return found[1].split()


def legend_of(svg: str) -> list[str]:
    """The texts under a picture."""
    tree = ElementTree.fromstring(svg)
    (group,) = [one for one in tree.iter("{http://www.w3.org/2000/svg}g") if one.get("class") == "fsm-legend"]
    return ["".join(text.itertext()) for text in group.iter("{http://www.w3.org/2000/svg}text")]


def test_the_population_is_a_number_on_each_state_and_a_shade_that_the_legend_explains() -> None:
    svg = to_svg(ORDER, overlay=population(ORDER, COUNTS, failed={"charging": 11}, title="5,107 machines"))

    assert texts_of(svg, "fulfilled")[-1] == "3,900"
    assert texts_of(svg, "charging")[-2:] == ["1,204", "11 failed"]
    assert "is-marked" not in classes_of(svg, "cancelled")
    assert {"o-pop1"} <= set(classes_of(svg, "cart"))
    assert {"o-pop3"} <= set(classes_of(svg, "fulfilled"))
    assert legend_of(svg) == [
        "5,107 machines",
        *("1–14", "machines", "15–246", "machines", "247–3,900", "machines", "1 failed", "of them have failed"),
    ]


@pytest.mark.parametrize("most", [1, 2, 7, 100, 10_001])
def test_the_shades_of_the_legend_are_those_of_the_states(most: int) -> None:
    found = population(ORDER, {"cart": most}, title="")

    bounds = [sample.shown.replace(",", "").partition("–") for sample in found.legend]
    for sample, (low, _, high) in zip(found.legend, bounds, strict=True):
        assert {found.shade(int(low)), found.shade(int(high or low))} == {sample.tone}
    assert bounds[0][0] == "1"
    assert int(bounds[-1][2] or bounds[-1][0]) == most


def test_without_machines_there_is_no_number() -> None:
    svg = to_svg(ORDER, overlay=population(ORDER, {}, title="0 machines"))

    assert legend_of(svg) == ["0 machines"]


def test_coverage_names_what_was_never_taken() -> None:
    taken = {edge.key: 2 for edge in ORDER.transitions}
    never = ORDER.transitions[0].key
    taken[never] = 0
    states = dict.fromkeys(ORDER.states, 1)

    svg = to_svg(ORDER, overlay=coverage(ORDER, taken, {**states, "unbilled": 0}, title="Taken by tests"))

    assert legend_of(svg)[0] == "Taken by tests: 28 of 29 transitions"
    assert texts_of(svg, "unbilled")[-1] == "never"
    assert texts_of(svg, "paid") == ["Paid"]
    assert f"{never}: never taken" in svg


def test_a_plan_shows_each_verdict_and_the_worst_one_decides_the_colour() -> None:
    svg = to_svg(ORDER, overlay=verdicts({"charging": {"moves": 1204, "blocked": 11}}, title="Plan"))

    assert texts_of(svg, "charging")[-2:] == ["11 blocked", "1,204 moves"]
    assert {"o-red"} <= set(classes_of(svg, "charging"))
    assert legend_of(svg) == ["Plan", "11 blocked", "cannot continue", "1,204 moves", "migrate"]


def test_a_path_numbers_its_steps() -> None:
    first, second = ORDER.transitions[0].key, ORDER.transitions[1].key

    found = path([["cart"], ["payment"], ["cart"]], [[first], [second], [first]], title="A story")

    assert [mark.text for mark in found.transitions[first]] == ["1·3"]
    assert [mark.text for mark in found.states["cart"]] == ["end"]
    assert texts_of(to_svg(ORDER, overlay=found), "cart")[-1] == "end"


def test_folded_states_are_added_up() -> None:
    marks = {"charging": [Mark("green", 2, "moves")], "on_hold": [Mark("green", 3, "moves"), Mark("red", 1, "blocked")]}

    svg = to_svg(ORDER, depth=1, overlay=Overlay("Plan", marks))

    assert texts_of(svg, "payment")[-2:] == ["5 moves", "1 blocked"]


def test_readers_who_see_no_picture_get_the_same_in_words() -> None:
    svg = to_svg(ORDER, overlay=population(ORDER, {"cart": 3}, title="3 machines"))

    assert "3 machines. cart: 3 machines." in svg.partition("</desc>")[0]


def test_a_picture_without_an_overlay_is_as_before_and_one_with_it_has_a_stamp_of_its_own() -> None:
    plain, marked = to_svg(ORDER), to_svg(ORDER, overlay=population(ORDER, COUNTS, title="now"))
    later = to_svg(ORDER, overlay=population(ORDER, COUNTS, title="later"))

    assert "overlay" not in plain
    assert "fsm-legend" not in plain
    assert len({stamp_of(one.encode()) for one in (plain, marked, later)}) == 3


@pytest.mark.parametrize(("colours", "picture"), [(LIGHT, LIGHT_PICTURE), (DARK, DARK_PICTURE)], ids=["light", "dark"])
def test_every_text_and_every_border_of_an_overlay_has_enough_contrast(
    colours: dict[str, str], picture: dict[str, str]
) -> None:
    grounds = [name for name in colours if name.endswith("-ground")]
    lines = [name for name in colours if name.endswith("-line")]
    texts = [("overlay-ink", ground) for ground in grounds] + [("overlay-badge", line) for line in lines]
    borders = [(line, line.replace("-line", "-ground")) for line in lines]

    low = {pair for pair in texts if contrast(colours[pair[0]], colours[pair[1]]) < 4.5}
    low |= {pair for pair in borders if contrast(colours[pair[0]], colours[pair[1]]) < 3.1}
    low |= {
        ("overlay-ink", pill)
        for pill in ("pill", "bg", "comp1")
        if contrast(colours["overlay-ink"], picture[pill]) < 4.5
    }
    low |= {(line, "bg") for line in lines if contrast(colours[line], picture["bg"]) < 3.1}

    assert low == set()


def test_each_theme_has_its_colours() -> None:
    assert DARK["overlay-ink"] in overlay_css("dark")
    assert LIGHT["overlay-ink"] not in overlay_css("dark")
    assert "@media (prefers-color-scheme:dark){" in overlay_css("auto")
    assert f"var(--fsm-overlay-ink,{LIGHT['overlay-ink']})" in overlay_css("vars")


def test_the_root_is_never_marked() -> None:
    assert ROOT not in population(ORDER, {ROOT: 5, "cart": 5}, title="").states
