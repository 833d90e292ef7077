"""From definitions to something a server can serve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import restate

from durable_fsm.core.model import Chart
from durable_fsm.errors import NotDurable, Problem
from durable_fsm.frontends import chart_from
from durable_fsm.restate.callbacks import companion
from durable_fsm.restate.clock import codec
from durable_fsm.restate.detached import add_detached
from durable_fsm.restate.host import BUILT_IN, Host, is_handler_name
from durable_fsm.restate.intake import rejected_object
from durable_fsm.restate.kafka import Topics
from durable_fsm.restate.limits import Limits
from durable_fsm.restate.record import Record
from durable_fsm.restate.runner import Runner, has_steps
from durable_fsm.restate.webhooks import Webhooks
from durable_fsm.restate.wire import log

Protocol = Literal["bidi", "request_response"]


def services(*definitions: object) -> list[restate.Service | restate.VirtualObject]:
    """The Restate services of some charts: a virtual object each, its record, and a runner where there are activities.

    Raises:
        DefinitionError: a definition has problems.
        ValueError: two charts have the same name.
    """
    charts = [chart_from(definition) for definition in definitions]
    for chart in charts:
        _refuse_children(chart)
    names = [chart.name for chart in charts]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two charts are called '{name}'; give one of them @durable(name=...)")
    found: list[restate.Service | restate.VirtualObject] = []
    for chart in charts:
        for event in chart.public_events:
            if event in BUILT_IN or not is_handler_name(event):
                log.warning("%s: event '%s' cannot be a handler of its own; use 'send'", chart.name, event)
        found.append(Host(chart).virtual_object())
        if chart.policies.history is not None:
            found.append(Record(chart, chart.policies.history).service())
        if chart.activities:
            runner = Runner(chart).service()
            if chart.work:
                add_detached(runner, chart)
            found.append(runner)
        if any(map(has_steps, chart.activities.values())):
            found.append(companion(chart))
        if any(activity.limit is not None for activity in chart.activities.values()):
            found.append(Limits(chart).virtual_object())
        found += sources_of(chart)
    return found


def sources_of(chart: Chart) -> list[restate.Service | restate.VirtualObject]:
    """What a chart's topics and webhooks need beside its machines."""
    found: list[restate.Service | restate.VirtualObject] = []
    if any(source.key is not None for source in chart.sources):
        found.append(Topics(chart).forwarder())
    if chart.webhooks:
        found.append(Webhooks(chart).service())
    if chart.sources or chart.webhooks:
        found.append(rejected_object(chart))
    return found


def _refuse_children(chart: Chart) -> None:
    """Machines of machines run in rehearsals; they have no host yet."""
    problems = [
        Problem(f"state '{state.id}' runs another machine, which is not hosted yet.", "Start it from an activity.")
        for state in chart.states.values()
        if state.machines
    ]
    if problems:
        raise NotDurable(chart=chart.name, problems=problems)


# Any: an ASGI application, or on AWS Lambda a handler function; Restate's SDK decides and does not type it
def app(*definitions: object, protocol: Protocol | None = None, identity_keys: Sequence[str] = ()) -> Any:
    """An ASGI application that hosts these charts; on AWS Lambda, a Lambda handler.

    Args:
        definitions: whatever `chart_from` reads.
        protocol: how Restate talks to it; None lets discovery decide by the HTTP version.
        identity_keys: public keys of the Restate environments that may call it; empty lets everyone.
    """
    return restate.app(
        services(*definitions),
        protocol=protocol,
        identity_keys=list(identity_keys) or None,
        journal_value_codec=codec(),
    )
