"""A chart as text for other tools. Each export lists what it had to leave out."""

from durable_fsm.diagram.exports.dot import to_dot
from durable_fsm.diagram.exports.export import Export
from durable_fsm.diagram.exports.markdown import to_markdown
from durable_fsm.diagram.exports.mermaid import to_mermaid
from durable_fsm.diagram.exports.plantuml import to_plantuml
from durable_fsm.diagram.exports.scxml import to_scxml
from durable_fsm.diagram.exports.xstate import to_xstate

__all__ = ["Export", "to_dot", "to_markdown", "to_mermaid", "to_plantuml", "to_scxml", "to_xstate"]
