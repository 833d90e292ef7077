"""Mermaid's `stateDiagram-v2`, which GitHub and many wikis draw."""

from __future__ import annotations

import json
from collections.abc import Iterator

from durable_fsm.core.chart import Chart, Kind
from durable_fsm.diagram.exports.export import Export, every_transition, exported, name_of, words
from durable_fsm.diagram.exports.state_diagram import StateDiagram
from durable_fsm.diagram.extract import graph_of
from durable_fsm.diagram.graph import ANYWHERE, Node, Row

KEYWORDS = frozenset(
    {
        "accdescr", "acctitle", "class", "classdef", "click", "default", "direction", "end", "hide", "note", "scale",
        "state", "statediagram", "style",
    }
)  # fmt: skip
"""Words that Mermaid's parser reserves everywhere, in upper and lower case."""

ENTITIES = {"#": "#35;", ":": "#colon;", ";": "#59;", '"': "#quot;", "<": "#lt;", ">": "#gt;"}


def to_mermaid(chart: Chart, *, depth: int | None = None) -> Export:
    """Write the chart for Mermaid.

    Args:
        depth: how many levels of states are drawn; deeper ones are folded into their ancestor.
    """
    diagram = _Mermaid(graph_of(chart, depth=depth, condensed=True))
    every = every_transition(diagram.graph)
    title = ["---", f"title: {json.dumps(every, ensure_ascii=False)}", "---"] if every else []
    return exported([*title, "stateDiagram-v2", *(f"    {line}" for line in diagram.lines())], diagram.lost)


class _Mermaid(StateDiagram):
    indent = "    "
    comment = "%%"

    def name(self, id: str) -> str:
        return name_of(f"{id}.") if id.lower() in KEYWORDS else name_of(id)

    def text(self, row: Row) -> str:
        return _escaped(words(row))

    def state(self, node: Node) -> Iterator[str]:
        name = self.name(node.id)
        if node.kind.is_history:
            self.lost.append(f"'{node.id}' is a history state; Mermaid has none and draws a plain state.")
        shown = {Kind.SHALLOW_HISTORY: "H", Kind.DEEP_HISTORY: "H*"}.get(node.kind, node.name)
        yield f'state "{_escaped(shown)}" as {name}'
        if node.id == ANYWHERE:
            yield "classDef anywhere stroke-dasharray: 4 3"
            yield f"class {name} anywhere"
        if not node.children:
            yield from (f"{name}: {self.text(row)}" for row in node.rows)
            return
        yield from self.nested(node, f"state {name}")
        if node.rows:
            self.lost.append(f"The actions inside '{node.id}': {'; '.join(words(row) for row in node.rows)}.")


def _escaped(text: str) -> str:
    """Text without the characters that Mermaid interprets."""
    return "".join(ENTITIES.get(character, character) for character in text)
