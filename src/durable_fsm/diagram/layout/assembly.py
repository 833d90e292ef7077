"""Run the steps of the layout for each scope, from the inside out; then move everything to its final place.

A picture from left to right is laid out downwards and then transposed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from durable_fsm.core.chart import ROOT, Kind
from durable_fsm.diagram.graph import Graph, GraphEdge, Initial, Node, Part, Role
from durable_fsm.diagram.layout.geometry import Path, Point, Rect, joined
from durable_fsm.diagram.layout.graphviz_layout import Item, Placed, place, spread_on_circles
from durable_fsm.diagram.layout.plan import BAR, BOTTOM, TOP, LayoutPlan, Leg, Wire
from durable_fsm.diagram.layout.route import route
from durable_fsm.diagram.layout.rows import place_in_rows, rows_of_regions
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
        # By scope: the scope with everything placed, and where its origin is in the box of its state.
        self.placed: dict[str, Placed] = {}
        self.inset: dict[str, tuple[float, float]] = {}
        # By state: its size, the height and the shift of its title, the ports and histories on its border.
        self.sizes: dict[str, tuple[float, float]] = {}
        self.headers: dict[str, float] = {}
        self.shifts: dict[str, float] = {}
        self.fixed: dict[str, dict[str, float]] = {id: {} for id in (ROOT, *graph.by_id)}
        self.borders: dict[str, dict[str, float]] = {}
        # By region: its column in the box of the parallel state.
        self.columns: dict[str, Rect] = {}
        # Final places: origins of scopes, boxes of states, columns of regions, and the lines between these.
        self.offsets: dict[str, tuple[float, float]] = {}
        self.boxes: dict[str, Rect] = {}
        self.frames: dict[str, Rect] = {}
        self.dividers: list[tuple[str, Path]] = []

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
        items = {name: Item(name, DOT, DOT) for name in scope.dots}
        items |= {name: Item(name, 2, 2) for name in scope.ports_at(TOP)}
        items |= {state: self._item(state) for state in scope.states}
        for wire in self.plan.wires:
            if wire.scope == id:
                width, height = pill_size(wire.text)
                height += BAR if len(wire.edge.targets) > 1 else 0
                items[wire.pill] = Item(wire.pill, *self._turned(width, height))
        items |= {name: Item(name, 2, 2) for name in scope.ports_at(BOTTOM)}
        if self.transposed:
            placed = place(scope, items)
        else:
            wires = [wire for wire in self.plan.wires if wire.scope == id]
            labels = {wire.pill: (wire.edge.kind.value, "back" if wire.back else "forth") for wire in wires}
            placed, wrapping = place_in_rows(scope, items, labels)
            self.plan.wrap(id, placed.scope, wrapping.trunks)
        spread_on_circles(placed)
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
        item.round = self.graph.by_id[state].kind.is_history
        item.fixed = dict(self.fixed[state])
        item.borders = self.borders.get(state, {})
        return item

    def loops(self, state: str) -> list[tuple[float, float]]:
        """The sizes of the labels beside a state's loops."""
        texts = [label_of(edge) for edge in self.plan.loops.get(state, ())]
        return [self._turned(text.width, max(text.height, 16.0)) for text in texts]

    def _compound(self, node: Node) -> tuple[float, float]:
        least, header = header_size(node)
        width, bounds = self._framed(node.id, least, header + ABOVE)
        self.headers[node.id] = header
        return width, header + ABOVE + bounds.height + BELOW

    def _framed(self, id: str, least: float, above: float) -> tuple[float, Rect]:
        """Lay out the scope of a state or region, with *above* pixels over it.

        Returns:
            The width of the box, which is enough for a title of the width *least*; and the bounds of the scope.
        """
        placed = self._lay(id)
        bounds = placed.bounds
        width = max(bounds.width + 2 * SIDE, least)
        left = (width - bounds.width) / 2 - bounds.left
        self.inset[id] = (left, above - bounds.top)
        shift = _free_shift(self._ports(id, placed, left), least - 20)
        if self.graph.by_id[id].kind is Kind.COMPOUND:  # the title of a parallel region is in a box inside this scope
            self.shifts[id] = shift
        return max(width, least + shift), bounds

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
        regions = [region.id for region in self._regions(node)]
        framed = {id: self._framed(id, self._heading(id)[0], 0) for id in regions}
        sizes = {id: (width, bounds.height + ABOVE + BELOW) for id, (width, bounds) in framed.items()}
        rows = rows_of_regions(sizes, {id: set(self._ports_of(id).values()) for id in regions})
        above: list[float] = []
        first = top = header
        widest = 0.0
        for number, row in enumerate(rows):
            inside = top + max((self._heading(id)[1] for id in row), default=6.0) + ABOVE - 6
            bottom = inside + max((framed[id][1].height for id in row), default=0.0) + BELOW
            first = first if number else inside
            x = 0.0
            for id in row:
                left, y = self.inset[id]
                self.inset[id] = (left, y + inside - top)
                for port, side in self._ports_of(id).items():
                    self.fixed[node.id][port] = x + self.fixed[id][port]
                    above += [self.fixed[node.id][port]] if side == TOP else []
                self.columns[id] = Rect(x, top, x + framed[id][0], bottom)
                x += framed[id][0]
            widest, top = max(widest, x), bottom
        self.headers[node.id] = header
        self.shifts[node.id] = shift = _free_shift(above, least - 20)
        width = max(widest, least + shift)
        self.columns |= {row[-1]: replace(self.columns[row[-1]], right=width) for row in rows if row}
        for number, history in enumerate(self.plan.borders.get(node.id, ())):
            self.borders.setdefault(node.id, {})[history] = first + 18 + number * (HISTORY + 8)
        return width, top

    def _heading(self, region: str) -> tuple[float, float]:
        """The size of the heading of a region; a state in its place has none."""
        node = self.graph.by_id[region]
        return region_size(node) if node.kind is Kind.COMPOUND else (0.0, 6.0)

    def _ports_of(self, region: str) -> dict[str, str]:
        """The ports on the border of a region through which lines continue outside, and their sides."""
        ports = {f"{region} {name}": side for name, side in self.plan.scopes[region].ports.items()}
        return {port: side for port, side in ports.items() if port in self.fixed[region]}

    def _regions(self, parallel: Node) -> list[Node]:
        return [child for child in self.graph.children[parallel.id] if not child.kind.is_history]

    # ── from the outside in ───────────────────────────────────────────────────────────────────────────────────────────

    def layout(self) -> Layout:
        root = self._lay(ROOT)
        self.inset[ROOT] = (-root.bounds.left, -root.bounds.top)
        self._settle(ROOT, self.inset[ROOT])
        states = tuple(self._state(node) for node in self.graph.nodes)
        dots = [
            DrawnDot(wire.initial, self._final_box(wire.scope, wire.dot), self._leg(wire.leg))
            for wire in self.plan.initial_wires
        ]
        wired = {id(wire.edge): self._edge(wire) for wire in self.plan.wires}
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
            self._settle_state(self.graph.by_id[state], self._final_box(id, state))

    def _settle_state(self, node: Node, box: Rect) -> None:
        self.boxes[node.id] = box
        if node.kind is Kind.COMPOUND:
            dx, dy = self.inset[node.id]
            self._settle(node.id, (box.left + dx, box.top + dy))
        elif node.kind is Kind.PARALLEL:
            for region in self._regions(node):
                self._region(node, region, box)
            for history, y in self.borders.get(node.id, {}).items():
                self.boxes[history] = Rect.around(box.left, box.top + y, HISTORY, HISTORY)

    def _region(self, parallel: Node, region: Node, box: Rect) -> None:
        column = self.columns[region.id].moved(box.left, box.top)
        if column.left > box.left:
            self._divide(parallel, (column.left, column.top), (column.left, column.bottom))
        elif column.top > box.top + self.headers[parallel.id]:
            self._divide(parallel, (box.left, column.top), (box.right, column.top))
        self.boxes[region.id] = self.frames[region.id] = column
        dx, dy = self.inset[region.id]
        self._settle(region.id, (column.left + dx, column.top + dy))

    def _divide(self, parallel: Node, start: Point, end: Point) -> None:
        self.dividers.append((parallel.id, Path(((start, end),))))

    def _state(self, node: Node) -> DrawnState:
        return DrawnState(node, self.boxes[node.id], self.headers.get(node.id, 0.0), self.shifts.get(node.id, 0.0))

    def _final_box(self, scope: str, item: str) -> Rect:
        return self.placed[scope].items[item].box.moved(*self.offsets[scope])

    def _edge(self, wire: Wire) -> DrawnEdge:
        pill = self._final_box(wire.scope, wire.pill)
        bar = None
        if len(wire.edge.targets) > 1:
            if wire.back:
                bar, pill = replace(pill, bottom=pill.top + 4), replace(pill, top=pill.top + BAR)
            else:
                bar, pill = replace(pill, top=pill.bottom - 4), replace(pill, bottom=pill.bottom - BAR)
        lines = tuple(self._leg(leg) for leg in wire.legs if not leg.arrow)
        arrows = tuple(self._leg(leg) for leg in wire.legs if leg.arrow)
        if not wire.text.lines and len(arrows) == 1:
            lines, arrows = (), (joined([*lines, *arrows]),)
        return DrawnEdge(wire.edge, lines, arrows, wire.text, pill if wire.text.lines else None, bar)

    def _leg(self, leg: Leg) -> Path:
        parts: list[Path] = []
        for scope, piece, backwards in leg.pieces:
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
                item = self._final_box(scope, end.item)
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
            (Part(Role.KEYWORD, f"{edge.source} → {', '.join(edge.targets)}"), *label.parts)
            for edge in edges
            for label in edge.labels
        )
        for parallel, edges in plan.across.items()
    }
    nodes = tuple(replace(node, rows=(*node.rows, *rows.get(node.id, ()))) for node in graph.nodes)
    return replace(graph, nodes=nodes)
