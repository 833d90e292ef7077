"""Run the steps of the layout for each scope, from the inside out; then move everything to its final place.

A picture from left to right is laid out downwards and then transposed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from durable_fsm.core.chart import ROOT, Kind
from durable_fsm.diagram.graph import Graph, GraphEdge, Initial, Node, Part, Role
from durable_fsm.diagram.layout.geometry import Path, Rect, joined
from durable_fsm.diagram.layout.graphviz_layout import Item, Placed, place
from durable_fsm.diagram.layout.plan import BAR, TOP, LayoutPlan, Wire
from durable_fsm.diagram.layout.route import route
from durable_fsm.diagram.layout.sizes import (
    DOT,
    HISTORY,
    LOOP,
    TextBlock,
    box_size,
    header_size,
    label_of,
    pill_size,
    region_size,
)
from durable_fsm.diagram.layout.straighten import straighten

SIDE, ABOVE, BELOW = 16.0, 16.0, 16.0


@dataclass(frozen=True, slots=True)
class DrawnState:
    """A state in its place. `header` is the height of the title band; `shift` moves the title away from a line."""

    node: Node
    box: Rect
    header: float = 0
    shift: float = 0


@dataclass(frozen=True, slots=True)
class DrawnEdge:
    """An edge in its place: its lines without and with an arrow head, and the box of its label."""

    edge: GraphEdge
    lines: tuple[Path, ...]
    arrows: tuple[Path, ...]
    text: TextBlock
    pill: Rect | None
    bar: Rect | None = None


@dataclass(frozen=True, slots=True)
class DrawnDot:
    """An initial dot in its place, with its arrow."""

    initial: Initial
    dot: Rect
    arrow: Path


@dataclass(frozen=True, slots=True)
class Layout:
    """A graph with everything in its place, within `bounds`, whose upper left corner is (0, 0)."""

    graph: Graph
    bounds: Rect
    states: tuple[DrawnState, ...]
    edges: tuple[DrawnEdge, ...]
    dots: tuple[DrawnDot, ...]
    dividers: tuple[tuple[str, Path], ...]


def lay_out(graph: Graph, direction: str = "TB") -> Layout:
    """Lay a graph out.

    Args:
        direction: `TB`, downwards, or `LR`, to the right, which needs a graph without nested states.

    Raises:
        ValueError: the direction is unknown, or `LR` for nested states.
    """
    if direction not in ("TB", "LR"):
        raise ValueError(f"a picture goes 'TB' or 'LR', not {direction!r}")
    if direction == "LR" and any(node.children for node in graph.nodes):
        raise ValueError("a picture with nested states goes downwards; fold it with depth=1, or use 'TB'")
    return _Assembly(graph, transposed=direction == "LR").layout()


class _Assembly:
    def __init__(self, graph: Graph, *, transposed: bool) -> None:
        self.transposed = transposed
        plan = LayoutPlan(graph)
        self.graph = _with_crossing_edges_as_rows(graph, plan) if plan.across else graph
        self.plan = plan
        self.placed: dict[str, Placed] = {}
        self.sizes: dict[str, tuple[float, float]] = {}
        self.inset: dict[str, tuple[float, float]] = {}
        self.headers: dict[str, float] = {}
        self.shifts: dict[str, float] = {}
        self.fixed: dict[str, dict[str, float]] = {id: {} for id in (ROOT, *graph.by_id)}
        self.dividers: list[tuple[str, Path]] = []
        self.columns: dict[str, Rect] = {}
        self.within: dict[str, tuple[float, float]] = {}
        self.borders: dict[str, dict[str, float]] = {}
        self.boxes: dict[str, Rect] = {}
        self.frames: dict[str, Rect] = {}

    # ── from the inside out ───────────────────────────────────────────────────────────────────────────────────────────

    def size(self, id: str) -> tuple[float, float]:
        node = self.graph.by_id[id]
        if id not in self.sizes:
            if node.kind is Kind.COMPOUND:
                self.sizes[id] = self._compound(node)
            elif node.kind is Kind.PARALLEL:
                self.sizes[id] = self._parallel(node)
            else:
                self.sizes[id] = self._turned(*box_size(node))
        return self.sizes[id]

    def _turned(self, width: float, height: float) -> tuple[float, float]:
        """A size as the layout sees it."""
        return (height, width) if self.transposed else (width, height)

    def _lay(self, id: str) -> Placed:
        scope = self.plan.scopes[id]
        items: dict[str, Item] = {}
        for name in scope.dots:
            items[name] = Item(name, DOT, DOT)
        for name, side in scope.ports.items():
            if side == TOP:
                items[name] = Item(name, 2, 2)
        for state in scope.states:
            items[state] = self._item(state)
        for wire in self.plan.wires:
            if wire.scope == id and wire.edge is not None and wire.text is not None:
                width, height = pill_size(wire.text)
                height += BAR if len(wire.edge.targets) > 1 else 0
                items[wire.pill] = Item(wire.pill, *self._turned(width, height))
        for name, side in scope.ports.items():
            if side != TOP:
                items[name] = Item(name, 2, 2)
        placed = place(scope, items)
        straighten(placed)
        route(placed)
        self.placed[id] = placed
        return placed

    def _item(self, state: str) -> Item:
        width, height = self.size(state)
        loops = self.loops(state)
        right = max((size[0] for size in loops), default=-LOOP - 6) + LOOP + 6
        tall = sum(size[1] + 4 for size in loops)
        histories = self.plan.borders.get(state, ())
        item = Item(state, width, height, left=30.0 + 9 * len(histories) if histories else 0, right=right, tall=tall)
        item.fixed = dict(self.fixed[state])
        item.borders = self.borders.get(state, {})
        return item

    def loops(self, state: str) -> list[tuple[float, float]]:
        """The sizes of the labels beside a state's loops."""
        texts = [label_of(edge) for edge in self.plan.loops.get(state, ())]
        return [self._turned(text.width, max(text.height, 16.0)) for text in texts]

    def _compound(self, node: Node) -> tuple[float, float]:
        placed = self._lay(node.id)
        bounds = placed.bounds
        least, header = header_size(node)
        width = max(bounds.width + 2 * SIDE, least)
        left = (width - bounds.width) / 2 - bounds.left
        crossings = self._ports(node.id, placed, left)
        shift = _free_shift(crossings, least - 20)
        width = max(width, least + shift)
        self.headers[node.id], self.shifts[node.id] = header, shift
        self.inset[node.id] = (left, header + ABOVE - bounds.top)
        return width, header + ABOVE + bounds.height + BELOW

    def _ports(self, id: str, placed: Placed, left: float) -> list[float]:
        """Fix the ports of a scope on the border of its state, and return where lines run through its heading.

        A line from a compound state itself begins below its title band; a region has no band.
        """
        above: list[float] = []
        for name, side in placed.scope.ports.items():
            x = placed.items[name].x + left
            if name.startswith("port "):
                self.fixed[id][f"{id} {name}"] = x
            if side == TOP and (name.startswith("port ") or self.graph.by_id[id].region):
                above.append(x)
        return above

    def _parallel(self, node: Node) -> tuple[float, float]:
        least, header = header_size(node)
        regions = [child for child in self.graph.children[node.id] if not child.kind.is_history]
        headings = [region_size(region)[1] for region in regions if region.kind is Kind.COMPOUND]
        inside = header + max(headings, default=6.0) + ABOVE - 6
        columns: list[Rect] = []
        above: list[float] = []
        x, tallest = 0.0, 0.0
        for region in regions:
            placed = self._lay(region.id)
            wanted = region_size(region)[0] if region.kind is Kind.COMPOUND else 0.0
            width = max(placed.bounds.width + 2 * SIDE, wanted)
            left = (width - placed.bounds.width) / 2 - placed.bounds.left
            crossings = self._ports(region.id, placed, left)
            if region.kind is Kind.COMPOUND:
                self.shifts[region.id] = _free_shift(crossings, wanted - 20)
                width = max(width, wanted + self.shifts[region.id])
            self.within[region.id] = (left, inside - header - placed.bounds.top)
            for name, side in placed.scope.ports.items():
                port = f"{region.id} {name}"
                if port in self.fixed[region.id]:
                    self.fixed[node.id][port] = x + self.fixed[region.id][port]
                    above += [self.fixed[node.id][port]] if side == TOP else []
            columns.append(Rect(x, header, x + width, 0))
            x += width
            tallest = max(tallest, placed.bounds.height)
        self.headers[node.id] = header
        self.shifts[node.id] = shift = _free_shift(above, least - 20)
        width, height = max(x, least + shift), inside + tallest + BELOW
        columns[-1] = replace(columns[-1], right=width)
        self.columns |= {
            region.id: replace(column, bottom=height) for region, column in zip(regions, columns, strict=True)
        }
        for number, history in enumerate(self.plan.borders.get(node.id, ())):
            self.borders.setdefault(node.id, {})[history] = inside + 18 + number * (HISTORY + 8)
        return width, height

    # ── from the outside in ───────────────────────────────────────────────────────────────────────────────────────────

    def layout(self) -> Layout:
        root = self._lay(ROOT)
        self.inset[ROOT] = (-root.bounds.left, -root.bounds.top)
        self.offsets: dict[str, tuple[float, float]] = {}
        self._settle(ROOT, self.inset[ROOT])
        states = tuple(self._state(node) for node in self.graph.nodes)
        dots = [self._dot(wire) for wire in self.plan.wires if wire.initial is not None]
        wired = {id(wire.edge): self._edge(wire) for wire in self.plan.wires if wire.edge is not None}
        looped = {id(edge): drawn for state in self.plan.loops for edge, drawn in self._loops(state)}
        found = {**wired, **looped}
        edges = tuple(found[id(edge)] for edge in self.graph.edges if id(edge) in found)
        bounds = Rect(0, 0, root.bounds.width, root.bounds.height)
        if not self.transposed:
            return Layout(self.graph, bounds, states, edges, tuple(dots), tuple(self.dividers))
        return Layout(
            self.graph,
            bounds.transposed(),
            tuple(replace(state, box=state.box.transposed()) for state in states),
            tuple(_transposed(edge) for edge in edges),
            tuple(replace(dot, dot=dot.dot.transposed(), arrow=dot.arrow.transposed()) for dot in dots),
            (),
        )

    def _settle(self, id: str, offset: tuple[float, float]) -> None:
        """Move a scope to its final place, and everything inside it."""
        self.offsets[id] = offset
        for state in self.plan.scopes[id].states:
            self._settle_state(self.graph.by_id[state], self.placed[id].items[state].box.moved(*offset))

    def _settle_state(self, node: Node, box: Rect) -> None:
        self.boxes[node.id] = box
        if node.kind is Kind.COMPOUND:
            dx, dy = self.inset[node.id]
            self._settle(node.id, (box.left + dx, box.top + dy))
        elif node.kind is Kind.PARALLEL:
            regions = [child for child in self.graph.children[node.id] if not child.kind.is_history]
            for region in regions:
                self._region(node, region, box, first=region is regions[0])
            for history, y in self.borders.get(node.id, {}).items():
                self.boxes[history] = Rect.around(box.left, box.top + y, HISTORY, HISTORY)

    def _region(self, parallel: Node, region: Node, box: Rect, *, first: bool) -> None:
        column = self.columns[region.id].moved(box.left, box.top)
        if not first:
            self.dividers.append((parallel.id, Path((((column.left, column.top), (column.left, column.bottom)),))))
        self.boxes[region.id] = self.frames[region.id] = column
        dx, dy = self.within[region.id]
        self._settle(region.id, (column.left + dx, column.top + dy))

    def _state(self, node: Node) -> DrawnState:
        return DrawnState(node, self.boxes[node.id], self.headers.get(node.id, 0.0), self.shifts.get(node.id, 0.0))

    def _dot(self, wire: Wire) -> DrawnDot:
        box = self.placed[wire.scope].items[wire.pill].box.moved(*self.offsets[wire.scope])
        assert wire.initial is not None
        return DrawnDot(wire.initial, box, self._leg(wire, 0))

    def _edge(self, wire: Wire) -> DrawnEdge:
        assert wire.edge is not None
        assert wire.text is not None
        pill = self.placed[wire.scope].items[wire.pill].box.moved(*self.offsets[wire.scope])
        bar = None
        if len(wire.edge.targets) > 1:
            if wire.back:
                bar, pill = replace(pill, bottom=pill.top + 4), replace(pill, top=pill.top + BAR)
            else:
                bar, pill = replace(pill, top=pill.bottom - 4), replace(pill, bottom=pill.bottom - BAR)
        paths = [self._leg(wire, number) for number in range(len(wire.legs))]
        lines = tuple(path for path, leg in zip(paths, wire.legs, strict=True) if not leg.arrow)
        arrows = tuple(path for path, leg in zip(paths, wire.legs, strict=True) if leg.arrow)
        if not wire.text.lines and len(arrows) == 1:
            lines, arrows = (), (joined([*lines, *arrows]),)
        return DrawnEdge(wire.edge, lines, arrows, wire.text, pill if wire.text.lines else None, bar)

    def _leg(self, wire: Wire, number: int) -> Path:
        parts: list[Path] = []
        for scope, piece, backwards in wire.legs[number].pieces:
            path = self.placed[scope].paths[piece].moved(*self.offsets[scope])
            border = self._to_border(scope, piece)
            if border is not None:
                path = joined([border, path]) if border.start[1] < path.start[1] - 0.01 else joined([path, border])
            parts.append(path.reversed() if backwards else path)
        return joined(parts)

    def _to_border(self, scope: str, piece: str) -> Path | None:
        """The line from an end just inside the border of the scope to that border, or None."""
        spec = self.placed[scope].scope.pieces[piece]
        for end, upper in ((spec.upper, True), (spec.lower, False)):
            if end.item.startswith("border "):
                item = self.placed[scope].items[end.item].box.moved(*self.offsets[scope])
                box = self.frames.get(scope, self.boxes[scope])
                if not upper:
                    return Path((((item.x, item.y + 1), (item.x, box.bottom)),))
                header = 0 if self.graph.by_id[scope].region else self.headers[scope]
                return Path((((item.x, box.top + header), (item.x, item.y - 1)),))
        return None

    def _loops(self, state: str) -> list[tuple[GraphEdge, DrawnEdge]]:
        box, sizes = self.boxes[state], self.loops(state)
        found: list[tuple[GraphEdge, DrawnEdge]] = []
        y = box.y - sum(height + 4 for _, height in sizes) / 2 + 2
        for edge, (width, height) in zip(self.plan.loops[state], sizes, strict=True):
            middle = min(max(y + height / 2, box.top + 13), box.bottom - 13)
            a, b = middle - 6, middle + 6
            out = box.right + LOOP
            arrow = Path((((box.right, a), (out, a - 5), (out, b + 5), (box.right, b)),))
            pill = Rect(out + 2, y, out + 2 + width, y + height)
            found.append((edge, DrawnEdge(edge, (), (arrow,), label_of(edge), pill)))
            y += height + 4
        return found


def _free_shift(crossings: list[float], width: float) -> float:
    """How far a title has to move to the right, so that no line from above runs through it."""
    shift = 0.0
    for x in sorted(crossings):
        if 14 + shift - 8 < x < 14 + shift + width + 8:
            shift = x + 10 - 14
    return shift


def _transposed(edge: DrawnEdge) -> DrawnEdge:
    return replace(
        edge,
        lines=tuple(path.transposed() for path in edge.lines),
        arrows=tuple(path.transposed() for path in edge.arrows),
        pill=edge.pill.transposed() if edge.pill else None,
        bar=edge.bar.transposed() if edge.bar else None,
    )


def _with_crossing_edges_as_rows(graph: Graph, plan: LayoutPlan) -> Graph:
    """Write edges between two regions into the title band of the parallel state; they are not drawn as lines."""
    rows = {
        parallel: tuple(
            (Part(Role.KEYWORD, f"{wire.edge.source} → {', '.join(wire.edge.targets)}"), *label.parts)
            for wire in wires
            if wire.edge is not None
            for label in wire.edge.labels
        )
        for parallel, wires in plan.across.items()
    }
    nodes = tuple(replace(node, rows=(*node.rows, *rows.get(node.id, ()))) for node in graph.nodes)
    return replace(graph, nodes=nodes)
