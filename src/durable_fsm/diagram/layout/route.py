"""Step 5 of the layout: draw the lines of one scope.

A line is straight if possible, or curves into the side of a box, or goes sideways in the gap between two ranks. Nothing
lies in such a gap, and a line passes a rank vertically between two boxes, so a line drawn by these rules meets no box.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from itertools import pairwise

from durable_fsm.diagram.layout.geometry import Path, Point, Rect, Segment, merged
from durable_fsm.diagram.layout.graphviz_layout import Item, Placed
from durable_fsm.diagram.layout.lanes import LEVEL, SidewaysRun, across, bow, ess, lanes, room_for
from durable_fsm.diagram.layout.plan import LEFT, End, Piece

SIDES = ("left", "right")
GAP = 9.0
HARM = 10_000.0
"""The cost of crossing a box, a label or a loop: more than any detour."""
CLOSE = 4.0
"""Straight lines that end this close to a port would look like one with the line there."""
SNAP = 0.6
"""Vertical lines closer than this are one."""


@dataclass(frozen=True, slots=True)
class Way:
    """The course of a line: how it ends at both items, and the x at which it passes each rank between.

    An end is `straight`, `left` or `right` (a curve into that side) or `bend` (vertical at the box, then sideways).
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
        """Give each line that goes sideways through a gap its lane; the gap grows, and everything below moves down."""
        gaps: dict[int, list[SidewaysRun]] = {}
        for piece in pieces:
            for run in self._sideways_runs(piece, self.ways[piece.id]):
                if abs(run.after - run.before) > LEVEL or self._joint(run):
                    gaps.setdefault(run.gap, []).append(run)
        down, fall = 0.0, [0.0] * len(self.ranks)
        for gap in range(1, len(self.ranks)):
            runs = gaps.get(gap, [])
            places = self._lanes(runs)
            before = self.ranks[gap].top - self.ranks[gap - 1].bottom
            grown = max(0.0, room_for(max(places.values(), default=0) + 1) - before)
            for run in runs:
                count = max(places.values()) + 1
                self.levels[run.piece, gap] = (before + grown) * (places[run.piece] + 1) / (count + 1)
            down += grown
            fall[gap] = down
        for item in self.items.values():
            item.y += fall[item.rank]
        for rank, by in enumerate(fall):
            self.ranks[rank] = self.ranks[rank].moved(0, by)

    def _lanes(self, runs: list[SidewaysRun]) -> dict[str, int]:
        """The lane of each piece; those that part at one joint have the same."""
        branching: dict[str, list[SidewaysRun]] = {}
        for run in runs:
            if joint := self._joint(run):
                branching.setdefault(joint, []).append(run)
        whole = {
            joint: SidewaysRun(
                found[0].piece, found[0].gap, min(run.left for run in found), max(run.right for run in found)
            )
            for joint, found in branching.items()
        }
        places = lanes([*(run for run in runs if not self._joint(run)), *whole.values()])
        return {run.piece: places[whole[joint].piece if (joint := self._joint(run)) else run.piece] for run in runs}

    def _joint(self, run: SidewaysRun) -> str:
        """The joint at which the line parts from others in this gap, or ""."""
        piece = self.placed.scope.pieces[run.piece]
        for end, gap in (
            (piece.upper, self.items[piece.upper.item].rank + 1),
            (piece.lower, self.items[piece.lower.item].rank),
        ):
            if end.item in self.placed.scope.joints and gap == run.gap:
                return f"{end.item} {end.port}"
        return ""

    def _sideways_runs(self, piece: Piece, way: Way) -> list[SidewaysRun]:
        """Where the line goes sideways. A gap has the number of the rank below it."""
        if LEFT in (piece.upper.side, piece.lower.side):
            return []
        first = self.items[piece.upper.item].rank + 1
        stops = [*way.xs]
        if way.upper not in SIDES:
            stops.insert(0, self._end_x(piece, way, "upper"))
        else:
            first += 1
        if way.lower not in SIDES:
            stops.append(self._end_x(piece, way, "lower"))
        sides = enumerate(pairwise(stops))
        return [SidewaysRun(piece.id, first + step, a, b) for step, (a, b) in sides if abs(a - b) > 0.5]

    def _sideways(self, piece: Piece, gap: int, start: Point, end: Point) -> list[Segment]:
        """The segments from one vertical line to another in a gap: an S if they are close, or else along a lane."""
        level = self.levels.get((piece.id, gap))
        if abs(start[0] - end[0]) <= LEVEL and level is None:
            return ess(start, end)
        y = (start[1] + end[1]) / 2 if level is None else self.ranks[gap - 1].bottom + level
        return across(start, end, y)

    def _length(self, piece: Piece) -> tuple[int, float]:
        upper, lower = self.placed.ends(piece)
        return lower.rank - upper.rank, abs(upper.x - lower.x)

    # ── choosing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _choose(self, piece: Piece) -> None:
        best = min(self._candidates(piece), key=lambda way: self._cost(piece, way))
        self.ways[piece.id] = best
        self.placed.paths[piece.id] = self.build(piece, best)
        upper = self.items[piece.upper.item]
        self.runs += [(upper.rank + 1 + step, x) for step, x in enumerate(best.xs)]

    def _candidates(self, piece: Piece) -> list[Way]:
        xs = self._xs(piece)
        if LEFT in (piece.upper.side, piece.lower.side):
            return [Way("left" if piece.upper.side else "bend", "left" if piece.lower.side else "bend", xs)]
        starts = self._styles(piece.upper, xs[0] if xs else self._anchor(piece.lower, piece.upper))
        ends = self._styles(piece.lower, xs[-1] if xs else self._anchor(piece.upper, piece.lower))
        if not xs and self.placed.is_free(piece.upper) and self.placed.is_free(piece.lower):
            starts = [style for style in starts if style in ("straight", "bend")]
            ends = [style for style in ends if style in ("straight", "bend")]
        return [Way(start, end, xs) for start in starts for end in ends]

    def _styles(self, end: End, x: float) -> list[str]:
        """How a line that comes from x may end."""
        if not self.placed.is_free(end):
            return ["straight"] if abs(self.placed.fixed_x(end) - x) < 0.6 else ["bend"]
        box = self.items[end.item].box
        if box.left + 12 <= x <= box.right - 12:
            return ["straight"]
        side = "left" if x < box.x else "right"
        return [side, "bend"] if x < box.left - 8 or x > box.right + 8 else ["bend"]

    def _anchor(self, end: End, other: End) -> float:
        """The x at which a line from the other end would meet the item, as straight as possible."""
        if not self.placed.is_free(end):
            return self.placed.fixed_x(end)
        box = self.items[end.item].box
        return min(max(self.items[other.item].x, box.left + 14), box.right - 14)

    def _cost(self, piece: Piece, way: Way) -> float:
        path = self.build(piece, way)
        cost = self._harm(piece, path)
        cost += sum(50.0 * path.crossings(other) for id, other in self.placed.paths.items() if id != piece.id)
        cost += sum({"straight": 0.0, "bend": 24.0}.get(style, 0.0) for style in (way.upper, way.lower))
        return cost + 0.12 * path.bounds.width

    def _harm(self, piece: Piece, path: Path) -> float:
        """The cost of crossing boxes, labels and loops; 0 if the line crosses none."""
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
        """The x at which the line passes each rank between: near where Graphviz led it, with as few turns as possible.

        This is a shortest path through the ranks, over a pool of candidates for x.
        """
        upper, lower = self.placed.ends(piece)
        between = range(upper.rank + 1, lower.rank)
        if LEFT in (piece.upper.side, piece.lower.side):
            return self._beside_border(piece, between)
        if not between:
            return ()
        hints = list(self.placed.passing(piece).values())
        blocked = [self._blocked(rank) for rank in between]
        start, end = self._anchor(piece.upper, piece.lower), self._anchor(piece.lower, piece.upper)
        pool = {start, *(x for x in (end, *hints) if abs(x - start) > SNAP)}
        pool = {end, *(x for x in pool if abs(x - end) > SNAP)}
        for spans in blocked:
            for left, right in spans:
                pool |= {left, right}
        xs = sorted(pool)
        costs = [self._end_cost(piece.upper, x) for x in xs]
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
        total = [cost + self._end_cost(piece.lower, x) for x, cost in zip(xs, costs, strict=True)]
        index = min(range(len(xs)), key=lambda number: (total[number], number))
        found: list[float] = []
        for came in reversed(steps):
            found.append(xs[index])
            index = came[index]
        return tuple(reversed(found))

    def _end_cost(self, end: End, x: float) -> float:
        """The cost of the way from the item to x: none if straight, some for a curve, most for a turn."""
        if not self.placed.is_free(end):
            away = abs(self.placed.fixed_x(end) - x)
            return 0.0 if away < 0.6 else 40 + 0.3 * away
        item = self.items[end.item]
        box = item.box
        if box.left + 12 <= x <= box.right - 12:
            return 0.0
        away = max(box.left - x, x - box.right)
        room = item.left if x < box.x else item.right
        return (20 if away > 8 and not room else 42) + 0.3 * max(away, 0)

    def _blocked(self, rank: int) -> list[tuple[float, float]]:
        """The spans of a rank that boxes and earlier lines occupy, in order and apart."""
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
        """As `_xs`, for a line to a history state on the left border of a parallel state."""
        parallel = self.items[(piece.lower if piece.lower.side == LEFT else piece.upper).item]
        used = sum(1 for other in self.ways if self._touches_border(other, parallel.name))
        x = parallel.box.left - 26 - GAP * used
        return tuple(x for _ in between)

    def _touches_border(self, id: str, parallel: str) -> bool:
        piece = self.placed.scope.pieces[id]
        return any(end.side == LEFT and end.item == parallel for end in (piece.upper, piece.lower))

    # ── attachments ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _spread(self) -> None:
        """Give lines at the same side of a box positions of their own, in an order in which they do not cross."""
        sides: dict[tuple[str, str], list[tuple[float, float, str, str]]] = {}
        ports: dict[tuple[str, str], list[float]] = {}
        for id, way in self.ways.items():
            piece = self.placed.scope.pieces[id]
            for which, end, style in (("upper", piece.upper, way.upper), ("lower", piece.lower, way.lower)):
                item = self.items[end.item]
                flat = "bottom" if which == "upper" else "top"
                if end.side or not self.placed.is_free(end):
                    ports.setdefault((item.name, flat), []).append(self.placed.fixed_x(end))
                    continue
                x = self._other(piece, way, which)
                if style in SIDES:
                    away = abs(x - item.x)
                    order = (1.0, -away) if which == "upper" else (0.0, away)
                    sides.setdefault((item.name, style), []).append((*order, id, which))
                else:
                    sides.setdefault((item.name, flat), []).append((0.0, x, id, which))
        for (name, side), lines in sides.items():
            item = self.items[name]
            lines.sort()
            if side in SIDES:
                step = min(11.0, (item.height - 16) / max(1, len(lines) - 1)) if len(lines) > 1 else 0.0
                for number, (_, _, id, which) in enumerate(lines):
                    self.offsets[id, which] = (number - (len(lines) - 1) / 2) * step
            else:
                self._spread_flat(item, lines, ports.get((name, side), []))

    def _spread_flat(self, item: Item, lines: list[tuple[float, float, str, str]], ports: list[float]) -> None:
        """Keep straight lines where they are, and place the others beside them and *ports*, the outermost outside."""
        low, high = item.box.left + 12, item.box.right - 12
        step = min(18.0, (high - low) / max(1, len(lines) - 1))
        taken = [*ports]
        turning: list[tuple[float, str, str]] = []
        for _, x, id, which in lines:
            way = self.ways[id]
            if (way.upper if which == "upper" else way.lower) != "straight":
                turning.append((x, id, which))
            elif all(abs(x - port) > CLOSE for port in ports):
                taken.append(x)
            else:
                self.ways[id] = replace(way, upper="bend") if which == "upper" else replace(way, lower="bend")
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
        """The x from which the line comes to one of its ends."""
        if way.xs:
            return way.xs[0] if which == "upper" else way.xs[-1]
        return self._anchor(*((piece.lower, piece.upper) if which == "upper" else (piece.upper, piece.lower)))

    def _settle(self, piece: Piece) -> None:
        """Draw with the final attachments; choose another way if this one now crosses something."""
        path = self.placed.paths[piece.id] = self.build(piece, self.ways[piece.id])
        if self._harm(piece, path):
            self._choose(piece)

    # ── drawing ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def build(self, piece: Piece, way: Way) -> Path:
        """The path from the upper to the lower item."""
        upper, lower = self.placed.ends(piece)
        if LEFT in (piece.upper.side, piece.lower.side):
            return self._to_border(piece, upper, lower)
        x_up, x_low = self._end_x(piece, way, "upper"), self._end_x(piece, way, "lower")
        first = way.xs[0] if way.xs else x_low
        last = way.xs[-1] if way.xs else x_up
        floor, ceiling = self.ranks[upper.rank].bottom, self.ranks[lower.rank].top
        segments: list[Segment]
        if way.upper in SIDES:
            side = self._side_point(piece, "upper", upper, way.upper)
            room = (ceiling if not way.xs and way.lower not in SIDES else floor + 10) - side[1]
            segments = [bow(side, (first, side[1] + _drop(room, abs(first - side[0]))))]
        else:
            segments = [((x_up, upper.outline(x_up, below=True)), (x_up, floor))]
        for rank, x in enumerate(way.xs, upper.rank + 1):
            segments += self._through_gap(piece, rank, segments[-1][-1], x)
            segments.append((segments[-1][-1], (x, self.ranks[rank].bottom)))
        if way.lower in SIDES:
            here, side = segments[-1][-1], self._side_point(piece, "lower", lower, way.lower)
            room = side[1] - (self.ranks[lower.rank - 1].bottom if way.xs else here[1])
            begin = (last, side[1] - _drop(room, abs(last - side[0])))
            segments += [(here, begin), bow(side, begin)[::-1]]
        else:
            segments += self._through_gap(piece, lower.rank, segments[-1][-1], x_low)
            segments.append((segments[-1][-1], (x_low, lower.outline(x_low, below=False))))
        return Path(tuple(merged(segments)))

    def _side_point(self, piece: Piece, which: str, item: Item, side: str) -> Point:
        """Where a curve meets the side of a box."""
        return item.box.left if side == "left" else item.box.right, item.y + self.offsets.get((piece.id, which), 0)

    def _through_gap(self, piece: Piece, gap: int, here: Point, x: float) -> list[Segment]:
        """The segments from here to x at the rank below the gap; none if that is straight below."""
        if abs(x - here[0]) <= 0.5:
            return []
        turn, end = (here[0], max(here[1], self.ranks[gap - 1].bottom)), (x, self.ranks[gap].top)
        return [(here, turn), *self._sideways(piece, gap, turn, end)]

    def _end_x(self, piece: Piece, way: Way, which: str) -> float:
        end, style = (piece.upper, way.upper) if which == "upper" else (piece.lower, way.lower)
        if not self.placed.is_free(end):
            return self.placed.fixed_x(end)
        x = self._other(piece, way, which)
        if style == "straight":
            return x
        item, offset = self.items[end.item], self.offsets.get((piece.id, which))
        return item.x + offset if offset is not None else min(max(x, item.box.left + 14), item.box.right - 14)

    def _to_border(self, piece: Piece, upper: Item, lower: Item) -> Path:
        """The path beside a parallel state to the history state on its left border, a circle of radius 12."""
        down = piece.lower.side == LEFT
        parallel, other = (lower, upper) if down else (upper, lower)
        history = (piece.lower if down else piece.upper).port
        goal = (parallel.box.left - 12, parallel.box.top + parallel.borders[history])
        x = self._beside_border(piece, range(1))[0]
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
    """The least cost at each x if the line may turn before it, and where it comes from: 45 a turn, 0.3 a pixel."""
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
    """Whether x lies in one of the spans, which are in order and apart."""
    place = bisect_left(spans, (x, x)) - 1
    return place >= 0 and x < spans[place][1]


def _drop(room: float, across: float) -> float:
    """The height of a curve that goes this far across, in the room that it has."""
    return max(min(room, 10 + 0.8 * across), min(room, 26))


def _beside(item: Item) -> Rect:
    """The room of loops, on the right of an item."""
    room = item.room
    return replace(room, left=item.box.right + 2)
