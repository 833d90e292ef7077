"""The syntax that Mermaid and PlantUML share: `[*]` for begins and ends, nested states, `--` between regions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from durable_fsm.core.chart import ROOT, Kind
from durable_fsm.diagram.exports.export import hidden, labelled, name_of, words
from durable_fsm.diagram.graph import Graph, GraphEdge, Node, Row


class StateDiagram(ABC):
    """The lines of a state diagram; a language says how it writes a state, the end of an arrow and a label."""

    indent: ClassVar = "  "
    comment: ClassVar = "'"

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.lost: list[str] = []

    def name(self, id: str) -> str:
        """The identifier of a state."""
        return name_of(id)

    def text(self, row: Row) -> str:
        """A row as it may be written behind a colon."""
        return words(row)

    def end(self, id: str) -> str:
        """A state as the end of an arrow."""
        return self.name(id)

    @abstractmethod
    def state(self, node: Node) -> Iterator[str]:
        """The lines of a state; those inside it come from `nested`."""

    def can_write(self, edge: GraphEdge) -> bool:
        """Whether the language has such an edge; if not, `lost` says so."""
        return True

    def lines(self) -> Iterator[str]:
        yield from hidden(self.graph, self.comment)
        yield from self._inside(ROOT)
        for edge, label in labelled(self.graph):
            if self._is_plain(edge) and self.can_write(edge):
                text = self.text(label.parts)
                yield f"{self.end(edge.source)} --> {self.end(edge.targets[0])}{f' : {text}' if text else ''}"
        for node in self.graph.nodes:
            if node.kind is Kind.FINAL and node.parent == ROOT:
                yield f"{self.name(node.id)} --> [*]"
            elif node.kind is Kind.FINAL:
                self.lost.append(f"'{node.id}' is final.")

    def nested(self, node: Node, opening: str) -> Iterator[str]:
        yield f"{opening} {{"
        yield from (f"{self.indent}{line}" for line in self._inside(node.id))
        yield "}"

    def _inside(self, parent: str) -> Iterator[str]:
        parallel = parent != ROOT and self.graph.by_id[parent].kind is Kind.PARALLEL
        for place, node in enumerate(self.graph.children[parent]):
            if parallel and place and not node.kind.is_history:
                yield "--"
            yield from self.state(node)
        for initial in self.graph.initials:
            if initial.parent == parent:
                yield from (f"[*] --> {self.name(target)}" for target in initial.targets)
                if initial.actions:
                    self.lost.append(f"The initial actions of '{parent or self.graph.name}': {words(initial.actions)}.")

    def _is_plain(self, edge: GraphEdge) -> bool:
        """Whether an edge has one target and stays in its region; both languages refuse or misplace the others."""
        target, *others = edge.targets
        if others:
            self.lost.append(f"The fork from '{edge.source}' to {', '.join(edge.targets)}.")
        elif self._regions(edge.source) != self._regions(target):
            self.lost.append(f"The transition from '{edge.source}' to '{target}', which crosses a region.")
        else:
            return True
        return False

    def _regions(self, id: str) -> set[str]:
        return {above for above in self.graph.lineage(id) if above != ROOT and self.graph.by_id[above].region}
