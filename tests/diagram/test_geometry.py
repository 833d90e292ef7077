"""Rectangles, paths and lanes: the arithmetic of the layout."""

from __future__ import annotations

import pytest

from durable_fsm.diagram.layout.geometry import Path, Rect, at, joined, merged, split
from durable_fsm.diagram.layout.lanes import SidewaysRun, across, lanes, room_for

BOX = Rect(0, 0, 10, 10)
CURVE = ((0.0, 0.0), (0.0, 10.0), (10.0, 10.0), (10.0, 20.0))


@pytest.mark.parametrize(
    ("other", "overlaps"),
    [
        (Rect(5, 5, 15, 15), True),
        (Rect(10, 0, 20, 10), False),
        (Rect(2, 2, 3, 3), True),
        (Rect(0, 11, 10, 20), False),
    ],
)
def test_rectangles_that_only_touch_do_not_overlap(other: Rect, overlaps: bool) -> None:
    assert BOX.overlaps(other) is overlaps
    assert other.overlaps(BOX) is overlaps


@pytest.mark.parametrize(
    ("start", "end", "hits"),
    [
        ((-5.0, 5.0), (15.0, 5.0), True),
        ((-5.0, 0.0), (15.0, 0.0), False),
        ((-5.0, -5.0), (-1.0, -1.0), False),
        ((-4.0, 5.0), (5.0, -4.5), True),
        ((5.0, 5.0), (6.0, 6.0), True),
        ((-3.0, 5.0), (5.0, -12.0), False),
    ],
)
def test_a_line_hits_a_box_when_a_part_of_it_lies_inside(
    start: tuple[float, float], end: tuple[float, float], hits: bool
) -> None:
    assert Path(((start, end),)).hits(BOX) is hits


def test_a_split_curve_has_two_halves_that_meet_at_the_split() -> None:
    first, second = split(CURVE, 0.25)

    assert first[0] == CURVE[0]
    assert second[-1] == CURVE[-1]
    assert first[-1] == second[0] == pytest.approx(at(CURVE, 0.25))


def test_paths_are_joined_by_a_line_and_reversed_as_a_whole() -> None:
    path = joined([Path((((0.0, 0.0), (0.0, 5.0)),)), Path((((0.0, 8.0), (4.0, 8.0)),))])

    assert path.segments == (((0.0, 0.0), (0.0, 8.0)), ((0.0, 8.0), (4.0, 8.0)))
    assert path.reversed().start == (4.0, 8.0)
    assert path.transposed().end == (8.0, 4.0)


def test_consecutive_straight_lines_are_merged_and_empty_ones_dropped() -> None:
    segments = [((0.0, 0.0), (0.0, 1.0)), ((0.0, 1.0), (0.0, 1.0)), ((0.0, 1.0), (0.0, 9.0)), ((0.0, 9.0), (3.0, 12.0))]

    assert merged(segments) == [((0.0, 0.0), (0.0, 9.0)), ((0.0, 9.0), (3.0, 12.0))]


def test_crossing_paths_are_counted() -> None:
    one = Path((((0.0, 0.0), (10.0, 10.0)),))

    assert one.crossings(Path((((0.0, 10.0), (10.0, 0.0)),))) == 1
    assert one.crossings(Path((((0.0, 1.0), (10.0, 11.0)),))) == 0


def test_lines_through_one_gap_get_lanes_in_which_they_do_not_cross() -> None:
    first, second = SidewaysRun("first", 1, 0, 100), SidewaysRun("second", 1, 50, 150)
    apart = SidewaysRun("apart", 1, 400, 500)

    places = lanes([first, second, apart])

    assert places["second"] < places["first"]
    assert places["apart"] == 0
    assert room_for(3) > room_for(2) > room_for(1)


@pytest.mark.parametrize("end", [(60.0, 40.0), (-60.0, 40.0), (60.0, -40.0), (4.0, 40.0)])
def test_a_line_across_keeps_its_ends_and_runs_level_in_between(end: tuple[float, float]) -> None:
    path = joined([Path(tuple(across((0.0, 0.0), end, end[1] / 2)))])

    assert (path.start, path.end) == ((0.0, 0.0), end)
    assert path.bounds == Rect(min(0, end[0]), min(0, end[1]), max(0, end[0]), max(0, end[1]))
