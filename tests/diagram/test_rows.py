"""Wide charts are wrapped into rows, so that they can be read on a page."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from durable_fsm.core.chart import Chart
from durable_fsm.diagram import to_svg
from durable_fsm.diagram.layout.geometry import Path
from durable_fsm.diagram.layout.plan import BOTTOM, TOP
from durable_fsm.diagram.layout.rows import PAGE, WIDEST, rows_of_regions
from tests.building import chart, edge
from tests.diagram.drawing import Drawing
from tests.diagram.faults import faults


def star(count: int, *, back: bool = True) -> Chart:
    """A menu with so many alternatives."""
    states = "\n".join(f"form_{number}" for number in range(count))
    edges = [edge("menu", f"choose_{number}", f"form_{number}") for number in range(count)]
    edges += [edge(f"form_{number}", f"back_{number}", "menu") for number in range(count) if back]
    return chart(f"menu\n{states}", *edges)


def steps(count: int) -> Chart:
    """A menu whose alternatives have a second step, and one common end."""
    states = "\n".join(f"form_{number}\nsent_{number}" for number in range(count))
    edges = [edge("menu", f"choose_{number}", f"form_{number}") for number in range(count)]
    edges += [edge(f"form_{number}", "submit", f"sent_{number}") for number in range(count)]
    edges += [edge(f"sent_{number}", "error.execution", "over") for number in range(count)]
    return chart(f"menu\n{states}\nover final", *edges)


def plant(count: int) -> Chart:
    """Machines that run at the same time; lines lead into the first and out of the second."""
    lines, edges = list[str](), [edge("off", "begin", "idle_0"), edge("busy_1", "explode", "off")]
    for number in range(count):
        lines += [f"    machine_{number}", f"        idle_{number}", f"        busy_{number}"]
        edges.append(edge(f"idle_{number}", "start", f"busy_{number}"))
        edges.append(edge(f"busy_{number}", "stop", f"idle_{number}"))
    return chart("\n".join(["off", "running parallel", *lines]), *edges)


def nested(count: int) -> Chart:
    inner = "\n".join(f"    room_{number}" for number in range(count))
    edges = [edge("hall", f"enter_{number}", f"room_{number}") for number in range(count)]
    return chart(f"street\nhouse\n    hall\n{inner}", edge("street", "jump", "room_3"), *edges)


WIDE = {
    "a star": star(36),
    "a star without a way back": star(36, back=False),
    "states without lines": chart("begin\n" + "\n".join(f"lonely_{number}" for number in range(30))),
    "two steps each": steps(16),
    "regions": plant(12),
    "regions that are single states": chart("all parallel\n" + "\n".join(f"    lamp_{n}" for n in range(30))),
    "inside a state": nested(24),
}


@pytest.mark.parametrize("made", WIDE.values(), ids=WIDE.keys())
def test_a_wide_chart_is_drawn_in_rows_without_a_fault(made: Chart) -> None:
    drawing = Drawing(to_svg(made, theme="light"))

    assert drawing.canvas.width < 1.25 * PAGE[0]
    assert faults(drawing, made) == []


def test_rows_keep_the_order_of_the_chart() -> None:
    boxes = Drawing(to_svg(star(20), theme="light")).boxes

    heights = [round(boxes[f"form_{number}"].rect.y) for number in range(20)]
    assert heights == sorted(heights)
    assert len(set(heights)) > 1


def test_each_alternative_and_its_second_step_stay_together() -> None:
    boxes = Drawing(to_svg(steps(16), theme="light")).boxes

    heights = sorted({(round(boxes[f"form_{n}"].rect.y), round(boxes[f"sent_{n}"].rect.y)) for n in range(16)})
    assert all(first[1] < second[0] for first, second in pairwise(heights))


def test_lines_to_and_from_the_same_state_have_a_track_each() -> None:
    drawing = Drawing(to_svg(star(12), theme="light"))

    tracks: dict[str, set[float]] = {"choose": set(), "back": set()}
    for line in drawing.lines:
        for way in tracks:
            if f"--{way}_" in line.key:
                tracks[way] |= {round(x, 1) for path in line.paths for x in long_verticals(path)}
    assert tracks["choose"]
    assert tracks["back"]
    assert tracks["choose"].isdisjoint(tracks["back"])


def long_verticals(path: Path) -> Iterator[float]:
    for segment in path.segments:
        (x0, y0), (x1, y1) = segment[0], segment[-1]
        if len(segment) == 2 and abs(x0 - x1) < 0.5 and abs(y0 - y1) > 40:
            yield x0


def test_a_chart_that_fits_is_not_wrapped() -> None:
    boxes = Drawing(to_svg(star(6), theme="light")).boxes

    assert len({round(boxes[f"form_{number}"].rect.y) for number in range(6)}) == 1


# ── regions ───────────────────────────────────────────────────────────────────────────────────────────────────────────

ALIKE = dict.fromkeys("abcdef", (400.0, 200.0))
NOWHERE: dict[str, set[str]] = {name: set() for name in ALIKE}


def test_regions_fill_as_few_rows_as_a_page_allows() -> None:
    assert rows_of_regions(ALIKE, NOWHERE) == [["a", "b"], ["c", "d"], ["e", "f"]]
    assert rows_of_regions({name: ALIKE[name] for name in "abc"}, NOWHERE) == [["a", "b", "c"]]
    assert WIDEST > 3 * 400


def test_a_region_with_lines_from_above_is_in_the_first_row_and_one_with_lines_to_below_in_the_last() -> None:
    rows = rows_of_regions(ALIKE, {**NOWHERE, "b": {BOTTOM}, "e": {TOP}})

    assert rows == [["e", "a"], ["c", "d"], ["f", "b"]]


def test_regions_with_lines_on_both_sides_are_not_wrapped() -> None:
    assert rows_of_regions(ALIKE, {**NOWHERE, "b": {BOTTOM, TOP}}) == [list(ALIKE)]
