"""Drawing the lines of one scope: straight where possible, then a bow into a side, then through the gaps of ranks.

Between two ranks nothing is in the way, and through a rank a line runs straight down between two boxes: so a line that
is drawn by these rules meets no box.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import pairwise

from durable_fsm.diagram.layout.geometry import Path, Point, Rect, Segment, merged
from durable_fsm.diagram.layout.graphviz_layout import Item, Placed
from durable_fsm.diagram.layout.lanes import LEVEL, Turn, across, bow, ess, lanes, room_for
from durable_fsm.diagram.layout.plan import LEFT, End, Piece
from durable_fsm.diagram.layout.straighten import passing

GAP = 9.0
HARM = 10_000.0
"""What it costs to run over something: more than any detour."""
SNAP = 0.6
"""Verticals closer than this are one."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a line goes: how it leaves the upper and meets the lower item, and where it passes each rank between.

    An end is `straight`, `left`, `right` (a bow into that side) or `bend` (out of the flat side, then across).
    """

    upper: str
    lower: str
    xs: tuple[float, ...]


def route(placed: Placed) -> None:
    """Draw every piece of the scope into `placed.paths`."""
    _Router(placed).run()


class _Router:
    def __init__(self, placed: Placed) -> None:
        self.placed = placed
        self.items = placed.items
        self.ranks = placed.ranks
        self.rooms: list[dict[str, Rect]] = [{} for _ in placed.ranks]
        for item in placed.items.values():
            self.rooms[item.rank][item.name] = item.room
        self.ways: dict[str, Way] = {}
        self.runs: list[tuple[int, float]] = []
        self.offsets: dict[tuple[str, str], float] = {}
        self.levels: dict[tuple[str, int], float] = {}

    def run(self) -> None:
        pieces = sorted(self.placed.scope.pieces.values(), key=self._length)
        for piece in pieces:
            self._choose(piece)
        self._spread()
        for piece in pieces:
            self._settle(piece)
        self._level(pieces)
        for piece in pieces:
            self.placed.paths[piece.id] = self.build(piece, self.ways[piece.id])

    def _level(self, pieces: list[Piece]) -> None:
        """Give lines that cross the same gap a lane each; the gap grows, and everything below moves down."""
        gaps: dict[int, list[Turn]] = {}
        for piece in pieces:
            for turn in self._turns(piece, self.ways[piece.id]):
                if abs(turn.after - turn.before) > LEVEL:
                    gaps.setdefault(turn.gap, []).append(turn)
        down, fall = 0.0, [0.0] * len(self.ranks)
        for gap in range(1, len(self.ranks)):
            turns = gaps.get(gap, [])
            places = lanes(turns)
            before = self.ranks[gap].top - self.ranks[gap - 1].bottom
            grown = max(0.0, room_for(max(places.values(), default=0) + 1) - before)
            for turn in turns:
                count = max(places.values()) + 1
                self.levels[turn.piece, gap] = (before + grown) * (places[turn.piece] + 1) / (count + 1)
            down += grown
            fall[gap] = down
        for item in self.items.values():
            item.y += fall[item.rank]
        for rank, by in enumerate(fall):
            self.ranks[rank] = self.ranks[rank].moved(0, by)

    def _turns(self, piece: Piece, way: Way) -> list[Turn]:
        """Where the line goes sideways: gaps are numbered by the rank below them."""
        if LEFT in (piece.upper.side, piece.lower.side):
            return []
        first = self.items[piece.upper.item].rank + 1
        stops = [*way.xs]
        if way.upper not in ("left", "right"):
            stops.insert(0, self._end_x(piece, way, "upper"))
        else:
            first += 1
        if way.lower not in ("left", "right"):
            stops.append(self._end_x(piece, way, "lower"))
        sides = enumerate(pairwise(stops))
        return [Turn(piece.id, first + step, a, b) for step, (a, b) in sides if abs(a - b) > 0.5]

    def _sideways(self, piece: Piece, gap: int, start: Point, end: Point) -> list[Segment]:
        """From one vertical line to another through a gap: an S if they are close, else along a lane."""
        if abs(start[0] - end[0]) <= LEVEL:
            return ess(start, end)
        level = self.levels.get((piece.id, gap))
        y = (start[1] + end[1]) / 2 if level is None else self.ranks[gap - 1].bottom + level
        return across(start, end, y)

    def _length(self, piece: Piece) -> tuple[int, float]:
        upper, lower = self.items[piece.upper.item], self.items[piece.lower.item]
        return lower.rank - upper.rank, abs(upper.x - lower.x)

    # ── choosing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _choose(self, piece: Piece) -> None:
        best = min(self._candidates(piece), key=lambda way: self._cost(piece, way))
        self.ways[piece.id] = best
        self.placed.paths[piece.id] = self.build(piece, best)
        upper = self.items[piece.upper.item]
        self.runs += [(upper.rank + 1 + step, x) for step, x in enumerate(best.xs)]

    def _candidates(self, piece: Piece) -> list[Way]:
        upper, lower = self.items[piece.upper.item], self.items[piece.lower.item]
        if piece.lower.side == LEFT or piece.upper.side == LEFT:
            return [
                Way("left" if piece.upper.side else "bend", "left" if piece.lower.side else "bend", self._xs(piece))
            ]
        xs = self._xs(piece)
        above = xs[0] if xs else self._anchor(lower, piece.lower, upper)
        below = xs[-1] if xs else self._anchor(upper, piece.upper, lower)
        starts = self._styles(upper, piece.upper, above)
        ends = self._styles(lower, piece.lower, below)
        if not xs and self._is_free(upper, piece.upper) and self._is_free(lower, piece.lower):
            starts = [style for style in starts if style in ("straight", "bend")]
            ends = [style for style in ends if style in ("straight", "bend")]
        return [Way(start, end, xs) for start in starts for end in ends]

    def _is_free(self, item: Item, end: End) -> bool:
        """Whether a line may meet the item anywhere: a state, and no port of it."""
        return end.port not in item.fixed and item.name in self.placed.scope.states and item.width > 24

    def _styles(self, item: Item, end: End, x: float) -> list[str]:
        if not self._is_free(item, end):
            return ["straight"] if abs(self._fixed(item, end) - x) < 0.6 else ["bend"]
        box = item.box
        if box.left + 12 <= x <= box.right - 12:
            return ["straight"]
        side = "left" if x < box.x else "right"
        return [side, "bend"] if x < box.left - 8 or x > box.right + 8 else ["bend"]

    def _fixed(self, item: Item, end: End) -> float:
        return item.box.left + item.fixed[end.port] if end.port in item.fixed else item.x

    def _anchor(self, item: Item, end: End, other: Item) -> float:
        """Where a line to the item comes from, seen from the other end."""
        if not self._is_free(item, end):
            return self._fixed(item, end)
        return min(max(other.x, item.box.left + 14), item.box.right - 14)

    def _cost(self, piece: Piece, way: Way) -> float:
        path = self.build(piece, way)
        cost = self._harm(piece, path)
        cost += sum(50.0 * path.crossings(other) for id, other in self.placed.paths.items() if id != piece.id)
        cost += sum({"straight": 0.0, "bend": 24.0}.get(style, 0.0) for style in (way.upper, way.lower))
        return cost + 0.12 * path.bounds.width

    def _harm(self, piece: Piece, path: Path) -> float:
        """What must not be: a line on a box, a label or a loop."""
        own = {piece.upper.item, piece.lower.item}
        top, bottom = path.bounds.top - 3, path.bounds.bottom + 3
        harm = 0.0
        for rank, rooms in enumerate(self.rooms):
            if self.ranks[rank].top < bottom and top < self.ranks[rank].bottom:
                harm += sum(HARM for name, room in rooms.items() if name not in own and path.hits(room.grown(3)))
        for name in own:
            if path.hits(self.items[name].box.grown(-1.5)):
                harm += HARM
            if self.items[name].right and path.hits(_beside(self.items[name])):
                harm += HARM
        return harm

    # ── through the ranks between ─────────────────────────────────────────────────────────────────────────────────────

    def _xs(self, piece: Piece) -> tuple[float, ...]:
        """Where the line passes each rank between: near where Graphviz led it, with as few turns as possible."""
        upper, lower = self.items[piece.upper.item], self.items[piece.lower.item]
        between = range(upper.rank + 1, lower.rank)
        if piece.lower.side == LEFT or piece.upper.side == LEFT:
            return self._beside_border(piece, between)
        if not between:
            return ()
        hints = list(passing(self.placed, piece).values())
        blocked = [self._blocked(rank) for rank in between]
        start, end = self._anchor(upper, piece.upper, lower), self._anchor(lower, piece.lower, upper)
        pool = {start, *(x for x in (end, *hints) if abs(x - start) > SNAP)}
        pool = {end, *(x for x in pool if abs(x - end) > SNAP)}
        for spans in blocked:
            for left, right in spans:
                pool |= {left, right}
        xs = sorted(pool)
        costs = [self._end_cost(upper, piece.upper, x) for x in xs]
        steps: list[list[int]] = []
        for place, spans in enumerate(blocked):
            came = list(range(len(xs)))
            if place:
                costs, came = _moved(xs, costs)
            steps.append(came)
            costs = [
                cost + 0.15 * abs(x - hints[place]) + (1e6 if _is_within(spans, x) else 0)
                for x, cost in zip(xs, costs, strict=True)
            ]
        total = [cost + self._end_cost(lower, piece.lower, x) for x, cost in zip(xs, costs, strict=True)]
        index = min(range(len(xs)), key=lambda number: (total[number], number))
        found: list[float] = []
        for came in reversed(steps):
            found.append(xs[index])
            index = came[index]
        return tuple(reversed(found))

    def _end_cost(self, item: Item, end: End, x: float) -> float:
        """What it costs to get from the item to x: nothing straight, a little by a bow, most by a turn of its own."""
        if not self._is_free(item, end):
            away = abs(self._fixed(item, end) - x)
            return 0.0 if away < 0.6 else 40 + 0.3 * away
        box = item.box
        if box.left + 12 <= x <= box.right - 12:
            return 0.0
        away = max(box.left - x, x - box.right)
        room = item.left if x < box.x else item.right
        return (20 if away > 8 and not room else 42) + 0.3 * max(away, 0)

    def _blocked(self, rank: int) -> list[tuple[float, float]]:
        spans = [(room.left - GAP, room.right + GAP) for room in self.rooms[rank].values()]
        spans += [(x - GAP, x + GAP) for where, x in self.runs if where == rank]
        found: list[tuple[float, float]] = []
        for left, right in sorted(spans):
            if found and left < found[-1][1]:
                found[-1] = (found[-1][0], max(found[-1][1], right))
            else:
                found.append((left, right))
        return found

    def _beside_border(self, piece: Piece, between: range) -> tuple[float, ...]:
        parallel = self.items[(piece.lower if piece.lower.side == LEFT else piece.upper).item]
        used = sum(1 for other in self.ways if self._touches_border(other, parallel.name))
        x = parallel.box.left - 26 - GAP * used
        return tuple(x for _ in between)

    def _touches_border(self, id: str, parallel: str) -> bool:
        piece = self.placed.scope.pieces[id]
        return any(end.side == LEFT and end.item == parallel for end in (piece.upper, piece.lower))

    # ── attachments ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _spread(self) -> None:
        """Lines that meet the same side of a box get places of their own, in the order in which they do not cross."""
        sides: dict[tuple[str, str], list[tuple[float, float, str, str]]] = {}
        for id, way in self.ways.items():
            piece = self.placed.scope.pieces[id]
            for which, end, style in (("upper", piece.upper, way.upper), ("lower", piece.lower, way.lower)):
                item = self.items[end.item]
                if end.side or not self._is_free(item, end):
                    continue
                x = self._other(piece, way, which)
                if style in ("left", "right"):
                    away = abs(x - item.x)
                    order = (1.0, -away) if which == "upper" else (0.0, away)
                    sides.setdefault((item.name, style), []).append((*order, id, which))
                else:
                    flat = "bottom" if which == "upper" else "top"
                    sides.setdefault((item.name, flat), []).append((0.0, x, id, which))
        for (name, side), lines in sides.items():
            item = self.items[name]
            lines.sort()
            if side in ("left", "right"):
                step = min(11.0, (item.height - 16) / max(1, len(lines) - 1)) if len(lines) > 1 else 0.0
                for number, (_, _, id, which) in enumerate(lines):
                    self.offsets[id, which] = (number - (len(lines) - 1) / 2) * step
            else:
                self._spread_flat(item, lines)

    def _spread_flat(self, item: Item, lines: list[tuple[float, float, str, str]]) -> None:
        """Straight lines stay where they are; the others find places beside them, the outermost outside."""
        low, high = item.box.left + 12, item.box.right - 12
        step = min(18.0, (high - low) / max(1, len(lines) - 1))
        taken: list[float] = []
        turning: list[tuple[float, str, str]] = []
        for _, x, id, which in lines:
            way = self.ways[id]
            if (way.upper if which == "upper" else way.lower) == "straight":
                taken.append(x)
            else:
                turning.append((x, id, which))
        for x, id, which in sorted(turning, key=lambda line: -line[0] if line[0] > item.x else line[0] - 1e6):
            wanted = min(max(x, low), high)
            beside = [place + by for place in taken for by in (-step, step) if low - 0.1 <= place + by <= high + 0.1]
            places = sorted([wanted, *beside], key=lambda place: (abs(place - wanted), place))
            apart = [place for place in places if all(abs(place - other) > step - 0.1 for other in taken)]
            place = apart[0] if apart else wanted
            taken.append(place)
            self.offsets[id, which] = place - item.x

    def _other(self, piece: Piece, way: Way, which: str) -> float:
        """Where the line comes from, seen from one of its ends."""
        if way.xs:
            return way.xs[0] if which == "upper" else way.xs[-1]
        mine, other = (piece.upper, piece.lower) if which == "upper" else (piece.lower, piece.upper)
        return self._anchor(self.items[other.item], other, self.items[mine.item])

    def _settle(self, piece: Piece) -> None:
        """Draw with the final attachments; take another way if this one now hits something."""
        path = self.placed.paths[piece.id] = self.build(piece, self.ways[piece.id])
        if self._harm(piece, path):
            self._choose(piece)

    # ── drawing ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def build(self, piece: Piece, way: Way) -> Path:
        """The line from the upper to the lower item."""
        upper, lower = self.items[piece.upper.item], self.items[piece.lower.item]
        if LEFT in (piece.upper.side, piece.lower.side):
            return self._to_border(piece, upper, lower)
        x_up, x_low = self._end_x(piece, way, "upper"), self._end_x(piece, way, "lower")
        first = way.xs[0] if way.xs else x_low
        last = way.xs[-1] if way.xs else x_up
        segments: list[Segment] = []
        floor = self.ranks[upper.rank].bottom
        ceiling = self.ranks[lower.rank].top
        here: Point
        if way.upper in ("left", "right"):
            side = upper.box.left if way.upper == "left" else upper.box.right
            y = upper.y + self.offsets.get((piece.id, "upper"), 0)
            room = (ceiling if way.xs == () and way.lower not in ("left", "right") else floor + 10) - y
            here = (first, y + max(min(room, 10 + 0.8 * abs(first - side)), min(room, 26)))
            segments.append(bow((side, y), here))
        else:
            here = (x_up, upper.box.bottom)
            segments.append((here, (x_up, floor)))
            here = (x_up, floor)
        for step, x in enumerate(way.xs):
            rank = upper.rank + 1 + step
            if abs(x - here[0]) > 0.5:
                turn, end = (here[0], self.ranks[rank - 1].bottom), (x, self.ranks[rank].top)
                segments += [(here, turn), *self._sideways(piece, rank, turn, end)]
                here = end
            segments.append((here, (x, self.ranks[rank].bottom)))
            here = (x, self.ranks[rank].bottom)
        if way.lower in ("left", "right"):
            side = lower.box.left if way.lower == "left" else lower.box.right
            y = lower.y + self.offsets.get((piece.id, "lower"), 0)
            room = y - (here[1] if way.xs == () else self.ranks[lower.rank - 1].bottom)
            begin = (last, y - max(min(room, 10 + 0.8 * abs(last - side)), min(room, 26)))
            segments += [(here, begin), bow((side, y), begin)[::-1]]
        else:
            goal = (x_low, lower.box.top)
            if abs(x_low - here[0]) > 0.5:
                turn, end = (here[0], max(here[1], self.ranks[lower.rank - 1].bottom)), (x_low, ceiling)
                segments += [(here, turn), *self._sideways(piece, lower.rank, turn, end)]
                here = end
            segments.append((here, goal))
        return Path(tuple(merged(segments)))

    def _end_x(self, piece: Piece, way: Way, which: str) -> float:
        end, style = (piece.upper, way.upper) if which == "upper" else (piece.lower, way.lower)
        item = self.items[end.item]
        if not self._is_free(item, end):
            return self._fixed(item, end)
        x = self._other(piece, way, which)
        if style == "straight":
            return x
        offset = self.offsets.get((piece.id, which))
        return item.x + offset if offset is not None else min(max(x, item.box.left + 14), item.box.right - 14)

    def _to_border(self, piece: Piece, upper: Item, lower: Item) -> Path:
        """Beside a parallel state, to the history on its left border; the circle's radius is 12."""
        down = piece.lower.side == LEFT
        parallel, other = (lower, upper) if down else (upper, lower)
        history = (piece.lower if down else piece.upper).port
        goal = (parallel.box.left - 12, parallel.box.top + parallel.borders[history])
        ways = self._beside_border(piece, range(1))
        x = ways[0]
        out = (other.x, other.box.bottom if down else other.box.top)
        flat = self.ranks[parallel.rank].top if down else self.ranks[parallel.rank].bottom
        rim = self.ranks[other.rank].bottom if down else self.ranks[other.rank].top
        turn = 1 if down else -1
        segments: list[Segment] = [(out, (out[0], rim)), *across((out[0], rim), (x, flat), (rim + flat) / 2)]
        corner = (x, goal[1] - turn * 14)
        segments += [((x, flat), corner), (corner, (x, goal[1] - turn * 6), (x + 6, goal[1]), goal)]
        path = Path(tuple(merged(segments)))
        return path if down else path.reversed()


def _moved(xs: list[float], costs: list[float]) -> tuple[list[float], list[int]]:
    """The cheapest cost at each x if the line may turn before: 45 a turn, and a third of the way across."""
    found, came = list(costs), list(range(len(xs)))
    for indices in (range(len(xs)), range(len(xs) - 1, -1, -1)):
        best, place = 1e18, -1
        for index in indices:
            if place >= 0:
                cost = best + 0.3 * abs(xs[index] - xs[place]) + 45
                if cost < found[index]:
                    found[index], came[index] = cost, place
            if place < 0 or costs[index] < best + 0.3 * abs(xs[index] - xs[place]):
                best, place = costs[index], index
    return found, came


def _is_within(spans: list[tuple[float, float]], x: float) -> bool:
    """Whether x lies in one of these spans, which are in order and apart."""
    place = bisect_left(spans, (x, x)) - 1
    return place >= 0 and x < spans[place][1]


def _beside(item: Item) -> Rect:
    room = item.room
    return replace(room, left=item.box.right + 2)
