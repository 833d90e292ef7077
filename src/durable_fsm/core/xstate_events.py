"""How XState spells the events that a machine itself raises: for the reader of its JSON, and for the export to it.

https://stately.ai/docs/transitions
"""

from __future__ import annotations

PREFIXES = {
    "done.invoke.": "xstate.done.actor.",
    "error.invoke.": "xstate.error.actor.",
    "done.state.": "xstate.done.state.",
}
"""Our prefix of each kind of event, and that of XState; an id follows."""

FAMILIES = {
    "done.invoke": "xstate.done.actor.*",
    "error.invoke": "xstate.error.actor.*",
    "done.state": "xstate.done.state.*",
    "done": "xstate.done.*",
    "error": "xstate.error.*",
}
"""Our descriptor of all events of a kind, and that of XState."""
