"""The search: breadth first, so that the path to each configuration is a shortest one.

A level holds the machines that are as many moves away from the beginning. All moves of a level are made before the next
level begins, by this process or shared out among several, and their results come back in the same order either way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import monotonic
from typing import NamedTuple, TypeAlias

from msgspec import Struct

from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import plain
from durable_fsm.core.program import index_of
from durable_fsm.core.values import changed
from durable_fsm.explore.domains import Domains
from durable_fsm.explore.family import FamilyPlayer, moment_of, player_for, positions_inside
from durable_fsm.explore.keys import Keys, View
from durable_fsm.explore.moment import Moment
from durable_fsm.explore.moves import ANY_ORDER, Move, MoveKind, Moves
from durable_fsm.explore.player import Played, Player, Position, from_bytes, to_bytes

NOT_THE_SAME = (
    "the same move of the same machine has two results. Callbacks may only use their arguments, `event.at` and `ids`."
)

PIECE = 1_024
"""Machines whose moves are made between two looks at the clock."""


class Bounds(Struct, frozen=True):
    """How far to search.

    Attributes:
        k: how often equal things count: timers, work to be undone, deferred events.
        depth: the longest path, in moves.
        seconds: the longest search.
        most: configurations after which the search ends.
        timers: whether timers arrive in any order, as after an outage, or only the earliest.
        events: whether events are sent; without them, timers and outcomes alone move the machine.
        with_children: whether the machines that run inside take part, instead of ending in some way at some time.
    """

    k: int = 1
    depth: int | None = None
    seconds: float | None = None
    most: int = 1_000_000
    timers: str = ANY_ORDER
    events: bool = True
    with_children: bool = False


class Reached(NamedTuple):
    """The result of one move of a machine. The key is empty if it was refused or failed.

    The position may be packed; where it is empty, the search has it already. A key that is not exact belongs to machines
    that differ, of which a property may still be asked.
    """

    move: Move
    key: bytes
    position: Position | bytes | None
    transitions: tuple[str, ...]
    recalled: tuple[str, ...]
    fault: str
    is_exact: bool = True


Expanded: TypeAlias = list[Reached]


class SpaceNode:
    """A configuration: its machine, how it was found, and where its moves lead.

    Attributes:
        parent: the number of the node from which it was found first; -1 for a beginning.
        out: for each move that was taken, the number of the node that it leads to, or -1 where the chart's code failed.
    """

    __slots__ = ("depth", "move", "out", "packed", "parent")

    def __init__(self, position: Position | bytes, parent: int, move: Move, depth: int) -> None:
        self.packed = position
        self.parent = parent
        self.move = move
        self.depth = depth
        self.out: list[tuple[Move, int]] | None = None

    @property
    def position(self) -> Position:
        """The machine."""
        return unpacked(self.packed)


class MoveFault(NamedTuple):
    """A move that failed in the chart's own code."""

    node: int
    move: Move
    error: str


class StateSpace:
    """All configurations that were found, and the moves between them.

    Attributes:
        unsent: events that are not sent, because no payload was found for them.
        taken_times: how many moves took each transition.
        recalling: nodes from which a move lets the machine process an event that was deferred.
        recalling_alone: those where a timer or an outcome does so.
        sighted: machines that count as known and yet decide a property: its name, a node, and the move from there.
        end: why the search ended: `closed` if every move of every configuration was made.
    """

    def __init__(self, chart: Chart, keys: Keys, unsent: Iterable[str] = (), *, with_children: bool = False) -> None:
        self.chart = chart
        self.with_children = with_children
        self.keys = keys
        self.unsent = tuple(unsent)
        self.nodes: list[SpaceNode] = []
        self.numbers: dict[bytes, int] = {}
        self.steps = 0
        self.refused: dict[tuple[int, str], Move] = {}
        self.taken: dict[str, tuple[int, Move]] = {}
        self.taken_times: Counter[str] = Counter()
        self.faults: list[MoveFault] = []
        self.answers: set[tuple[str, str, bool]] = set()
        self.moved: Counter[tuple[str, str]] = Counter()
        self.recalling: dict[str, set[int]] = {}
        self.recalling_alone: dict[str, set[int]] = {}
        self.sighted: dict[str, tuple[int, Move]] = {}
        self.end = ""
        self.seconds = 0.0

    @property
    def is_closed(self) -> bool:
        return self.end == "closed"

    def moment(self, number: int) -> Moment:
        """The machine of a node, as properties see it."""
        return self.moment_of(self.nodes[number].position)

    def moment_of(self, at: Position) -> Moment:
        """A machine, as properties see it."""
        return moment_of(self.chart, at)

    def player(self) -> Player:
        """A player that makes the moves of this search."""
        return player_for(self.chart, with_children=self.with_children)

    def moment_states(self, node: SpaceNode) -> frozenset[str]:
        """All active states of a node."""
        return index_of(self.chart).active[node.position.snapshot.configuration]

    def path(self, number: int) -> list[Move]:
        """The moves from the beginning to a node; the first one creates the machine."""
        moves: list[Move] = []
        while number >= 0:
            node = self.nodes[number]
            moves.append(node.move)
            number = node.parent
        return moves[::-1]

    def add(self, key: bytes, position: Position | bytes, parent: int, move: Move) -> tuple[int, bool]:
        """The number of the configuration with this key, and whether it is new."""
        known = self.numbers.get(key)
        if known is not None:
            return known, False
        number = self.numbers[key] = len(self.nodes)
        depth = self.nodes[parent].depth + 1 if parent >= 0 else 0
        self.nodes.append(SpaceNode(position, parent, move, depth))
        return number, True

    def renumber(self) -> None:
        """Make the keys again after a view has changed; the first of the machines that are the same now is kept."""
        self.numbers = {}
        for number, node in enumerate(self.nodes):
            self.numbers.setdefault(self.keys.of(node.position), number)


class Expander:
    """Makes all moves of some machines; the part of the search that several processes share."""

    def __init__(self, chart: Chart, domains: Domains, keys: Keys, bounds: Bounds) -> None:
        self.player = player_for(chart, with_children=bounds.with_children)
        self.moves = Moves(self.player.chart, domains, bounds.timers)
        self._domains = domains
        self._timers = bounds.timers
        self._inside: dict[str, Moves] = {}
        self.keys = keys
        self.events = bounds.events
        self._repeated: set[tuple[MoveKind, str, tuple[str, ...]]] = set()

    def expand(self, at: Position) -> Expanded:
        """Make every move of a machine."""
        found: Expanded = []
        for move in self._moves(at):
            if move.is_external and not self.events:
                continue
            found.append(self._reached(move, self._played(at, move)))
        return found

    def _moves(self, at: Position) -> Iterator[Move]:
        """The moves of a machine, and of those that run inside it."""
        player = self.player
        if not isinstance(player, FamilyPlayer):
            yield from self.moves.of(at.situation)
            return
        yield from (move for move in self.moves.of(at.situation) if not move.child)
        for member, inner in positions_inside(at):
            if member.chart not in self._inside:
                chart = player.player_of(member.chart).chart
                self._inside[member.chart] = Moves(chart, self._domains.inside(chart), self._timers)
            for move in self._inside[member.chart].of(inner.situation):
                if not move.child:
                    yield changed(move, inside=member.path)

    def _played(self, at: Position, move: Move) -> Played:
        """The result of a move. The first one of its kind is made twice: both must be the same."""
        played = self.player.play(at, move)
        kind = (move.kind, f"{move.inside}:{move.name}", played.transitions)
        if played.position is None or kind in self._repeated:
            return played
        self._repeated.add(kind)
        again = self.player.play(at, move)
        is_same = again.position is not None and to_bytes(again.position) == to_bytes(played.position)
        return played if is_same else Played(None, fault=NOT_THE_SAME)

    def begin(self, first: Move) -> Reached:
        """Create a machine, or begin with a snapshot of one."""
        return self._reached(first, self.player.begin(first))

    def _reached(self, move: Move, played: Played) -> Reached:
        key = b"" if played.position is None else self.keys.of(played.position)
        return Reached(
            move, key, played.position, played.transitions, played.recalled, played.fault, self.keys.is_exact
        )


Until: TypeAlias = Callable[[StateSpace, int], bool]
Watch: TypeAlias = Callable[[Moment], Iterable[str]]
Many: TypeAlias = Callable[[StateSpace, Sequence[Position | bytes]], Iterable[Expanded]]


def search(
    chart: Chart,
    domains: Domains,
    *,
    bounds: Bounds | None = None,
    view: View | None = None,
    start: Position | None = None,
    starts: Sequence[Move] = (),
    until: Until | None = None,
    expander: Expander | None = None,
    many: Many | None = None,
    watch: Watch | None = None,
) -> StateSpace:
    """Find every configuration that a machine can reach.

    Args:
        start: A machine to begin with; by default one is created for each input of the domains.
        starts: Moves that begin machines, in place of the inputs of the domains.
        until: End the search at a node of which this is true; the graph's `end` is then `found`.
        many: Makes the moves of many machines; by default this process does.
        watch: Names the properties that a machine decides. It is asked of machines that count as known already.
    """
    bounds = bounds or Bounds()
    keys = expander.keys if expander is not None else Keys(chart, k=bounds.k, view=view, made=domains.made)
    expander = expander or Expander(chart, domains, keys, bounds)
    many = many or (lambda _, positions: map(expander.expand, map(unpacked, positions)))
    graph = StateSpace(chart, keys, domains.unsampled, with_children=bounds.with_children)
    began = monotonic()
    try:
        graph.end = _search(graph, expander, starts or created(domains), bounds, start, until, many, watch, began)
    except KeyboardInterrupt:
        graph.end = "interrupted"
    graph.answers |= expander.player.answers.said
    graph.seconds = monotonic() - began
    return graph


def _search(
    graph: StateSpace,
    expander: Expander,
    starts: Sequence[Move],
    bounds: Bounds,
    start: Position | None,
    until: Until | None,
    many: Many,
    watch: Watch | None,
    began: float,
) -> str:
    level = list(_beginnings(graph, expander, starts, start))
    depth = 0
    while level:
        if until is not None and any(until(graph, number) for number in level):
            return "found"
        if bounds.depth is not None and depth >= bounds.depth:
            return f"depth {bounds.depth}"
        following: list[int] = []
        for first in range(0, len(level), PIECE):
            piece = level[first : first + PIECE]
            positions = [graph.nodes[number].packed for number in piece]
            for number, reached in zip(piece, many(graph, positions), strict=True):
                following += _absorb(graph, number, reached, watch)
            if bounds.seconds is not None and monotonic() - began > bounds.seconds:
                return f"{bounds.seconds:g} s"
            if len(graph.nodes) >= bounds.most:
                return f"{bounds.most:,} configurations"
        if graph.keys.coarser():
            graph.renumber()
        depth += 1
        level = following
    return "closed"


def created(domains: Domains) -> list[Move]:
    """The moves that create a machine, one for each input of the domains."""
    return [Move(MoveKind.EVENT, "create", plain(data)) for data in domains.inputs]


def _beginnings(graph: StateSpace, expander: Expander, starts: Sequence[Move], start: Position | None) -> Iterator[int]:
    if start is not None:
        yield graph.add(graph.keys.of(start), start, -1, Move(MoveKind.EVENT, "create"))[0]
        return
    for first in starts:
        move, key, position, transitions, _, fault, _ = expander.begin(first)
        graph.steps += 1
        if position is None:
            graph.faults.append(MoveFault(-1, move, fault or f"it cannot be created from {move.words}"))
            continue
        number, is_new = graph.add(key, position, -1, move)
        graph.taken_times.update(transitions)
        for taken in transitions:
            graph.taken.setdefault(taken, (-1, move))
        if is_new:
            yield number


def _absorb(graph: StateSpace, number: int, reached: Expanded, watch: Watch | None) -> Iterator[int]:
    """Add what the moves of a node came to; the numbers of the nodes that are new."""
    out: list[tuple[Move, int]] = []
    for move, key, position, transitions, recalled, fault, is_exact in reached:
        graph.steps += 1
        if position is None:
            if fault:
                graph.faults.append(MoveFault(number, move, fault))
                out.append((move, -1))
            elif move.is_external and not move.inside:
                graph.refused.setdefault((number, move.name), move)
            continue
        if transitions:
            graph.taken_times.update(transitions)
        for taken in transitions:
            graph.taken.setdefault(taken, (number, move))
        for event in recalled:
            graph.recalling.setdefault(event, set()).add(number)
            if not move.is_external:
                graph.recalling_alone.setdefault(event, set()).add(number)
        if not move.inside:
            graph.moved[move.kind.value, move.name] += 1
        to, is_new = graph.add(key, position, number, move)
        out.append((move, to))
        if is_new:
            yield to
        elif not is_exact and position and watch is not None:
            for name in watch(graph.moment_of(unpacked(position))):
                graph.sighted.setdefault(name, (number, move))
    graph.nodes[number].out = out


def unpacked(position: Position | bytes) -> Position:
    """A machine, however it is kept."""
    return from_bytes(position) if isinstance(position, bytes) else position
