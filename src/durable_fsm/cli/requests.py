"""Requests that a person can send to a new machine of a chart, in the order in which the machine would take them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from durable_fsm.cli.example import example
from durable_fsm.core.chart import ROOT, Chart, Kind, Transition
from durable_fsm.core.index import matches
from durable_fsm.core.program import index_of
from durable_fsm.core.service_names import is_handler_name
from durable_fsm.core.values import Json, Misfit, ValueType
from durable_fsm.restate.names import BUILT_IN, Handler, flow_name, workflow_name


@dataclass(frozen=True, slots=True)
class ExampleRequest:
    """A request to the machine `one`, or to a flow or workflow of its chart.

    Attributes:
        event: the event, or `create` or `run`.
        path: where to send it, below the address of the ingress.
        body: what to send.
        has_body: False for an event without payload.
        guessed: False if no example fits; `body` is then not worth sending.
    """

    event: str
    path: str
    body: Json = None
    has_body: bool = False
    guessed: bool = True


def requests_of(chart: Chart) -> list[ExampleRequest]:
    """One request for each public event that the ingress serves, before them those that run a chart or create a machine."""
    closed = chart.hosting.operators_only
    handlers = _handlers(chart)
    machine = f"{chart.name}/one"
    found: list[ExampleRequest] = []
    begun = [(Handler.RUN, f"{flow_name(chart)}/{Handler.RUN}")] if chart.hosting.flow else []
    if chart.hosting.workflow:
        begun.append((Handler.RUN, f"{workflow_name(chart)}/one/{Handler.RUN}/send"))
    if Handler.CREATE not in closed and _must_be_created(chart):
        begun.append((Handler.CREATE, f"{machine}/{Handler.CREATE}"))
    if begun:
        data, guessed = _example(chart.data, untyped={})
        found += [ExampleRequest(event, path, data, has_body=True, guessed=guessed) for event, path in begun]
    for event in dict.fromkeys((*_in_order(chart), *chart.public_events)):
        payload = chart.events[event].payload
        body, guessed = (None, True) if payload is None else _example(payload)
        handler = handlers.get(event, Handler.SEND)
        path = f"{machine}/{handler}"
        if handler in closed:
            continue
        if handler == Handler.SEND:
            whole: dict[str, Json] = {"event": event} if payload is None else {"event": event, "payload": body}
            found.append(ExampleRequest(event, path, whole, has_body=True, guessed=guessed))
        else:
            found.append(ExampleRequest(event, path, body, has_body=payload is not None, guessed=guessed))
    return found


def _handlers(chart: Chart) -> dict[str, str]:
    """The handlers of events that have one of their own."""
    named = {event: handler for handler, event in chart.hosting.handlers.items()}
    own = {event: event for event in chart.public_events if is_handler_name(event) and event not in BUILT_IN}
    return {**own, **named}


def _must_be_created(chart: Chart) -> bool:
    if chart.hosting.create_first:
        return True
    try:
        chart.data.load({})
    except Misfit:
        return True
    return False


def _example(kind: ValueType, *, untyped: Json = None) -> tuple[Json, bool]:
    """A value of this type, and whether the type accepts it; *untyped* where the type has no schema."""
    schema = kind.schema()
    value: Json = untyped if schema is None else example(schema)
    try:
        kind.load(value)
    except Misfit:
        return value, False
    return value, True


def _in_order(chart: Chart) -> Iterator[str]:
    """The public events, as a walk along the transitions meets them that begins in the initial states."""
    index = index_of(chart)
    pending, seen = deque([ROOT]), set[str]()
    while pending:
        entered = pending.popleft()
        for id in (*_inside(chart, entered), *index.ancestors[entered]):
            if id in seen:
                continue
            seen.add(id)
            for edge in sorted(index.transitions[id], key=_leaves):
                yield from (name for name in chart.public_events if any(matches(one, name) for one in edge.events))
                pending += edge.targets


def _leaves(edge: Transition) -> bool:
    """Whether the state is left by it: what comes after it in the list would then be too late."""
    return bool(edge.targets) and edge.targets != (edge.source,)


def _inside(chart: Chart, id: str) -> Iterator[str]:
    """The states that are entered with this one, the innermost first."""
    index, kind = index_of(chart), chart.states[id].kind
    if kind is Kind.PARALLEL:
        first = index.regions[id]
    else:
        first = index.initial[id].targets if kind is Kind.COMPOUND or kind.is_history else ()
    for child in first:
        yield from _inside(chart, child)
    yield id
