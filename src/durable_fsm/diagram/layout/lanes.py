"""Lanes and curves for step 5: lines that go sideways through the same gap run horizontally, each in a lane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from durable_fsm.diagram.layout.geometry import Point, Segment

LEVEL = 40.0
"""Lines that go further sideways than this run horizontally, in a lane; shorter ones are an S."""
CORNER = 11.0
LANE = 9.0
APART = 14.0
"""The least distance between two lines in the same lane."""
ROUND = 0.5523
"""The length of the Bézier handles of a quarter of a circle, as a share of its radius."""


@dataclass(frozen=True, slots=True)
class SidewaysRun:
    """The part of a line that goes sideways through a gap, from x `before` above it to x `after` below it."""

    piece: str
    gap: int
    before: float
    after: float

    @property
    def left(self) -> float:
        return min(self.before, self.after)

    @property
    def right(self) -> float:
        return max(self.before, self.after)


def room_for(count: int) -> float:
    """The height of a gap with this many lanes."""
    return 22.0 if count < 2 else 2 * CORNER + LANE * (count - 1)


def lanes(runs: Sequence[SidewaysRun]) -> dict[str, int]:
    """The lane of each piece, from 0, the uppermost. Prefers few crossings, then few lanes."""
    order: list[SidewaysRun] = []
    for run in sorted(runs, key=lambda run: (run.left, run.right, run.piece)):
        costs = [
            sum(_crossings(above, run) for above in order[:place])
            + sum(_crossings(run, below) for below in order[place:])
            for place in range(len(order) + 1)
        ]
        order.insert(costs.index(min(costs)), run)
    found: dict[str, int] = {}
    for number, run in enumerate(order):
        above = [found[other.piece] for other in order[:number] if _share(other, run)]
        found[run.piece] = max(above, default=-1) + 1
    return found


def across(start: Point, end: Point, y: float) -> list[Segment]:
    """A line down to *y*, around a corner, horizontally, around a corner and down to the end; or the same upwards."""
    (x0, y0), (x1, y1) = start, end
    way, down = (1 if x1 > x0 else -1), (1 if y1 > y0 else -1)
    first = min(CORNER, abs(y - y0), abs(x1 - x0) / 2)
    last = min(CORNER, abs(y1 - y), abs(x1 - x0) / 2)
    return [
        (start, (x0, y - down * first)),
        _corner((x0, y - down * first), (x0, y), (x0 + way * first, y)),
        ((x0 + way * first, y), (x1 - way * last, y)),
        _corner((x1 - way * last, y), (x1, y), (x1, y + down * last)),
        ((x1, y + down * last), end),
    ]


def bow(side: Point, end: Point) -> Segment:
    """A curve from the side of a box to a vertical line, like a quarter of an ellipse."""
    (x0, y0), (x1, y1) = side, end
    return side, (x0 + (x1 - x0) * 0.6, y0), (x1, y0 + (y1 - y0) * 0.35), end


def ess(start: Point, end: Point) -> list[Segment]:
    """A curve from one vertical line to another, like an S."""
    (x0, y0), (x1, y1) = start, end
    middle = (y0 + y1) / 2
    return [(start, (x0, middle), (x1, middle), end)]


def _corner(start: Point, peak: Point, end: Point) -> Segment:
    def towards(point: Point) -> Point:
        return point[0] + (peak[0] - point[0]) * ROUND, point[1] + (peak[1] - point[1]) * ROUND

    return start, towards(start), towards(end), end


def _crossings(above: SidewaysRun, below: SidewaysRun) -> int:
    """How many times two lines cross if one runs above the other: a vertical part meets a horizontal one."""
    down = above.left < below.before < above.right
    up = below.left < above.after < below.right
    return down + up


def _share(one: SidewaysRun, other: SidewaysRun) -> bool:
    return one.left < other.right + APART and other.left < one.right + APART
