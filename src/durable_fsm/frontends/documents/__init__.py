"""The documents front-end: SCXML, and python-statemachine's own JSON and YAML, read from a file or a text.

Reading goes text → python-statemachine's neutral records (`statemachine.io.model`) → chart. Its engine and its
evaluators are never used: expressions are compiled here, as Python with `trusted=True`, otherwise by an allowlist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable_fsm.frontends.documents.formats import reads

if TYPE_CHECKING:
    from durable_fsm.core.chart import Chart

__all__ = ["chart_from", "reads"]


def chart_from(definition: object, *, trusted: bool = False, strict: bool = True) -> Chart:
    """See `reader.chart_from`, which is imported where a document is read: it needs the whole library."""
    from durable_fsm.frontends.documents import reader

    return reader.chart_from(definition, trusted=trusted, strict=strict)
