"""Small moves that make lines straight: boxes, labels and ports slide along their rank, never past a neighbour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from durable_fsm.diagram.layout.geometry import Point, at
from durable_fsm.diagram.layout.graphviz_layout import Item, Placed
from durable_fsm.diagram.layout.plan import LEFT, End, Piece

FURTHEST = 40.0
"""How far a state may be moved in one go."""
FURTHER = 100.0
"""How far a label or a port may be moved in one go."""
INSET = 14.0
"""How far from the corners of a box lines begin and end."""
BETWEEN = 9.0
"""What stays free beside a line that passes a rank."""
BOW = 18.0
"""A bow into a side looks good from this distance."""

NEAR = 0.01
"""Closer than this is the same place."""

Span = tuple[float, float]


def straighten(placed: Placed) -> None:
    """Move what can be moved to where most of its lines are straight."""
    _Straightener(placed).run()


def passing(placed: Placed, piece: Piece) -> dict[int, float]:
    """Where Graphviz led the line through each rank between its ends."""
    upper, lower = placed.items[piece.upper.item].rank, placed.items[piece.lower.item].rank
    curve = placed.curves.get(piece.id, ())
    points: list[Point] = []
    if lower - upper > 1:
        for start in range(0, len(curve) - 3, 3):
            points += [at(curve[start : start + 4], step / 12) for step in range(13)]
    found: dict[int, float] = {}
    for rank in range(upper + 1, lower):
        y = placed.ranks[rank].y
        nearest = min(points, key=lambda point: abs(point[1] - y), default=(placed.items[piece.upper.item].x, y))
        found[rank] = nearest[0]
    return found


class _Straightener:
    def __init__(self, placed: Placed) -> None:
        self.placed = placed
        self.items = placed.items
        self.rows: dict[int, list[Item]] = {}
        for item in placed.items.values():
            self.rows.setdefault(item.rank, []).append(item)
        self.lines: dict[int, list[float]] = {}
        self.through: dict[int, list[Piece]] = {}
        self.touching: dict[str, list[Piece]] = {name: [] for name in placed.items}
        for piece in placed.scope.pieces.values():
            for end in (piece.upper, piece.lower):
                self.touching[end.item].append(piece)
            for rank, x in passing(placed, piece).items():
                self.lines.setdefault(rank, []).append(x)
                self.through.setdefault(rank, []).append(piece)

    def run(self) -> None:
        small = [*self.placed.scope.pills, *self.placed.scope.ports]
        for names in (small, self.placed.scope.states, small):
            for name in names:
                self._slide(self.items[name])

    # ── one thing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _slide(self, item: Item) -> None:
        pieces = [piece for piece in self.touching[item.name] if piece.upper.item != piece.lower.item]
        if not pieces or any(LEFT in (piece.upper.side, piece.lower.side) for piece in pieces):
            return
        low, high = self._window(item)
        here, goals = item.x, self._goals(item, pieces)
        pieces += self.through.get(item.rank, [])
        reach = FURTHEST if item.name in self.placed.scope.states else FURTHER
        best = (self._cost(pieces), 0.0, here)
        for goal in goals:
            if not (low <= goal <= high and abs(goal - here) <= reach):
                continue
            item.x = goal
            best = min(best, (self._cost(pieces) + 0.04 * abs(goal - here), abs(goal - here), goal))
        item.x = best[2]

    def _window(self, item: Item) -> Span:
        """How far the thing can go without pushing its neighbours or the lines that pass in between."""
        left, right = item.x - item.room.left, item.room.right - item.x
        row = [other for other in self.rows[item.rank] if other is not item]
        lines = self.lines.get(item.rank, [])
        before = max((other for other in row if other.x < item.x), key=lambda other: other.room.right, default=None)
        behind = min((other for other in row if other.x > item.x), key=lambda other: other.room.left, default=None)
        low, high = -1e9, 1e9
        if before is not None:
            passing = sum(before.x < x < item.x for x in lines)
            low = before.room.right + BETWEEN * (1 + passing) + left
        if behind is not None:
            passing = sum(item.x < x < behind.x for x in lines)
            high = behind.room.left - BETWEEN * (1 + passing) - right
        return low, high

    def _goals(self, item: Item, pieces: Iterable[Piece]) -> list[float]:
        """Places of the thing where one of its lines would be straight, the nearest for each."""
        found: list[float] = []
        for piece in pieces:
            mine, other = (piece.upper, piece.lower) if piece.upper.item == item.name else (piece.lower, piece.upper)
            a, b = self._span(mine)
            for low, high in self._free(piece, self._span(other)):
                found.append(item.x + (low - b if low > b else min(0.0, high - a)))
        return sorted(set(found))

    # ── costs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _cost(self, pieces: Iterable[Piece]) -> float:
        return sum(self._crooked(piece) * (1 + piece.weight / 4) for piece in pieces)

    def _crooked(self, piece: Piece) -> float:
        """How bad the line will look: nothing if it can be straight."""
        (a, b), (c, d) = self._span(piece.upper), self._span(piece.lower)
        low, high = max(a, c), min(b, d)
        if low <= high + NEAR and self._free(piece, (low, max(low, high))):
            return 0.0
        apart = max(0.0, low - high)
        boxes = self._is_wide(piece.upper) + self._is_wide(piece.lower)
        bowed = boxes == 1 and apart > INSET + BOW
        return (15 if bowed else 30) + (0.05 if bowed else 0.15) * apart

    def _span(self, end: End) -> Span:
        """Where on the thing a line may meet it."""
        item = self.items[end.item]
        if end.port in item.fixed:
            x = item.box.left + item.fixed[end.port]
            return x, x
        return (item.box.left + INSET, item.box.right - INSET) if self._is_wide(end) else (item.x, item.x)

    def _is_wide(self, end: End) -> bool:
        item = self.items[end.item]
        return end.port not in item.fixed and end.item in self.placed.scope.states and item.width > 2 * INSET

    def _free(self, piece: Piece, span: Span) -> list[Span]:
        """The parts of the span from which a straight line meets nothing on its way."""
        upper, lower = self.items[piece.upper.item].rank, self.items[piece.lower.item].rank
        found: list[Span] = [span]
        for rank in range(upper + 1, lower):
            for item in self.rows[rank]:
                half = item.width / 2 + BETWEEN
                left, right = item.x - half - item.left, item.x + half + item.right
                if left < span[1] and span[0] < right:
                    found = _without(found, (left, right))
        return found


def _without(spans: Sequence[Span], hole: Span) -> list[Span]:
    """The spans with a hole cut into them; what touches its edge stays, be it a single point."""
    left, right = hole
    parts = [part for low, high in spans for part in ((low, min(high, left)), (max(low, right), high))]
    return [part for part in dict.fromkeys(parts) if part[0] <= part[1]]
