"""The language of Graphviz, for tools that lay out by themselves; our own pictures do not use this export."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from durable_fsm.core.chart import ROOT, Chart, Kind
from durable_fsm.diagram.exports.export import Export, exported, hidden, labelled, words
from durable_fsm.diagram.extract import graph_of
from durable_fsm.diagram.graph import ANY_STATE, ANYWHERE, EdgeKind, Graph, GraphEdge, Initial, Label, Node
from durable_fsm.diagram.theme import LIGHT

FONT = "Helvetica"
LEFT = '<BR ALIGN="LEFT"/>'
COLOURS = {EdgeKind.AFTER: "after", EdgeKind.DONE: "done", EdgeKind.ERROR: "error"}


def to_dot(chart: Chart, *, depth: int | None = None) -> Export:
    """Write the chart for Graphviz: nested states as clusters, in the colours of the light theme.

    Args:
        depth: how many levels of states are drawn; deeper ones are folded into their ancestor.
    """
    return _DotWriter(graph_of(chart, depth=depth, condensed=True)).export()


class _DotWriter:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.lost: list[str] = []
        self.inside: dict[str, list[tuple[GraphEdge, Label]]] = {parent: [] for parent in graph.children}
        for edge, label in labelled(graph):
            if edge.source == ROOT:
                self.lost.append(f"The transition '{label.tooltip}', which {graph.name} takes in every state.")
            else:
                self.inside[self._home(edge)].append((edge, label))

    def export(self) -> Export:
        body = [*hidden(self.graph, "//"), *self._looks(), *self._inside(ROOT)]
        lines = [f"digraph {_quoted(self.graph.name)} {{", *(f"  {line}" for line in body), "}"]
        return exported(lines, self.lost)

    def _looks(self) -> Iterator[str]:
        title = "\n".join(filter(None, (self.graph.title, self.graph.summary)))
        ink, line = LIGHT["ink"], LIGHT["edge"]
        layout = {"compound": "true", "newrank": "true"}  # without newrank, dot stumbles over lines between clusters
        yield f"graph [{_list(label=title, labelloc='t', **layout, bgcolor=LIGHT['bg'], **_font(13))}]"
        look = {"shape": "box", "style": "rounded,filled", "color": LIGHT["stroke"], "fillcolor": LIGHT["state"]}
        yield f"node [{_list(**look, **_font(11), fontcolor=ink)}]"
        yield f"edge [{_list(color=line, fontcolor=ink, arrowsize='0.8', **_font(10))}]"

    # ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _inside(self, parent: str) -> Iterator[str]:
        for node in self.graph.children[parent]:
            yield from self._cluster(node) if node.children else self._state(node)
        for initial in self.graph.initials:
            if initial.parent == parent:
                yield from self._initial(initial)
        for edge, label in self.inside[parent]:
            yield from self._fork(edge, label) if len(edge.targets) > 1 else self._edge(edge, label)

    def _cluster(self, node: Node) -> Iterator[str]:
        border, ground = LIGHT["border"], LIGHT[f"comp{(node.depth - 1) % 3 + 1}"]
        style = "rounded,dashed" if node.region else "rounded,filled"
        label = _html(node.name, _lines(node))
        yield f"subgraph {_quoted(_name_of_cluster(node.id))} {{"
        yield f"  graph [{_list(style=style, color=border, fillcolor=ground, **_TITLE)}, label={label}]"
        yield f"  {_anchor(node.id)} [{_list(shape='point', width='0.01', style='invis')}]"
        yield from (f"  {line}" for line in self._inside(node.id))
        yield "}"

    def _state(self, node: Node) -> Iterator[str]:
        if node.kind.is_history:
            mark = "H*" if node.kind is Kind.DEEP_HISTORY else "H"
            yield f"{_quoted(node.id)} [{_list(shape='circle', label=mark, width='0.32', fixedsize='true')}]"
            return
        if node.id == ANYWHERE:
            yield f"{_quoted(node.id)} [{_list(style='rounded,dashed', label=node.name)}]"
            return
        final = "peripheries=2, " if node.kind is Kind.FINAL else ""
        yield f"{_quoted(node.id)} [{final}{_list(tooltip=node.path or node.id)}, label={_html(node.name, _lines(node))}]"

    def _initial(self, initial: Initial) -> Iterator[str]:
        dot = _quoted(f"begin of {initial.parent}")
        yield f"{dot} [{_list(shape='circle', label='', width='0.12', style='filled', fillcolor=LIGHT['ink'])}]"
        targets = initial.targets
        if len(targets) > 1:
            bar = _quoted(f"fork of {initial.parent}")
            yield f"{bar} [{_BAR}]"
            yield f"{dot} -> {bar} [{_list(label=words(initial.actions), arrowhead='none')}]"
            dot = bar
        for target in targets:
            labelled_as = {"label": words(initial.actions)} if len(targets) == 1 and initial.actions else {}
            yield f"{dot} -> {self._end(target)} [{_list(**labelled_as, **self._into(initial.parent, target))}]"

    # ── transitions ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _edge(self, edge: GraphEdge, label: Label) -> Iterator[str]:
        source, target = edge.source, edge.targets[0]
        ends = {**self._out_of(source, target), **self._into(source, target)}
        self._say_bent(source, target)
        yield f"{self._end(source)} -> {self._end(target)} [{_list(**self._attributes(edge, label), **ends)}]"

    def _fork(self, edge: GraphEdge, label: Label) -> Iterator[str]:
        bar = _quoted(f"fork {label.key}")
        attributes = self._attributes(edge, label)
        yield f"{bar} [{_BAR}]"
        yield f"{self._end(edge.source)} -> {bar} [{_list(**attributes, arrowhead='none', **self._out_of(edge.source, ''))}]"
        for target in edge.targets:
            self._say_bent(edge.source, target)
            ends = self._into(edge.source, target)
            yield f"{bar} -> {self._end(target)} [{_list(color=attributes['color'], **ends)}]"

    def _home(self, edge: GraphEdge) -> str:
        """The innermost cluster around the transition: Graphviz makes room for its label there."""
        ends = (edge.source, *edge.targets)
        lineages = [self.graph.lineage(id)[: None if self.graph.by_id[id].children else -1] for id in ends]
        shared: list[str] = [level[0] for level in zip(*lineages, strict=False) if len(set(level)) == 1]
        return shared[-1]

    @staticmethod
    def _attributes(edge: GraphEdge, label: Label) -> dict[str, str]:
        colour = LIGHT[COLOURS.get(edge.kind, "edge")]
        style = {"style": "dashed"} if edge.kind is EdgeKind.DEFAULT else {}
        tooltip = label.tooltip
        if edge.source == ANYWHERE:
            tooltip = f"{ANY_STATE} →{tooltip.partition('→')[2]}"
        return {"label": words(label.parts), "tooltip": tooltip, "color": colour, **style}

    def _end(self, id: str) -> str:
        """The node that an edge is tied to; for a cluster, an invisible point inside it."""
        return _anchor(id) if self.graph.by_id[id].children else _quoted(id)

    def _out_of(self, source: str, target: str) -> dict[str, str]:
        """Attributes that cut the edge off at the border of the cluster that it leaves."""
        leaves = self.graph.by_id[source].children and not self._holds(source, target)
        return {"ltail": _name_of_cluster(source)} if leaves else {}

    def _into(self, source: str, target: str) -> dict[str, str]:
        """Attributes that cut the edge off at the border of the cluster that it enters."""
        enters = self.graph.by_id[target].children and not self._holds(target, source)
        return {"lhead": _name_of_cluster(target)} if enters else {}

    def _holds(self, outer: str, inner: str) -> bool:
        return bool(inner) and outer in self.graph.lineage(inner)

    def _say_bent(self, source: str, target: str) -> None:
        # Graphviz cannot begin or end a line at the border of a cluster around its other end.
        if self.graph.by_id[source].children and self._holds(source, target):
            self.lost.append(f"The transition from '{source}' to '{target}' begins at the border of '{source}'.")
        elif self.graph.by_id[target].children and self._holds(target, source):
            self.lost.append(f"The transition from '{source}' to '{target}' ends at the border of '{target}'.")


# ── pieces of the language ────────────────────────────────────────────────────────────────────────────────────────────


def _lines(node: Node) -> list[str]:
    """The lines below the name of a state."""
    kind = ["regions, all active"] if node.kind is Kind.PARALLEL else []
    tags = [f"tags {', '.join(node.tags)}"] if node.tags else []
    return [*kind, *(words(row) for row in node.rows), *tags]


def _html(name: str, rows: Iterable[str]) -> str:
    """An HTML-like label with the name in bold."""
    lines = [f"<B>{escape(name)}</B>", *map(escape, rows)]
    return f"<{lines[0]}>" if len(lines) == 1 else f"<{''.join(line + LEFT for line in lines)}>"


def _quoted(text: str) -> str:
    """A quoted string; different texts give different strings."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _list(**attributes: str) -> str:
    return ", ".join(f"{name}={_quoted(value)}" for name, value in attributes.items())


def _font(size: int) -> dict[str, str]:
    return {"fontname": FONT, "fontsize": str(size)}


def _anchor(id: str) -> str:
    return _quoted(f"point in {id}")


def _name_of_cluster(id: str) -> str:
    return f"cluster {id}"


_TITLE = {"labeljust": "l", "fontsize": "11", "fontcolor": LIGHT["ink"]}
_BAR = _list(shape="box", label="", height="0.04", width="0.6", style="filled", fillcolor=LIGHT["ink"])
