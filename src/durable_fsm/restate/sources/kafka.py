"""Kafka records as events: where subscriptions end, and how a record finds its machine.

If the key of a record is the key of its machine, the subscription ends at the machine. Otherwise it ends at a *forwarder*,
an object with the record's key, which sends the event to the machine. Restate keeps the order of one-way sends between
two keys, so the events of one record key arrive in order.

A machine that keeps events for later may have no room for one more. Records of charts that defer therefore always take
the way of the forwarder, and it calls the machine, again and again until the event has found room. Later records of the
same key wait for that as invocations of the forwarder: of these Restate stores as many as there are.

If the decoder gives the event an id, the record first claims that id at its machine: Restate runs `claim` once for each id
and gives all callers the first one's answer. A claim is shared, so it waits for nothing that holds the machine, and a
call, so no later record overtakes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec
import restate
from restate import ObjectContext, ObjectSharedContext

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.durations import Backoff
from durable_fsm.core.sources import Record
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.http.errors import Located
from durable_fsm.restate.http.requests import FOR_EVER
from durable_fsm.restate.names import Handler, forwarder_name, may_defer
from durable_fsm.restate.observability.redaction import seen_text
from durable_fsm.restate.registration import register
from durable_fsm.restate.sources.ingestion import (
    FULL,
    EventIngestion,
    IncomingEvent,
    SourcePosition,
    idempotency_key,
    reject,
)

NO_ROOM = Backoff(timedelta(seconds=1), longest=timedelta(minutes=1))
"""How long a forwarder waits before it calls a machine again that had no room for an event."""


class Topics:
    """The topics of one chart. Only the machine's own handler has an *ingestion*; the forwarder sends."""

    def __init__(self, chart: Chart, ingestion: EventIngestion | None = None) -> None:
        self.chart = chart
        self._ingestion = ingestion
        self._sources = {source.topic: source for source in chart.hosting.sources}

    def forwarder(self) -> restate.VirtualObject:
        service = restate.VirtualObject(
            forwarder_name(self.chart),
            description=f"Brings Kafka records to the machines of {self.chart.name} that they are for.",
            ingress_private=True,
            invocation_retry_policy=FOR_EVER,
        )

        async def forward(ctx: ObjectContext, body: bytes) -> bytes:
            """Bring a record's event to its machine."""
            return await self._read(ctx, body, service.name)

        register(service, Handler.FORWARD, forward, chart=self.chart, where=service.name)
        return service

    async def record(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Process a record whose key is the machine's."""
        return await self._read(ctx, body, self.chart.name)

    async def _read(self, ctx: ObjectContext, body: bytes, service: str) -> bytes:
        seen_text(body)
        record = record_of(service, ctx.key(), ctx.request().headers, body)
        position = position_of(record, service)
        try:
            with Located(service, ctx.key()):
                found = self._event_of(record, position)
        except errors.DurableFSMError as error:
            raise reject(ctx, self.chart, None, position, error) from error
        if found is None:
            return dumps({"outcome": "skipped"})
        event, key, id = found
        if id is not None and (first := await self._claim(ctx, event, key, id)) != ctx.request().id:
            return dumps({"outcome": "duplicate", "of": first})
        if self._ingestion is not None and key == ctx.key():
            return await self._ingestion.take(ctx, event)
        if self._ingestion is None and may_defer(self.chart):
            return await self._call(ctx, event, key)
        ctx.generic_send(self.chart.name, Handler.INCOMING, event.encode(), key=key)
        return dumps({"outcome": "forwarded", "key": key})

    async def _call(self, ctx: ObjectContext, event: IncomingEvent, key: str) -> bytes:
        """Let the machine process the event, as soon as it has room; return its answer."""
        tries = 0
        while True:
            sent = msgspec.structs.replace(event, in_order=True, tries=tries)
            answer = await ctx.generic_call(self.chart.name, Handler.INCOMING, sent.encode(), key=key)
            if loads(answer)["outcome"] != FULL:
                return answer
            await ctx.sleep(NO_ROOM.delay(tries))
            tries += 1

    async def _claim(self, ctx: ObjectContext, event: IncomingEvent, key: str, id: str) -> str:
        """Claim an event's id at its machine; return the invocation that has it, now or since an earlier record."""
        own = dumps(ctx.request().id)
        unique = idempotency_key(event.facts["topic"], id)
        return str(loads(await ctx.generic_call(self.chart.name, Handler.CLAIM, own, key=key, idempotency_key=unique)))

    def _event_of(self, record: Record, position: SourcePosition) -> tuple[IncomingEvent, str, str | None] | None:
        """The event of a record, the key of its machine and the event's id; None if the decoder skips the record."""
        source = self._sources.get(record.topic)
        if source is None:
            known = errors.quoted(sorted(self._sources)) or "none"
            raise position.undecodable(f"this deployment declares no such topic. It declares: {known}.")
        decoded = position.call(source.decode, record)
        if decoded is None:
            return None
        event, incoming = position.event_of(decoded, source.events)
        key: object = incoming.key
        if key is None:
            key = position.call(source.key, record) if source.key is not None else record.key
        if not isinstance(key, str):
            what = "it has no key" if key is None else f"its key function returned {type(key).__name__}, not a text"
            raise position.undecodable(f"{what}, and its decoder gives none. Return Incoming(..., key=...).")
        if not key:
            raise position.undecodable("the key of its machine is empty. Return Incoming(..., key=...).")
        position.refuse_long_key(key)
        return event, key, incoming.id


async def claim(ctx: ObjectSharedContext, body: bytes) -> bytes:
    """Answer with the invocation that claims an id, which Restate remembers for all later ones."""
    return body


def position_of(record: Record, service: str) -> SourcePosition:
    facts = {"topic": record.topic, "partition": str(record.partition), "offset": str(record.offset)}
    return SourcePosition(service, f"kafka:{record.topic}", f"record {record.place}", facts)


def record_of(service: str, key: str, headers: Mapping[str, str], body: bytes) -> Record:
    """Make a record of an invocation; *key* is the object's, which is empty if the record has no key.

    Raises:
        MalformedInput: a subscription did not make this invocation.
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
        problem = "it is not a record of a Kafka subscription."
        raise errors.MalformedInput(chart=service, handler=Handler.KAFKA_RECORD, problem=problem) from error
