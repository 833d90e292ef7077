"""Step 3 of the layout: Graphviz places the boxes, labels, dots and ports of one scope in ranks.

Graphviz draws lines too; `passing` uses them as hints, and `route` draws our own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from durable_fsm.diagram.layout import engine
from durable_fsm.diagram.layout.geometry import Path, Point, Rect, at
from durable_fsm.diagram.layout.plan import BOTTOM, TOP, End, LayoutScope, Piece

GRAPH = {
    "rankdir": "TB",
    "splines": "true",
    "ranksep": "0.3056",
    "nodesep": "0.3333",
    "mclimit": "4",
    "searchsize": "100",
    "nslimit": "20",
    "margin": "0",
    "pad": "0",
}


@dataclass(slots=True)
class Item:
    """Something to place: its size, and the room that loops and histories on the border need beside it.

    `fixed` has the positions of ports on the upper or lower border, from the left of the box. `borders` has the
    positions of history states on its left border, from its top. A `round` item is a circle.
    """

    name: str
    width: float
    height: float
    left: float = 0
    right: float = 0
    tall: float = 0
    fixed: dict[str, float] = field(default_factory=dict[str, float])
    borders: dict[str, float] = field(default_factory=dict[str, float])
    round: bool = False
    x: float = 0
    y: float = 0
    rank: int = 0

    @property
    def box(self) -> Rect:
        return Rect.around(self.x, self.y, self.width, self.height)

    def outline(self, x: float, *, below: bool) -> float:
        """The y at which a vertical line at x meets the item from above, or from below."""
        inset = self.height / 2 - math.sqrt(max(0.0, self.height**2 / 4 - (x - self.x) ** 2)) if self.round else 0.0
        return self.box.bottom - inset if below else self.box.top + inset

    @property
    def room(self) -> Rect:
        """The box with the room beside it."""
        box = self.box
        half = max(self.tall, self.height) / 2
        return Rect(box.left - self.left, self.y - half, box.right + self.right, self.y + half)


@dataclass(slots=True)
class Placed:
    """A scope in which everything has a place: items, the curves of Graphviz, and the lines that `route` draws."""

    scope: LayoutScope
    items: dict[str, Item]
    curves: dict[str, tuple[Point, ...]]
    ranks: list[Rect] = field(default_factory=list[Rect])
    paths: dict[str, Path] = field(default_factory=dict[str, Path])

    @property
    def bounds(self) -> Rect:
        parts = [item.room for item in self.items.values()] + [path.bounds for path in self.paths.values()]
        whole = parts[0]
        for part in parts[1:]:
            whole = whole.union(part)
        return whole

    def ends(self, piece: Piece) -> tuple[Item, Item]:
        """The upper and the lower item of a piece."""
        return self.items[piece.upper.item], self.items[piece.lower.item]

    def is_free(self, end: End) -> bool:
        """Whether a line may end anywhere along the item: it is a state, and not at one of its ports."""
        item = self.items[end.item]
        return end.port not in item.fixed and end.item in self.scope.states and item.width > 24

    def fixed_x(self, end: End) -> float:
        """Where a line ends that is not free."""
        item = self.items[end.item]
        return item.box.left + item.fixed[end.port] if end.port in item.fixed else item.x

    def passing(self, piece: Piece) -> dict[int, float]:
        """Where Graphviz led the line through each rank between its ends."""
        upper, lower = self.ends(piece)
        curve = self.curves.get(piece.id, ())
        points: list[Point] = []
        if lower.rank - upper.rank > 1:
            for start in range(0, len(curve) - 3, 3):
                points += [at(curve[start : start + 4], step / 12) for step in range(13)]
        found: dict[int, float] = {}
        for rank in range(upper.rank + 1, lower.rank):
            y = self.ranks[rank].y
            found[rank] = min(points, key=lambda point: abs(point[1] - y), default=(upper.x, y))[0]
        return found


class Above(NamedTuple):
    """A wish: one item is above another, although no line leads from it to that."""

    upper: str
    lower: str


def place(scope: LayoutScope, items: dict[str, Item], above: Iterable[Above] = ()) -> Placed:
    """Place every item of the scope."""
    nodes = {name: f"n{number}" for number, name in enumerate(items)}
    edges = {id: f"e{number}" for number, id in enumerate(scope.pieces)}
    laid = engine.run(_source(scope, items, nodes, edges, above))
    for name, item in items.items():
        x, item.y = laid.nodes[nodes[name]]
        item.x = x - (item.right - item.left) / 2
    placed = Placed(scope, items, {id: laid.curves.get(edge, ()) for id, edge in edges.items()})
    _rank(placed)
    return placed


def spread_on_circles(placed: Placed) -> None:
    """Give lines that meet a history state on the same side positions of their own."""
    meeting: dict[tuple[str, bool], list[tuple[float, Piece]]] = {}
    for piece in placed.scope.pieces.values():
        upper, lower = placed.ends(piece)
        if upper.round:
            meeting.setdefault((upper.name, True), []).append((lower.x, piece))
        if lower.round:
            meeting.setdefault((lower.name, False), []).append((upper.x, piece))
    for (name, below), lines in meeting.items():
        if len(lines) < 2:
            continue
        item = placed.items[name]
        step = min(10.0, 14.0 / (len(lines) - 1))
        for number, (_, piece) in enumerate(sorted(lines, key=lambda line: line[0])):
            item.fixed[piece.id] = item.width / 2 + (number - (len(lines) - 1) / 2) * step
            end = End(name, piece.id)
            piece.upper, piece.lower = (end, piece.lower) if below else (piece.upper, end)


def _source(
    scope: LayoutScope, items: dict[str, Item], nodes: dict[str, str], edges: dict[str, str], above: Iterable[Above]
) -> str:
    """The scope in the language of Graphviz. Names and ids become numbers, because ours may contain any character."""
    graph = _digraph()
    graph.attr("node", shape="box", fixedsize="true", label="")
    graph.attr("edge", arrowhead="none")
    for side, rank in ((TOP, "source"), (BOTTOM, "sink")):
        names = scope.ports_at(side)
        if names:
            with graph.subgraph(graph_attr={"rank": rank}) as group:
                for name in names:
                    group.node(nodes[name])
    for name, item in items.items():
        if _is_table(item) and name not in scope.joints:
            graph.node(nodes[name], shape="plain", fixedsize="false", label=_table(item))
        else:
            graph.node(nodes[name], width=f"{item.width / 72:.4f}", height=f"{item.height / 72:.4f}")

    def meet(end: End, compass: str) -> str:
        item = items[end.item]
        if _is_table(item) and end.item not in scope.joints:
            return f"{nodes[end.item]}:{_port(item, end.port)}:{compass}"
        return nodes[end.item] if end.item in scope.states else f"{nodes[end.item]}:{compass}"

    for piece in scope.pieces.values():
        graph.edge(meet(piece.upper, "s"), meet(piece.lower, "n"), id=edges[piece.id], weight=str(piece.weight))
    for upper, lower in above:
        graph.edge(nodes[upper], nodes[lower], style="invis", weight="0")
    return str(graph.source)


def _digraph() -> Any:  # Any: the package has no types
    try:
        import graphviz  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise engine.NoEngine("drawing needs more packages. Run pip install 'durable-fsm[diagrams]'.") from error
    return graphviz.Digraph(graph_attr=GRAPH)


def _is_table(item: Item) -> bool:
    return bool(item.fixed or item.left or item.right or item.tall > item.height)


def _port(item: Item, name: str) -> str:
    return f"p{list(item.fixed).index(name)}" if name in item.fixed else "b"


def _table(item: Item) -> str:
    """An HTML-like table with cells for the box, the room around it and its ports, so that lines end at their ports."""

    def cell(width: float, height: float, port: str = "") -> str:
        name = f' PORT="{port}"' if port else ""
        return f'<TD{name} FIXEDSIZE="TRUE" WIDTH="{max(width, 0):.0f}" HEIGHT="{height:.0f}"></TD>'

    def table(rows: str) -> str:
        return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{rows}</TABLE>'

    places = sorted((x, number) for number, x in enumerate(item.fixed.values()))
    done, row = 0.0, ""
    for x, number in places:
        start = max(x - 1, done)
        row += (cell(start - done, 1) if start - done >= 1 else "") + cell(2, 1, f"p{number}")
        done = (start if start - done >= 1 else done) + 2
    row += cell(item.width - done, 1) if item.width - done >= 1 else ""
    inner = f"<TR>{cell(item.width, max(item.tall, item.height) - (2 if row else 0), 'b')}</TR>"
    if places:
        strip = f"<TR><TD>{table(f'<TR>{row}</TR>')}</TD></TR>"
        inner += strip
    middle = f"<TD>{table(inner)}</TD>"
    height = max(item.tall, item.height)
    sides = [cell(item.left, height) if item.left else "", middle, cell(item.right, height) if item.right else ""]
    row = "".join(sides)
    return f"<{table(f'<TR>{row}</TR>')}>"


def _rank(placed: Placed) -> None:
    """Number the ranks: items of the same y form one. No item lies between two ranks."""
    levels: list[float] = []
    for y in sorted(item.y for item in placed.items.values()):
        if not levels or y - levels[-1] > 1.5:
            levels.append(y)
    for item in placed.items.values():
        item.rank = min(range(len(levels)), key=lambda rank: abs(levels[rank] - item.y))
    for rank in range(len(levels)):
        rooms = [item.room for item in placed.items.values() if item.rank == rank]
        placed.ranks.append(
            Rect(0, min(room.top for room in rooms), 0, max(room.bottom for room in rooms)),
        )
