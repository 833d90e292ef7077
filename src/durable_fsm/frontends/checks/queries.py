"""Check `queries=`: handlers that answer from a machine's data."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

from durable_fsm.core.chart import EventType, Hosting
from durable_fsm.core.service_names import is_handler_name
from durable_fsm.frontends.checks.redaction import CLOSABLE


def problems_in(hosting: Hosting, events: Mapping[str, EventType]) -> Iterator[tuple[str, str]]:
    """Problems of `queries=`, each with its remedy."""
    taken = {"run", *CLOSABLE, *hosting.handlers, *(event.name for event in events.values() if event.public)}
    for name, query in hosting.queries.items():
        if name in taken:
            yield f"queries= names '{name}', which is a handler already.", "Give the query another name."
        elif not is_handler_name(name):
            remedy = "Write ASCII letters, digits and '_', a letter first."
            yield f"queries= names '{name}', which is not a name that Restate accepts.", remedy
        if inspect.iscoroutinefunction(query):
            yield f"query '{name}' is a coroutine function.", "A query only reads the data: make it a plain function."
