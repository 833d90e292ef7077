"""One chart as a virtual object of Restate, one machine per key: registers all its handlers.

No exception of ours is retried by Restate, except one that would leave half a save (see `transaction`). Outside work is
never done in these handlers; `activities` does it.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import restate
from restate.handler import ServiceTag

from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical
from durable_fsm.core.interchange import chart_to_json
from durable_fsm.core.service_names import is_handler_name
from durable_fsm.restate.http.requests import (
    CANCEL_SCHEMA,
    DELETE_SCHEMA,
    FOR_EVER,
    HISTORY_SCHEMA,
    REPAIR_SCHEMA,
    SEND_SCHEMA,
    wait_schema,
)
from durable_fsm.restate.machine.cancelling import CancelHandlers
from durable_fsm.restate.machine.deletion import DeleteHandlers
from durable_fsm.restate.machine.handlers import MachineHandlers
from durable_fsm.restate.machine.waiting import WaitHandlers
from durable_fsm.restate.messages.envelope import relay
from durable_fsm.restate.messages.inbox import ChildHandlers, Inbox
from durable_fsm.restate.names import BUILT_IN, CHART, Handler
from durable_fsm.restate.operators import READING, SignatureGuard
from durable_fsm.restate.registration import SUSPENDED_AFTER, Handle, register
from durable_fsm.restate.settings import HostedChart
from durable_fsm.restate.sources.ingestion import REMEMBERED, EventIngestion
from durable_fsm.restate.sources.kafka import Topics, claim


class ChartTag(ServiceTag):
    """Names the object. Its metadata is the chart, for those who look when no service runs; made when it is discovered."""

    def __init__(self, chart: Chart) -> None:
        super().__init__("object", chart.name, chart.doc or None)
        self.chart = chart

    @property
    def metadata(self) -> dict[str, str]:
        return {CHART: canonical(chart_to_json(self.chart))}

    @metadata.setter
    def metadata(self, _: object) -> None:  # pyright: ignore[reportIncompatibleVariableOverride] - it is only read
        """Do not take what the constructor of the SDK sets."""


def virtual_object(hosted: HostedChart) -> restate.VirtualObject:
    """The object with all its handlers; schemas and docstrings go to discovery, and so into OpenAPI."""
    chart = hosted.chart
    service = restate.VirtualObject(chart.name, description=chart.doc or None, invocation_retry_policy=FOR_EVER)
    service.service_tag = ChartTag(chart)
    secrets = hosted.settings.operator_secrets

    def add(
        name: str, handle: Handle, *, private: bool = False, remembered: timedelta | None = None, **options: Any
    ) -> None:
        is_closed = name in chart.hosting.operators_only
        guard = None
        if not private:
            reads = name in READING or name in chart.hosting.queries
            guard = SignatureGuard(chart.name, name, secrets, demands=is_closed and bool(secrets), changes=not reads)
        private = private or (is_closed and not secrets)
        options |= {"private": private, "guard": guard, "idempotency_retention": remembered}
        register(service, name, handle, chart=chart, **options)

    machine, waiting, child = MachineHandlers.of(hosted), WaitHandlers.of(hosted), ChildHandlers.of(hosted)
    cancelling = CancelHandlers.of(hosted)
    activities = [activity for one in chart.served for activity in one.activities.values()]

    for handler, event in handlers_of(chart).items():
        declared = next(one.events[event] for one in chart.served if event in one.events)
        schema = declared.payload.schema if declared.payload else None
        add(handler, machine.event(event), schema=schema, doc=declared.doc, takes=event)
    add(Handler.CREATE, machine.create, schema=chart.data.schema, takes="create")
    add(Handler.SEND, machine.send, schema=lambda: SEND_SCHEMA, takes="send")
    add(Handler.DELETE, DeleteHandlers.of(hosted).delete, schema=lambda: DELETE_SCHEMA, takes="delete")
    add(Handler.REPAIR, machine.repair, schema=lambda: REPAIR_SCHEMA, takes="repair")
    add(Handler.SNAPSHOT, machine.snapshot, kind="shared")
    add(
        Handler.WAIT_FOR,
        waiting.wait_for,
        kind="shared",
        schema=partial(wait_schema, chart),
        inactivity_timeout=SUSPENDED_AFTER,
    )
    add(Handler.HISTORY, machine.history, kind="shared", schema=lambda: HISTORY_SCHEMA)
    for name, query in chart.hosting.queries.items():
        add(name, machine.query(name, query), kind="shared")
    if activities:
        add(Handler.CANCEL, cancelling.cancel, kind="shared", schema=lambda: CANCEL_SCHEMA)
        add(Handler.CANCEL_LATER, cancelling.later, kind="shared", private=True)
    add(Handler.WAIT, waiting.wait, private=True)
    add(Handler.UNWAIT, waiting.unwait, private=True)
    if chart.hosting.workflow:
        add(Handler.RUN_TO_END, waiting.run_to_end, private=True)
    add(Handler.DELIVER, machine.deliver, private=True)
    add(Handler.PARKED, machine.deliver, private=True)
    add(Handler.MAIL, Inbox.of(hosted).mail, private=True)
    add(Handler.RELAY, relay, private=True)
    add(Handler.BEGIN, child.begin, private=True)
    add(Handler.CHECK, child.check, private=True)
    add(Handler.END, child.end, private=True)
    if any(activity.exclusive for activity in activities):
        add(Handler.HALT, child.halt, kind="shared", private=True)
    if chart.hosting.sources or chart.hosting.webhooks:
        ingestion = EventIngestion(hosted, machine.take)
        add(Handler.INCOMING, ingestion.incoming, private=True, remembered=REMEMBERED)
        add(Handler.KAFKA_RECORD, Topics(chart, ingestion).record, private=True)
    if chart.hosting.sources:
        add(Handler.CLAIM, claim, kind="shared", private=True, remembered=REMEMBERED)
    return service


def handlers_of(chart: Chart) -> dict[str, str]:
    """Public handler names and the events they take; events that cannot be handlers are left to `send`.

    Those of the versions that are kept beside the chart are among them.
    """
    found: dict[str, str] = {}
    for one in reversed(chart.served):
        found |= {event: event for event in one.public_events if is_handler_name(event) and event not in BUILT_IN}
        found |= one.hosting.handlers
    return found
