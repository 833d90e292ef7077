"""Step 4 of the layout: boxes, labels and ports slide along their rank, never past a neighbour, to straighten lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from durable_fsm.diagram.layout.graphviz_layout import Item, Placed
from durable_fsm.diagram.layout.plan import LEFT, End, Piece

FURTHEST = 40.0
"""How far a state may move at once."""
FURTHER = 100.0
"""How far a label or a port may move at once."""
INSET = 14.0
"""The least distance of the end of a line from the corners of a box."""
BETWEEN = 9.0
"""The free space beside a line that passes a rank."""
BOW = 18.0
"""The least distance from which a line may curve into the side of a box."""

NEAR = 0.01
"""Two positions closer than this are the same."""

Span = tuple[float, float]


def straighten(placed: Placed) -> None:
    """Move items to where most of their lines are straight."""
    _Straightener(placed).run()


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
            for rank, x in placed.passing(piece).items():
                self.lines.setdefault(rank, []).append(x)
                self.through.setdefault(rank, []).append(piece)

    def run(self) -> None:
        small = [*self.placed.scope.joints, *self.placed.scope.pills, *self.placed.scope.ports]
        for names in (small, self.placed.scope.states, small):
            for name in names:
                self._slide(self.items[name])

    # ── moving one item ───────────────────────────────────────────────────────────────────────────────────────────────

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
        """The range of x in which the item pushes neither its neighbours nor the lines that pass between."""
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
        """Positions where one of its lines would be straight; the nearest one for each line."""
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
        """A penalty for a line that cannot be straight; 0 if it can."""
        (a, b), (c, d) = self._span(piece.upper), self._span(piece.lower)
        low, high = max(a, c), min(b, d)
        if low <= high + NEAR and self._free(piece, (low, max(low, high))):
            return 0.0
        apart = max(0.0, low - high)
        boxes = self.placed.is_free(piece.upper) + self.placed.is_free(piece.lower)
        bowed = boxes == 1 and apart > INSET + BOW
        return (15 if bowed else 30) + (0.05 if bowed else 0.15) * apart

    def _span(self, end: End) -> Span:
        """The range of x in which a line may end at the item."""
        if not self.placed.is_free(end):
            x = self.placed.fixed_x(end)
            return x, x
        box = self.items[end.item].box
        return box.left + INSET, box.right - INSET

    def _free(self, piece: Piece, span: Span) -> list[Span]:
        """The parts of the span from which a straight line meets nothing."""
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
    """Cut a hole into spans; a point at its edge remains."""
    left, right = hole
    parts = [part for low, high in spans for part in ((low, min(high, left)), (max(low, right), high))]
    return [part for part in dict.fromkeys(parts) if part[0] <= part[1]]
