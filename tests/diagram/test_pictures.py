"""Every picture is checked: labels overlap nothing, lines cross no box, text stays inside."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from durable_fsm.core.chart import Chart, Kind
from durable_fsm.core.codec import canonical
from durable_fsm.core.interchange import chart_from_json, chart_to_json
from durable_fsm.diagram import to_svg
from tests.building import chart, edge
from tests.diagram.browser import Browser
from tests.diagram.drawing import Drawing, Measure
from tests.diagram.faults import Fault, faults
from tests.diagram.random_charts import random_chart
from tests.diagram.study import STUDY, study
from tests.scaling import SCALE

EVERY_KIND = 50
"""Among so many random charts is every kind of construct."""
CHARTS = max(12, int(EVERY_KIND * SCALE))

VIEWS: dict[str, dict[str, int]] = {"all": {}, "depth 1": {"depth": 1}, "depth 2": {"depth": 2}}

NESTED = """
    idle
    outer parallel
        left parallel
            upper
                one
                two
            lower
                three
                four
                five final
            back history
        right
            six
            seven
        alone
        again deep
    over final
"""


def pictures(charts: dict[str, Chart]) -> Iterator[tuple[str, Chart, str]]:
    for name, made in charts.items():
        for view, options in VIEWS.items():
            yield f"{name}, {view}", made, to_svg(made, theme="light", **options)  # type: ignore[arg-type]


def test_the_study_and_every_example_are_drawn_without_a_fault(charts: dict[str, Chart]) -> None:
    found = {name: faults(Drawing(svg), made) for name, made, svg in pictures(charts)}

    assert len(found) >= 3 * (len(STUDY) + 1)
    assert {name: seen for name, seen in found.items() if seen} == {}


def test_a_chart_that_another_process_has_read_is_drawn_alike(charts: dict[str, Chart]) -> None:
    made = {**charts, **{f"random {seed}": random_chart(seed) for seed in range(5)}}

    read = {name: chart_from_json(json.loads(canonical(chart_to_json(one)))) for name, one in made.items()}

    assert [name for name, one in made.items() if read[name].digest != one.digest] == []
    assert [name for name, one in made.items() if to_svg(read[name]) != to_svg(one)] == []


@pytest.mark.browser
def test_text_stays_inside_in_a_browser_with_inter_and_with_the_metrics_of_arial(
    charts: dict[str, Chart], browser: Browser
) -> None:
    drawn = list(pictures(charts))

    widths = browser.widths([svg for _, _, svg in drawn])

    seen = {
        f"{name}, {font}": found
        for font, pages in widths.items()
        for (name, made, svg), page in zip(drawn, pages, strict=True)
        if (found := faults(Drawing(svg, measured(page)), made))
    }
    assert set(widths) == {"Inter", "Arial's metrics"}
    assert seen == {}


def measured(widths: list[float]) -> Measure:
    def width(number: int, element: ElementTree.Element) -> float:
        return widths[number]

    return width


def test_the_random_charts_have_every_kind_of_construct_in_them() -> None:
    found = [random_chart(seed) for seed in range(EVERY_KIND)]
    states = [state for made in found for state in made.states.values()]
    edges = [edge for made in found for edge in made.transitions]

    kinds = Counter(state.kind for state in states)
    assert {kind: kinds[kind] for kind in Kind if kinds[kind] < 5} == {}
    holders = ("entry", "exit", "activities", "timers", "tags")
    assert {name for name in holders if sum(bool(getattr(state, name)) for state in states) < 5} == set()
    assert sum(len(edge.targets) > 1 for edge in edges) >= 3
    assert sum(bool(edge.guards) for edge in edges) >= 5
    assert sum(bool(edge.actions) for edge in edges) >= 5
    assert sum(not edge.events for edge in edges) >= 5


def test_hardly_an_edge_of_random_charts_has_a_fault() -> None:
    edges, seen = 0, dict[int, list[Fault]]()
    for seed in range(CHARTS):
        made = random_chart(seed)
        drawing = Drawing(to_svg(made, theme="light"))
        edges += sum("fsm-transition" in line.classes for line in drawing.lines)
        seen[seed] = faults(drawing, made)

    faulty = sum(len({fault.edge for fault in found}) for found in seen.values())
    worst = sorted((found for found in seen.items() if found[1]), key=lambda found: -len(found[1]))[:5]
    report = "\n".join(f"random_chart({seed}): {', '.join(map(str, found))}" for seed, found in worst)
    assert edges > 15 * CHARTS
    assert faulty <= edges / 100, f"{faulty} of {edges} edges are at fault; the worst:\n{report}"


def test_regions_in_regions_are_drawn_without_a_fault() -> None:
    made = chart(
        NESTED,
        edge("idle", "go", "outer"),
        edge("idle", "fork", "two", "four", "seven"),
        edge("idle", "resume", "back"),
        edge("over", "resume", "again"),
        edge("one", "next", "two"),
        edge("four", "leave", "over"),
        edge("outer", "stop", "idle"),
        edge("alone", "poke", "idle"),
        edge("left", "out", "over"),
        edge("two", "up", "outer"),
    )

    drawing = Drawing(to_svg(made, theme="light"))

    assert faults(drawing, made) == []
    assert {line.key for line in drawing.lines if line.bar} == {"idle--fork"}


def test_edges_between_two_regions_are_written_into_the_band_of_the_parallel_state() -> None:
    made = chart(NESTED, edge("one", "hand over", "seven"), edge("three", "swap", "one"))

    drawing = Drawing(to_svg(made, theme="light"))

    assert [line.key for line in drawing.lines if "fsm-transition" in line.classes] == []
    assert "one → seven hand, over" in [text.text for text in drawing.boxes["outer"].texts]
    assert "three → one swap" in [text.text for text in drawing.boxes["left"].texts]
    assert faults(drawing, made) == []


# ── the look itself finds what it should ──────────────────────────────────────────────────────────────────────────────

DAMAGES = {
    "a label moved onto a state": (
        '<rect class="pill" x="',
        '<rect class="pill" x="-',
        "leaves its label",
    ),
    "a line led through a state": (
        '<path class="edge" d="M',
        '<path class="edge" d="M0,0L300,400L0,300L',
        "runs through",
    ),
    "a line that ends nowhere": (
        '<path class="head" d="M',
        '<path class="head" d="M9999,9999L',
        "does not end at",
    ),
    "a name too long for its box": (">Authorized<", f">{'Authorized' * 5}<", "leaves the box of authorized"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_checker_finds_faults_in_a_damaged_picture(damage: str) -> None:
    made = study("payment")
    whole, broken, complaint = DAMAGES[damage]
    svg = to_svg(made, theme="light")

    found = faults(Drawing(svg.replace(whole, broken)), made)

    assert faults(Drawing(svg), made) == []
    assert Counter(complaint in fault.what for fault in found)[True] > 0
