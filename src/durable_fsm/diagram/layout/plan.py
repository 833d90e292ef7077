"""Step 1 of the layout: decide which lines belong to which scope; cut edges where they cross the border of a state.

A scope is the inside of a compound state, or of the chart. It is laid out alone, and its parent sees it as one box. An
edge between states of different scopes leaves and enters through ports on the borders between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from durable_fsm.core.chart import ROOT, Kind
from durable_fsm.diagram.graph import EdgeKind, Graph, GraphEdge, Initial
from durable_fsm.diagram.layout.sizes import TextBlock, label_of

TOP, BOTTOM, LEFT = "top", "bottom", "left"
ACROSS = "across "
"""Prefix of the parallel state whose regions an edge connects; such an edge has no scope."""
BAR = 12.0
"""The height that a fork adds to its label, for a gap and the bar."""


@dataclass(slots=True)
class End:
    """One end of a line in a scope: an item, and where on the item if that is fixed.

    `port` names the port of a child through which the line continues inside. With `side` LEFT it names the history
    state on the border of a parallel state.
    """

    item: str
    port: str = ""
    side: str = ""


@dataclass(slots=True)
class Piece:
    """A line from an upper to a lower item of one scope. Graphviz keeps lines with more `weight` shorter."""

    id: str
    upper: End
    lower: End
    weight: int = 2


@dataclass(slots=True)
class Leg:
    """A line through several scopes, as pieces `(scope, piece, backwards)`. With `arrow` it ends in an arrow."""

    pieces: list[tuple[str, str, bool]]
    arrow: bool


@dataclass(slots=True)
class Wire:
    """An edge as it will be drawn: its legs, and its label, which is the item `pill` of `scope`."""

    edge: GraphEdge
    scope: str
    pill: str
    text: TextBlock
    back: bool
    legs: list[Leg]


@dataclass(slots=True)
class InitialWire:
    """An initial arrow as it will be drawn; it begins at the item `dot` of `scope`."""

    initial: Initial
    scope: str
    dot: str
    leg: Leg


@dataclass(slots=True)
class LayoutScope:
    """Everything that one layout run places: child states, dots, labels, ports, joints, and the pieces between them.

    At a joint, lines that share a trunk part.
    """

    id: str
    states: list[str]
    dots: list[str] = field(default_factory=list[str])
    pills: list[str] = field(default_factory=list[str])
    joints: list[str] = field(default_factory=list[str])
    ports: dict[str, str] = field(default_factory=dict[str, str])
    pieces: dict[str, Piece] = field(default_factory=dict[str, Piece])

    def ports_at(self, side: str) -> list[str]:
        return [name for name, where in self.ports.items() if where == side]


@dataclass(slots=True)
class Walk:
    """A depth-first walk through the states of a scope.

    `came` has the state before each state, `left` the order in which the walk finished them. An edge to a state that
    was finished later goes back.
    """

    came: dict[str, str] = field(default_factory=dict[str, str])
    left: dict[str, int] = field(default_factory=dict[str, int])

    def goes_back(self, source: str, target: str) -> bool:
        return self.left[target] >= self.left[source]

    def weight(self, source: str, target: str, kind: EdgeKind) -> int:
        """How short and straight a line should be: lines on the main way through the chart most of all."""
        if self.goes_back(source, target):
            return 1
        if self.came[target] != source:
            return 2
        return 10 if kind is EdgeKind.DONE else 6


class LayoutPlan:
    """The scopes and wires of a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.scopes: dict[str, LayoutScope] = {}
        self.wires: list[Wire] = []
        self.initial_wires: list[InitialWire] = []
        self.loops: dict[str, list[GraphEdge]] = {}
        self.across: dict[str, list[GraphEdge]] = {}
        self.borders: dict[str, list[str]] = {}
        self._scopes()
        jobs = [(edge, *self._scope_of(edge)) for edge in graph.edges if not edge.is_loop]
        for edge in graph.edges:
            if edge.is_loop:
                self.loops.setdefault(edge.source, []).append(edge)
        self.walks = {id: self._walk(id, jobs) for id in self.scopes}
        for initial in graph.initials:
            self._initial(initial)
        for number, (edge, scope, source, targets) in enumerate(jobs):
            self._edge(number, edge, scope, source, targets)

    # ── scopes ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def is_scope(self, id: str) -> bool:
        """Whether Graphviz lays out the inside of the state. Parallel states put their regions side by side instead."""
        return id == ROOT or self.graph.by_id[id].kind is Kind.COMPOUND or self._is_bare_region(id)

    def _is_bare_region(self, id: str) -> bool:
        """Whether the state is a region that is not compound: a scope of its own, with one box in it."""
        node = self.graph.by_id[id]
        return node.region and node.kind is not Kind.COMPOUND

    def _scopes(self) -> None:
        for id in (ROOT, *self.graph.by_id):
            if not self.is_scope(id):
                continue
            children = [child.id for child in self.graph.children[id]]
            self.scopes[id] = LayoutScope(id, [id] if id != ROOT and self._is_bare_region(id) else children)
        for node in self.graph.nodes:
            if node.kind.is_history and node.parent != ROOT and self._kind(node.parent) is Kind.PARALLEL:
                self.borders.setdefault(node.parent, []).append(node.id)

    def _kind(self, id: str) -> Kind:
        return self.graph.by_id[id].kind

    def on_border(self, id: str) -> bool:
        return id in self.borders.get(self.graph.by_id[id].parent, ())

    def path(self, id: str) -> tuple[str, ...]:
        """Ancestors and self, from the root. A bare region occurs twice, a history on a border not at all."""
        lineage = self.graph.lineage(id)
        if self.on_border(id):
            return self.path(lineage[-2])
        bare = [step for step in lineage if step != ROOT and self._is_bare_region(step)]
        return tuple(step for above in lineage for step in ((above, above) if above in bare else (above,)))

    # ── where an edge is drawn ────────────────────────────────────────────────────────────────────────────────────────

    def _scope_of(self, edge: GraphEdge) -> tuple[str, str, tuple[str, ...]]:
        """The scope of the edge's label, its source and targets."""
        paths = [self.path(id) for id in (edge.source, *edge.targets)]
        inner = min(len(path) for path in paths)
        common = 0
        while common < inner and len({path[common] for path in paths}) == 1:
            common += 1
        scope = paths[0][common - 1]
        outside = scope if scope in self.scopes else self.graph.lineage(scope)[-2]
        if any(self.on_border(target) and self.graph.by_id[target].parent == scope for target in edge.targets):
            return outside, edge.source, edge.targets
        below = {path[common] for path in paths if len(path) > common}
        if scope == ROOT or self._kind(scope) is not Kind.PARALLEL:
            return scope, edge.source, edge.targets
        if not below:
            return outside, edge.source, edge.targets
        return below.pop() if len(below) == 1 else ACROSS + scope, edge.source, edge.targets

    def inner(self, scope: str, id: str) -> tuple[str, ...]:
        """The path from the scope's child down to the state; empty for the scope itself and its ancestors."""
        path = self.path(id)
        return path[path.index(scope) + 1 :] if scope in path else ()

    def _walk(self, scope: str, jobs: Iterable[tuple[GraphEdge, str, str, tuple[str, ...]]]) -> Walk:
        """Walk through the children of a scope from its initial states, then in document order."""
        states = self.scopes[scope].states
        follows: dict[str, list[str]] = {state: [] for state in states}
        for edge, home, source, targets in jobs:
            ways = [self.inner(scope, id)[:1] for id in (source, *targets)]
            if home == scope and edge.kind is not EdgeKind.DEFAULT and all(ways):
                follows[ways[0][0]] += [way[0] for way in ways[1:] if way[0] != ways[0][0]]
        begins = [initial.targets for initial in self.graph.initials if initial.parent == scope]
        roots = [self.inner(scope, target)[0] for targets in begins for target in targets if self.inner(scope, target)]
        place = {state: number for number, state in enumerate(states)}
        walk = Walk()
        for root in [*roots, *states]:
            stack = [(root, "", False)]
            while stack:
                state, before, leaving = stack.pop()
                if leaving:
                    walk.left.setdefault(state, len(walk.left))
                elif state not in walk.came:
                    walk.came[state] = before
                    stack.append((state, before, True))
                    ahead = sorted(dict.fromkeys(follows[state]), key=place.__getitem__, reverse=True)
                    stack += [(next, state, False) for next in ahead if next not in walk.came]
        return walk

    # ── edges ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _initial(self, initial: Initial) -> None:
        scope = self.scopes.get(initial.parent)
        if scope is None:
            return
        for number, target in enumerate(initial.targets):
            dot = f"dot {number}"
            scope.dots.append(dot)
            leg = self._leg(f"i{number} {scope.id}", scope, End(dot), target, up=False, arrow=True, weight=20)
            self.initial_wires.append(InitialWire(initial, scope.id, dot, leg))

    def _edge(self, number: int, edge: GraphEdge, home: str, source: str, targets: tuple[str, ...]) -> None:
        if home not in self.scopes:
            self.across.setdefault(home.removeprefix(ACROSS), []).append(edge)
            return
        scope = self.scopes[home]
        first, *_ = firsts = [self.inner(home, target)[:1] for target in targets]
        start = self.inner(home, source)[:1]
        walk = self.walks[home]
        back, heavy = False, 6
        if start and all(firsts):
            back = walk.goes_back(start[0], first[0])
            heavy = walk.weight(start[0], first[0], edge.kind)
        pill = f"pill {number}"
        scope.pills.append(pill)
        legs = [
            self._leg(f"e{number}.{place}", scope, End(pill), target, up=back, arrow=True, weight=heavy)
            for place, target in enumerate(targets)
        ]
        leg = self._leg(f"e{number}", scope, End(pill), source, up=not back, arrow=False, weight=heavy)
        begin = Leg([(s, p, not b) for s, p, b in reversed(leg.pieces)], arrow=False)
        self.wires.append(Wire(edge, home, pill, label_of(edge), back, [begin, *legs]))

    def _leg(self, id: str, scope: LayoutScope, begin: End, goal: str, *, up: bool, arrow: bool, weight: int) -> Leg:
        """The line from an item of the scope to a state, which lies above the item if *up*."""
        way = list(self.inner(scope.id, goal))
        if not way:  # the goal is the scope itself or an ancestor: the line ends on the border
            border = f"border {id}"
            scope.ports[border] = TOP if up else BOTTOM
            self._piece(scope, id, begin, End(border), up=up, weight=weight)
            return Leg([(scope.id, id, up)], arrow)
        pieces: list[tuple[str, str, bool]] = []
        home, item = scope, begin
        side = BOTTOM if up else TOP  # states that lie above are entered from below
        while way:
            inner = [step for step in way if step in self.scopes and step != home.id]
            inside = inner[0] if inner and len(way) > 1 else None
            if inside is None:
                end = End(way[0], port=goal, side=LEFT) if self.on_border(goal) else End(way[0])
                self._piece(home, id, item, end, up=up, weight=weight)
                pieces.append((home.id, id, up))
                break
            port = f"port {id}"
            self._piece(home, id, item, End(way[0], port=f"{inside} {port}"), up=up, weight=weight)
            pieces.append((home.id, id, up))
            home = self.scopes[inside]
            home.ports[port] = side
            item = End(port)
            way = way[way.index(inside) + 1 :]
        return Leg(pieces, arrow)

    def wrap(self, id: str, scope: LayoutScope, trunks: Mapping[str, tuple[str, ...]]) -> None:
        """Take a scope whose lines share trunks; *trunks* has what takes the place of a piece, from top to bottom."""
        self.scopes[id] = scope
        for leg in [leg for wire in self.wires for leg in wire.legs]:
            ways = [
                ((at, piece, back), trunks.get(piece, (piece,)) if at == id else (piece,))
                for at, piece, back in leg.pieces
            ]
            leg.pieces = [
                (at, part, back) for (at, _, back), parts in ways for part in (reversed(parts) if back else parts)
            ]

    @staticmethod
    def _piece(scope: LayoutScope, id: str, begin: End, end: End, *, up: bool, weight: int) -> None:
        upper, lower = (end, begin) if up else (begin, end)
        scope.pieces[id] = Piece(id, upper, lower, weight)
