"""Mermaid's `stateDiagram-v2`, which GitHub and many wikis draw."""

from __future__ import annotations

from collections.abc import Iterator

from durable_fsm.core.chart import ROOT, Chart, Kind
from durable_fsm.diagram.exports.export import Export, labelled, name_of, words, written
from durable_fsm.diagram.extract import graph_of
from durable_fsm.diagram.graph import Graph, Node, Row


def to_mermaid(chart: Chart, *, depth: int | None = None) -> Export:
    """The chart for Mermaid.

    Args:
        depth: how many levels of states are drawn; deeper ones are folded into their ancestor.
    """
    return _Writer(graph_of(chart, depth=depth)).export()


class _Writer:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.lost: list[str] = []

    def export(self) -> Export:
        lines = ["stateDiagram-v2", *(f"    {line}" for line in self._inside(ROOT))]
        return Export(written(lines), tuple(dict.fromkeys(self.lost)))

    def _inside(self, parent: str) -> Iterator[str]:
        parallel = parent != ROOT and self.graph.by_id[parent].kind is Kind.PARALLEL
        children = self.graph.children[parent]
        for place, node in enumerate(children):
            if parallel and place and not node.kind.is_history:
                yield "--"
            yield from self._state(node)
        for initial in self.graph.initials:
            if initial.parent == parent:
                yield from (f"[*] --> {_name(target)}" for target in initial.targets)
                if initial.actions:
                    self.lost.append(
                        f"What '{parent or self.graph.name}' does on its way in: {words(initial.actions)}."
                    )
        if parent == ROOT:
            yield from self._edges()
            yield from self._ends()

    def _state(self, node: Node) -> Iterator[str]:
        name = _name(node.id)
        if node.kind.is_history:
            self.lost.append(f"That '{node.id}' is a history: Mermaid has none, and draws a state.")
        shown = {Kind.SHALLOW_HISTORY: "H", Kind.DEEP_HISTORY: "H*"}.get(node.kind, node.name)
        yield f'state "{_text(shown)}" as {name}'
        if node.children:
            yield f"state {name} {{"
            yield from (f"    {line}" for line in self._inside(node.id))
            yield "}"
        else:
            yield from (f"{name}: {_text(words(row))}" for row in node.rows)
            return
        if node.rows:
            self.lost.append(f"What '{node.id}' does itself: {'; '.join(words(row) for row in node.rows)}.")

    def _edges(self) -> Iterator[str]:
        for edge, label in labelled(self.graph):
            target = next(iter(edge.targets))
            if len(edge.targets) > 1:
                self.lost.append(f"The fork from '{edge.source}' to {', '.join(edge.targets)}.")
                continue
            if self._leaves_a_region(edge.source, target):
                self.lost.append(f"The transition from '{edge.source}' to '{target}', which crosses a region.")
                continue
            text = _label(label.parts)
            yield f"{_name(edge.source)} --> {_name(target)}{text}"

    def _leaves_a_region(self, source: str, target: str) -> bool:
        """Mermaid places such an edge at another state."""
        regions = {id for id in self.graph.lineage(source) if id != ROOT and self.graph.by_id[id].region}
        return bool(regions - {*self.graph.lineage(target)}) or bool(
            {id for id in self.graph.lineage(target) if id != ROOT and self.graph.by_id[id].region}
            - {*self.graph.lineage(source)}
        )

    def _ends(self) -> Iterator[str]:
        for node in self.graph.nodes:
            if node.kind is Kind.FINAL:
                if node.parent == ROOT:
                    yield f"{_name(node.id)} --> [*]"
                else:
                    self.lost.append(f"That '{node.id}' is final.")


KEYWORDS = frozenset(
    {
        "accdescr", "acctitle", "class", "classdef", "click", "default", "direction", "end", "hide", "note", "scale",
        "state", "statediagram", "style",
    }
)  # fmt: skip
"""Words that Mermaid's parser takes for its own wherever they stand, in any case."""


def _name(id: str) -> str:
    """An id as Mermaid takes it."""
    return name_of(f"{id}.") if id.lower() in KEYWORDS else name_of(id)


def _label(row: Row) -> str:
    text = _text(words(row))
    return f" : {text}" if text else ""


ENTITIES = {"#": "#35;", ":": "#colon;", ";": "#59;", '"': "#quot;", "<": "#lt;", ">": "#gt;"}


def _text(text: str) -> str:
    """Text without what Mermaid reads as its own."""
    return "".join(ENTITIES.get(character, character) for character in text)
