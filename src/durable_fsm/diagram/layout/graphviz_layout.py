"""One layout run per scope: Graphviz places boxes, labels and dots in ranks; the lines are ours (`route`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from durable_fsm.diagram.layout import engine
from durable_fsm.diagram.layout.geometry import Path, Point, Rect
from durable_fsm.diagram.layout.plan import BOTTOM, TOP, End, Scope

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
    """Something placed: its size, and the room left and right of it (loops, histories on the border).

    `fixed` are places of ports on the upper or lower border, counted from the left of the box, and `borders` places of
    histories on its left border, counted from its top.
    """

    name: str
    width: float
    height: float
    left: float = 0
    right: float = 0
    tall: float = 0
    fixed: dict[str, float] = field(default_factory=dict[str, float])
    borders: dict[str, float] = field(default_factory=dict[str, float])
    x: float = 0
    y: float = 0
    rank: int = 0

    @property
    def box(self) -> Rect:
        return Rect.around(self.x, self.y, self.width, self.height)

    @property
    def room(self) -> Rect:
        """The box with everything that belongs to it."""
        box = self.box
        half = max(self.tall, self.height) / 2
        return Rect(box.left - self.left, self.y - half, box.right + self.right, self.y + half)


@dataclass(slots=True)
class Placed:
    """A scope with places: items, the curves Graphviz drew, and the lines `route` drew."""

    scope: Scope
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


def place(scope: Scope, items: dict[str, Item]) -> Placed:
    """Give every item of the scope its place."""
    nodes = {name: f"n{number}" for number, name in enumerate(items)}
    edges = {id: f"e{number}" for number, id in enumerate(scope.pieces)}
    laid = engine.place(_source(scope, items, nodes, edges))
    for name, item in items.items():
        x, item.y = laid.nodes[nodes[name]]
        item.x = x - (item.right - item.left) / 2
    placed = Placed(scope, items, {id: laid.curves.get(edge, ()) for id, edge in edges.items()})
    _rank(placed)
    return placed


def _source(scope: Scope, items: dict[str, Item], nodes: dict[str, str], edges: dict[str, str]) -> str:
    """The scope in Graphviz's language; names and ids are numbers there, for ours may hold any character."""
    graph = _digraph()
    graph.attr("node", shape="box", fixedsize="true", label="")
    graph.attr("edge", arrowhead="none")
    for side, rank in ((TOP, "source"), (BOTTOM, "sink")):
        names = [name for name, where in scope.ports.items() if where == side]
        if names:
            with graph.subgraph(graph_attr={"rank": rank}) as group:
                for name in names:
                    group.node(nodes[name])
    for name, item in items.items():
        if _is_table(item):
            graph.node(nodes[name], shape="plain", fixedsize="false", label=_table(item))
        else:
            graph.node(nodes[name], width=f"{item.width / 72:.4f}", height=f"{item.height / 72:.4f}")

    def meet(end: End, compass: str) -> str:
        item = items[end.item]
        if _is_table(item):
            return f"{nodes[end.item]}:{_port(item, end.port)}:{compass}"
        return nodes[end.item] if end.item in scope.states else f"{nodes[end.item]}:{compass}"

    for piece in scope.pieces.values():
        graph.edge(meet(piece.upper, "s"), meet(piece.lower, "n"), id=edges[piece.id], weight=str(piece.weight))
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
    """The box, the room around it and its ports as cells of a table: ports pull their lines to themselves."""

    def cell(width: float, height: float, port: str = "") -> str:
        name = f' PORT="{port}"' if port else ""
        return f'<TD{name} FIXEDSIZE="TRUE" WIDTH="{max(width, 0):.0f}" HEIGHT="{height:.0f}"></TD>'

    def table(rows: str) -> str:
        return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{rows}</TABLE>'

    places = sorted((at, number) for number, at in enumerate(item.fixed.values()))
    done, row = 0.0, ""
    for at, number in places:
        start = max(at - 1, done)
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
    """Items of the same height above ground form a rank; between ranks nothing is in the way."""
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
