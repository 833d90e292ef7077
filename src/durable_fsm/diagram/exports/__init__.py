"""A chart as text for other tools: each format says what it had to leave out."""

from durable_fsm.diagram.exports.export import Export
from durable_fsm.diagram.exports.markdown import to_markdown
from durable_fsm.diagram.exports.mermaid import to_mermaid
from durable_fsm.diagram.exports.plantuml import to_plantuml

__all__ = ["Export", "to_markdown", "to_mermaid", "to_plantuml"]
