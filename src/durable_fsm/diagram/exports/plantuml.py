"""PlantUML's state diagrams."""

from __future__ import annotations

from collections.abc import Iterator

from durable_fsm.core.chart import Chart, Kind
from durable_fsm.diagram.exports.export import Export, every_transition, exported
from durable_fsm.diagram.exports.state_diagram import StateDiagram
from durable_fsm.diagram.extract import graph_of
from durable_fsm.diagram.graph import ANYWHERE, GraphEdge, Node


def to_plantuml(chart: Chart, *, depth: int | None = None) -> Export:
    """Write the chart for PlantUML.

    Args:
        depth: how many levels of states are drawn; deeper ones are folded into their ancestor.
    """
    diagram = _PlantUml(graph_of(chart, depth=depth, condensed=True))
    every = every_transition(diagram.graph)
    caption = [f"caption {every}"] if every else []
    lines = ["@startuml", f"title {diagram.graph.title}", *caption, *diagram.lines(), "@enduml"]
    return exported(lines, diagram.lost)


class _PlantUml(StateDiagram):
    def state(self, node: Node) -> Iterator[str]:
        if node.kind.is_history:  # it is a mark of the state around it
            return
        name = self.name(node.id)
        opening = f'state "{node.name}" as {name}{" ##[dashed]" if node.id == ANYWHERE else ""}'
        if node.children:
            yield from self.nested(node, opening)
        else:
            yield opening
        yield from (f"{name} : {self.text(row)}" for row in node.rows)

    def end(self, id: str) -> str:
        node = self.graph.by_id[id]
        if not node.kind.is_history:
            return self.name(id)
        return f"{self.name(node.parent)}[H{'*' if node.kind is Kind.DEEP_HISTORY else ''}]"

    def can_write(self, edge: GraphEdge) -> bool:
        if not self.graph.by_id[edge.source].kind.is_history:
            return True
        self.lost.append(f"The default of the history state '{edge.source}': {', '.join(edge.targets)}.")
        return False
