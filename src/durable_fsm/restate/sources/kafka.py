"""Kafka's records as events: where subscriptions sink, and how a record finds its machine.

Where the record's key is the machine's, the machine itself takes the record. Where it is not, an object in between,
keyed by the record's key, hands it on by one-way sends: they arrive in the order in which they were made.
"""

from __future__ import annotations

from collections.abc import Mapping

import restate
from restate import ObjectContext
from restate import TerminalError as RestateTerminalError

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.sources import Kafka, Record
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.http.requests import BYTES, FOR_EVER, TerminalErrors
from durable_fsm.restate.observability import report
from durable_fsm.restate.observability.redaction import seen_text
from durable_fsm.restate.sources.ingestion import INCOMING, Arrival, Intake, Place, reject

RECORD = "_kafka"
"""The machine's handler for records of its own key."""

FORWARD = "_forward"
"""The handler of the object in between."""


def forwarder_name(chart: Chart) -> str:
    """Name of the object in between: `Order.kafka`."""
    return f"{chart.name}.kafka"


def sink_of(chart: Chart, source: Kafka) -> tuple[str, str]:
    """Service and handler that take a topic's records."""
    return (chart.name, RECORD) if source.key is None else (forwarder_name(chart), FORWARD)


def source_uri(source: Kafka) -> str:
    """How Restate names a topic: `kafka://default/orders`."""
    return f"kafka://{source.cluster}/{source.topic}"


def sink_uri(chart: Chart, source: Kafka) -> str:
    """How Restate names where a subscription ends: `service://Order/_kafka`."""
    return "service://" + "/".join(sink_of(chart, source))


class Topics:
    """The topics of one chart."""

    def __init__(self, chart: Chart, intake: Intake | None = None) -> None:
        self.chart = chart
        self._intake = intake
        self._sources = {source.topic: source for source in chart.sources}

    def forwarder(self) -> restate.VirtualObject:
        """The object in between."""
        service = restate.VirtualObject(
            forwarder_name(self.chart),
            description=f"Finds the machines of {self.chart.name} that Kafka's records are for.",
            ingress_private=True,
            invocation_retry_policy=FOR_EVER,
        )

        async def forward(ctx: ObjectContext, body: bytes) -> bytes:
            """Hand a record on to its machine, in the order of its key."""
            with report.Watching(self.chart, ctx, ctx.key(), FORWARD):
                return await self._read(ctx, body, forwarder_name(self.chart))

        service.handler(FORWARD, accept="*/*", input_serde=BYTES, output_serde=BYTES)(forward)
        return service

    async def record(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Take a record whose key is the machine's."""
        return await self._read(ctx, body, self.chart.name)

    async def _read(self, ctx: ObjectContext, body: bytes, service: str) -> bytes:
        seen_text(body)
        with TerminalErrors(service, ctx.key()):
            record = record_of(service, ctx.key(), ctx.request().headers, body)
        place = place_of(record, service)
        try:
            with TerminalErrors(service, ctx.key()):
                found = self._decoded(record, place)
        except RestateTerminalError as error:
            raise reject(ctx, self.chart, None, place, error) from error
        if found is None:
            return dumps({"outcome": "skipped"})
        arrival, key = found
        if self._intake is not None and service == self.chart.name and key == ctx.key():
            return await self._intake.take(ctx, arrival)
        ctx.generic_send(self.chart.name, INCOMING, arrival.encode(), key=key)
        return dumps({"outcome": "forwarded", "key": key})

    def _decoded(self, record: Record, place: Place) -> tuple[Arrival, str] | None:
        """The event of a record and the key of its machine; None skips it."""
        source = self._sources.get(record.topic)
        if source is None:
            known = errors.quoted(sorted(self._sources)) or "none"
            raise place.undecodable(f"this deployment declares no such topic. It declares: {known}.")
        made = place.asked(source.decode, record)
        if made is None:
            return None
        arrival, incoming = place.decoded(made, source.events)
        key: object = incoming.key
        if key is None:
            key = place.asked(source.key, record) if source.key is not None else record.key
        if not isinstance(key, str):
            what = "it has no key" if key is None else f"its key function returned {type(key).__name__}, not a text"
            raise place.undecodable(f"{what}, and its decoder gives none. Return Incoming(..., key=...).")
        if not key:
            raise place.undecodable("the key of its machine is empty. Return Incoming(..., key=...).")
        return arrival, key


def place_of(record: Record, service: str) -> Place:
    """Where the record can be found again."""
    facts = {"topic": record.topic, "partition": str(record.partition), "offset": str(record.offset)}
    return Place(service, f"kafka:{record.topic}", f"record {record.place}", facts)


def record_of(service: str, key: str, headers: Mapping[str, str], body: bytes) -> Record:
    """The record as Restate hands it over: *key* is the object's, which is empty for a record without one.

    Raises:
        MalformedInput: it does not come from a subscription.
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        return Record(
            topic=found["kafka.topic"],
            partition=int(found["kafka.partition"]),
            offset=int(found["kafka.offset"]),
            timestamp=int(found.get("kafka.timestamp", "0")),
            key=key if "kafka.key" in found else None,
            value=body,
        )
    except (KeyError, ValueError) as error:
        problem = "it is no record of a Kafka subscription."
        raise errors.MalformedInput(chart=service, handler=RECORD, problem=problem) from error
