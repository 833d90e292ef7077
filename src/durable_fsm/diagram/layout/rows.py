"""Step 3 of the layout, for wide scopes: a rank that is too wide for a page is wrapped into rows below each other.

Lines from one state to many states in rows share a trunk, which passes the rows once and branches above each; so do the
lines from many states to one. Rows are tried in several widths, and those that can be shown largest on a page are taken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import NamedTuple

from durable_fsm.diagram.layout.graphviz_layout import Above, Item, Placed, place
from durable_fsm.diagram.layout.plan import BOTTOM, TOP, End, LayoutScope, Piece

PAGE = (1100.0, 1500.0)
"""A picture of this size is shown without being reduced."""
WIDEST = 1300.0
"""A scope that is wider is wrapped, if it can be."""
WIDTHS = (0.6, 0.75, 0.9, 1.05, 1.2, 1.45, 1.75, 2.1)
"""The widths of rows that are tried, as shares of that of the page."""
FEWEST = 4
"""A rank of fewer states is not wrapped."""
LEAST_GAIN = 0.9
"""Rows are taken only if the picture gets smaller by this factor."""
ROUNDS = 3
"""How many ranks of one scope are wrapped at most."""
BESIDE, LINE = 24.0, 48.0
"""The room that Graphviz leaves between two boxes, and the room for a line that passes a row."""
TRUNK = 40
"""How much Graphviz shortens and straightens a trunk."""
JOINT, TRACKS = 12.0, {"back": 1.0, "forth": 11.0}
"""The width of a joint, and where the two tracks of a trunk pass it."""

Rows = Sequence[Sequence[str]]


def reduction(width: float, height: float) -> float:
    """By which factor a picture has to be reduced, to be shown on a page; 1 if it fits."""
    return max(width / PAGE[0], height / PAGE[1], 1.0)


@dataclass(slots=True)
class Wrapping:
    """A scope with rows.

    Attributes:
        above: what has to be above what, so that the rows are below each other.
        trunks: the pieces that take the place of a piece, from top to bottom.
    """

    scope: LayoutScope
    above: list[Above] = field(default_factory=list[Above])
    trunks: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def copy(self) -> Wrapping:
        scope = replace(self.scope, joints=[*self.scope.joints], pieces={**self.scope.pieces})
        return Wrapping(scope, [*self.above], {**self.trunks})

    def add(self, fan: _Fan, rows: Rows) -> None:
        """Lead the lines of a fan along a trunk, with a joint above or below each row. It begins at the end they share."""
        tracks = fan.tracks()
        ends, ways = dict.fromkeys(tracks, fan.end), {track: list[str]() for track in tracks}
        name = len(self.scope.joints)
        for number in reversed(range(len(rows))) if fan.down else range(len(rows)):
            branch = fan.among(rows[number])
            if not branch:
                continue
            joint = f"joint {name} {number}"
            self.scope.joints.append(joint)
            if fan.down:
                self.above += [Above(joint, row[0]) for row in rows[number + 1 : number + 2]]
            elif number:
                self.above.append(Above(rows[number - 1][0], joint))
            for track in tracks:
                trunk, end = f"trunk {name} {number} {track}", End(joint, track)
                self.scope.pieces[trunk] = fan.piece(trunk, ends[track], end, TRUNK)
                ways[track].append(trunk)
                ends[track] = end
            for line in branch:
                piece, way = line.piece, ways[line.track]
                far = piece.upper if fan.down else piece.lower
                self.scope.pieces[piece.id] = fan.piece(piece.id, ends[line.track], far, piece.weight)
                known = self.trunks.get(piece.id, (piece.id,))
                place = known.index(piece.id)
                along = [piece.id, *reversed(way)] if fan.down else [*way, piece.id]
                self.trunks[piece.id] = (*known[:place], *along, *known[place + 1 :])

    def place(self, items: Mapping[str, Item]) -> Placed:
        joints = {name: Item(name, JOINT, 2, fixed={**TRACKS}) for name in self.scope.joints}
        return place(self.scope, {**{name: replace(item) for name, item in items.items()}, **joints}, self.above)


def place_in_rows(
    scope: LayoutScope, items: dict[str, Item], labels: Mapping[str, tuple[str, str]]
) -> tuple[Placed, Wrapping]:
    """Place every item of the scope, in more rows than Graphviz would if it is too wide for a page.

    Args:
        labels: the kind and the track of the edge that each label belongs to. Lines of different kinds share no trunk.
    """
    best, wrapping = place(scope, items), Wrapping(scope)
    for _ in range(ROUNDS):
        if best.bounds.width <= WIDEST:
            break
        crowd = _Crowd(best, labels)
        tried = [crowd.wrapped(wrapping, rows) for rows in crowd.splits()]
        laid = [one.place(items) for one in tried]
        costs = [_reduced(one) for one in laid]
        if not costs or min(costs) > LEAST_GAIN * _reduced(best):
            break
        number = costs.index(min(costs))
        best, wrapping = laid[number], tried[number]
    if wrapping.above:
        bundled = _Lines(best, labels).bundled(wrapping)
        laid_again = bundled.place(items)
        if _reduced(laid_again) <= _reduced(best):
            best, wrapping = laid_again, bundled
    return best, wrapping


def rows_of_regions(sizes: Mapping[str, tuple[float, float]], sides: Mapping[str, Collection[str]]) -> Rows:
    """Wrap regions, by id, into as many rows as a page wants.

    Args:
        sides: the borders through which lines lead into or out of a region. Lines from above lead into the first row,
            lines to below out of the last; if need be, such a region leaves its place among the others.
    """
    everything = list(sizes)

    def cost(rows: Rows) -> float:
        across = max((sum(sizes[id][0] for id in row) for row in rows), default=0.0)
        return reduction(across, sum(max((sizes[id][1] for id in row), default=0.0) for row in rows))

    if sum(width for width, _ in sizes.values()) <= WIDEST:
        return [everything]
    moved = sorted(everything, key=lambda id: (BOTTOM in sides[id]) - (TOP in sides[id]))
    for order in (everything, moved):
        found = [rows for rows in _shelved(order, [sizes[id][0] for id in order]) if _can_be_met(rows, sides)]
        best = min(found, key=lambda rows: (cost(rows), len(rows)), default=[everything])
        if cost(best) <= LEAST_GAIN * cost([everything]):
            return best
    return [everything]


def _shelved(regions: Sequence[str], widths: Sequence[float]) -> Iterator[Rows]:
    """Regions in two rows and more, each time as wide as so many neighbours need."""
    ends, count = [0.0, *accumulate(widths)], len(widths)
    for many in range(1, count):
        widest = max(ends[first + many] - ends[first] for first in range(count - many + 1))
        yield _filled(regions, widths, widest)


def _filled(regions: Iterable[str], widths: Iterable[float], widest: float) -> Rows:
    """Regions in rows that are at most this wide."""
    rows: list[list[str]] = []
    used = widest
    for region, width in zip(regions, widths, strict=True):
        if used + width > widest + 0.01:
            used = 0.0
            rows.append([])
        rows[-1].append(region)
        used += width
    return rows


def _can_be_met(rows: Rows, sides: Mapping[str, Collection[str]]) -> bool:
    """Whether no line would have to lead through another row."""
    below, above = (id for row in rows[1:] for id in row), (id for row in rows[:-1] for id in row)
    return not any(TOP in sides[id] for id in below) and not any(BOTTOM in sides[id] for id in above)


def _reduced(placed: Placed) -> float:
    return reduction(placed.bounds.width, placed.bounds.height)


class _Line(NamedTuple):
    """A line of a fan; lines that come and lines that go have a track each."""

    piece: Piece
    track: str


@dataclass(slots=True)
class _Fan:
    """The lines between one end and many states, by state. They lead `down` to it, or up."""

    end: End
    down: bool
    lines: dict[str, list[_Line]] = field(default_factory=dict[str, "list[_Line]"])

    def tracks(self) -> list[str]:
        """The tracks that its trunk needs."""
        used = {line.track for lines in self.lines.values() for line in lines}
        return [track for track in TRACKS if track in used]

    def piece(self, id: str, near: End, far: End, weight: int) -> Piece:
        """A piece from the shared end to another."""
        upper, lower = (far, near) if self.down else (near, far)
        return Piece(id, upper, lower, weight)

    def among(self, states: Iterable[str]) -> list[_Line]:
        return [line for state in states for line in self.lines.get(state, ())]


class _Lines:
    """The lines of a scope that have labels. `leads` are the labels above each state; `before` the states above those."""

    def __init__(self, placed: Placed, labels: Mapping[str, tuple[str, str]]) -> None:
        self.items = placed.items
        self.scope = placed.scope
        pieces = self.scope.pieces.values()
        above = {piece.lower.item: piece for piece in pieces if piece.lower.item in labels}
        below = {piece.upper.item: piece for piece in pieces if piece.upper.item in labels}
        self.leads: dict[str, list[str]] = {state: [] for state in self.scope.states}
        self.before: dict[str, set[str]] = {state: set() for state in self.scope.states}
        self.fans: dict[tuple[str, str, str, bool], _Fan] = {}
        for pill, (kind, track) in labels.items():
            if pill in above and pill in below:
                upper, lower = above[pill], below[pill]
                self._add(lower.lower.item, upper.upper, kind, _Line(upper, track), down=False)
                self._add(upper.upper.item, lower.lower, kind, _Line(lower, track), down=True)
                if lower.lower.item in self.leads:
                    self.leads[lower.lower.item].append(pill)
                    self.before[lower.lower.item].add(upper.upper.item)

    def _add(self, state: str, end: End, kind: str, line: _Line, *, down: bool) -> None:
        if state in self.leads and end.item not in self.scope.joints:
            fan = self.fans.setdefault((end.item, f"{end.port} {end.side}", kind, down), _Fan(end, down))
            fan.lines.setdefault(state, []).append(line)

    def bundled(self, wrapping: Wrapping) -> Wrapping:
        """The scope with more trunks: for lines between one end and many states in several ranks."""
        after = wrapping.copy()
        for fan in self.fans.values():
            ranks: dict[int, list[str]] = {}
            for state in fan.lines:
                ranks.setdefault(self.items[state].rank, []).append(state)
            if len(fan.lines) >= FEWEST and len(ranks) > 1:
                after.add(fan, [ranks[rank] for rank in sorted(ranks)])
        return after


class _Crowd(_Lines):
    """The states of the widest rank, in document order. `lines` counts those into a state that share no trunk."""

    def __init__(self, placed: Placed, labels: Mapping[str, tuple[str, str]]) -> None:
        super().__init__(placed, labels)
        ranks: dict[int, list[str]] = {}
        for state in self.scope.states:
            ranks.setdefault(self.items[state].rank, []).append(state)
        many = [states for states in ranks.values() if len(states) >= FEWEST]
        self.states = max(many, key=lambda states: sum(map(self._breadth, states)), default=list[str]())
        pieces = self.scope.pieces.values()
        begun = {piece.lower.item for piece in pieces if piece.upper.item in self.scope.dots}
        self.states.sort(key=lambda state: state not in begun)  # an initial arrow is short
        self.lines = dict.fromkeys(self.states, 0)
        for fan in self.fans.values():
            arriving = [state for state in fan.lines if state in self.lines and not fan.down]
            if len(arriving) == 1:
                self.lines[arriving[0]] += 1
        self.trunks = len(self._shared([self._followers([state]) for state in self.states]))

    def _breadth(self, state: str) -> float:
        """The width that a state takes in a row, with the labels above it."""
        labels = sum(self.items[pill].width + BESIDE for pill in self.leads[state])
        return max(self.items[state].room.width + BESIDE, labels)

    def splits(self) -> list[Rows]:
        """Different ways to wrap the rank, with fewer rows each time; none if there are only ranks of few states."""
        found = [self._split(share * PAGE[0]) for share in WIDTHS]
        return [rows for number, rows in enumerate(found) if len(rows) > 1 and rows not in found[:number]]

    def _split(self, widest: float) -> Rows:
        rows: list[list[str]] = []
        used, passing = widest, sum(self.lines.values()) + self.trunks
        for state in self.states:
            passing -= self.lines[state]
            if used + self._breadth(state) + LINE * passing > widest:
                used = 0.0
                rows.append([])
            rows[-1].append(state)
            used += self._breadth(state)
        return rows

    def wrapped(self, wrapping: Wrapping, rows: Rows) -> Wrapping:
        """The scope with these rows."""
        after = wrapping.copy()
        whole = [self._followers(row) for row in rows]
        for upper, lower in zip(whole, rows[1:], strict=False):
            last = max(upper, key=lambda state: self.items[state].rank)
            for state in lower:
                after.above += (Above(last, item) for item in self.leads[state] or [state])
        for fan in self._shared(whole):
            after.add(fan, whole)
        return after

    def _shared(self, rows: Rows) -> list[_Fan]:
        """The lines between the states of these rows and one end elsewhere."""
        within = {state for row in rows for state in row}
        found = [
            replace(fan, lines={state: fan.lines[state] for state in fan.lines if state in within})
            for fan in self.fans.values()
            if fan.end.item not in within
        ]
        return [fan for fan in found if len(fan.lines) > 1]

    def _followers(self, row: Sequence[str]) -> list[str]:
        """The states of a row, and those that only they lead to."""
        found = dict.fromkeys(row)
        while more := [
            id for id, before in self.before.items() if before and id not in found and before <= found.keys()
        ]:
            found |= dict.fromkeys(more)
        return list(found)
