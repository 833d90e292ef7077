"""PlantUML's state diagrams."""

from __future__ import annotations

from collections.abc import Iterator

from durable_fsm.core.chart import ROOT, Chart, Kind
from durable_fsm.diagram.exports.export import Export, labelled, name_of, words, written
from durable_fsm.diagram.extract import graph_of
from durable_fsm.diagram.graph import Graph, Node


def to_plantuml(chart: Chart, *, depth: int | None = None) -> Export:
    """The chart for PlantUML.

    Args:
        depth: how many levels of states are drawn; deeper ones are folded into their ancestor.
    """
    return _Writer(graph_of(chart, depth=depth)).export()


class _Writer:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.lost: list[str] = []

    def export(self) -> Export:
        body = [*self._inside(ROOT), *self._edges(), *self._ends()]
        return Export(written(["@startuml", f"title {self.graph.title}", *body, "@enduml"]), tuple(self.lost))

    def _inside(self, parent: str) -> Iterator[str]:
        parallel = parent != ROOT and self.graph.by_id[parent].kind is Kind.PARALLEL
        for place, node in enumerate(self.graph.children[parent]):
            if node.kind.is_history:
                continue
            if parallel and place:
                yield "--"
            yield from self._state(node)
        for initial in self.graph.initials:
            if initial.parent == parent:
                yield from (f"[*] --> {name_of(target)}" for target in initial.targets)
                if initial.actions:
                    self.lost.append(
                        f"What '{parent or self.graph.name}' does on its way in: {words(initial.actions)}."
                    )

    def _state(self, node: Node) -> Iterator[str]:
        name = name_of(node.id)
        opening = f'state "{node.name}" as {name}'
        if node.children:
            yield f"{opening} {{"
            yield from (f"  {line}" for line in self._inside(node.id))
            yield "}"
        else:
            yield opening
        yield from (f"{name} : {words(row)}" for row in node.rows)

    def _edges(self) -> Iterator[str]:
        for edge, label in labelled(self.graph):
            target = next(iter(edge.targets))
            if len(edge.targets) > 1:
                self.lost.append(f"The fork from '{edge.source}' to {', '.join(edge.targets)}.")
            elif self._leaves_a_region(edge.source, target):
                self.lost.append(f"The transition from '{edge.source}' to '{target}', which crosses a region.")
            elif self.graph.by_id[edge.source].kind.is_history:
                self.lost.append(f"Where '{edge.source}' leads the first time: {', '.join(edge.targets)}.")
            else:
                text = words(label.parts)
                yield f"{self._end(edge.source)} --> {self._end(target)}{f' : {text}' if text else ''}"

    def _end(self, id: str) -> str:
        """A state as the end of an arrow; a history is a mark of the state around it."""
        node = self.graph.by_id[id]
        if not node.kind.is_history:
            return name_of(id)
        return f"{name_of(node.parent)}[H{'*' if node.kind is Kind.DEEP_HISTORY else ''}]"

    def _leaves_a_region(self, source: str, target: str) -> bool:
        """PlantUML calls such an edge a syntax error."""

        def regions(id: str) -> set[str]:
            return {above for above in self.graph.lineage(id) if above != ROOT and self.graph.by_id[above].region}

        return regions(source) != regions(target)

    def _ends(self) -> Iterator[str]:
        for node in self.graph.nodes:
            if node.kind is Kind.FINAL:
                if node.parent == ROOT:
                    yield f"{name_of(node.id)} --> [*]"
                else:
                    self.lost.append(f"That '{node.id}' is final.")
