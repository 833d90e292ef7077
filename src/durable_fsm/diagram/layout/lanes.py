"""How lines turn: bows, S-curves, and lanes, in which lines through the same gap run level above each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from durable_fsm.diagram.layout.geometry import Point, Segment

LEVEL = 40.0
"""Lines that go further sideways than this run level, in a lane; shorter ones are an S."""
CORNER = 11.0
LANE = 9.0
APART = 14.0
"""How far two level lines are apart that share a lane."""
ROUND = 0.5523
"""Where the handles of a quarter of a circle are, as a share of its radius."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A line goes sideways through a gap, from the x above it to the x below it."""

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
    """The height of a gap with so many lanes."""
    return 22.0 if count < 2 else 2 * CORNER + LANE * (count - 1)


def lanes(turns: Sequence[Turn]) -> dict[str, int]:
    """The lane of each line's turn, from 0, the uppermost: few crossings first, then few lanes."""
    order: list[Turn] = []
    for turn in sorted(turns, key=lambda turn: (turn.left, turn.right, turn.piece)):
        costs = [
            sum(_crossings(above, turn) for above in order[:place])
            + sum(_crossings(turn, below) for below in order[place:])
            for place in range(len(order) + 1)
        ]
        order.insert(costs.index(min(costs)), turn)
    found: dict[str, int] = {}
    for number, turn in enumerate(order):
        above = [found[other.piece] for other in order[:number] if _share(other, turn)]
        found[turn.piece] = max(above, default=-1) + 1
    return found


def across(start: Point, end: Point, y: float) -> list[Segment]:
    """Straight on, around a corner, level at *y*, around a corner, straight on."""
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
    """A quarter of an ellipse, from the side of a box to a vertical line."""
    (x0, y0), (x1, y1) = side, end
    return side, (x0 + (x1 - x0) * 0.6, y0), (x1, y0 + (y1 - y0) * 0.35), end


def ess(start: Point, end: Point) -> list[Segment]:
    """From one vertical line to another, as an S."""
    (x0, y0), (x1, y1) = start, end
    middle = (y0 + y1) / 2
    return [(start, (x0, middle), (x1, middle), end)]


def _corner(start: Point, peak: Point, end: Point) -> Segment:
    def towards(point: Point) -> Point:
        return point[0] + (peak[0] - point[0]) * ROUND, point[1] + (peak[1] - point[1]) * ROUND

    return start, towards(start), towards(end), end


def _crossings(above: Turn, below: Turn) -> int:
    """How often two turns cross if one runs above the other: where one's upright meets the other's level."""
    down = above.left < below.before < above.right
    up = below.left < above.after < below.right
    return down + up


def _share(one: Turn, other: Turn) -> bool:
    return one.left < other.right + APART and other.left < one.right + APART
