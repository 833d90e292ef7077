"""Events whose sender does not wait for an answer: from a record or a request to the machine that processes it.

`SourcePosition` decodes what arrived; `EventIngestion` lets the machine process the event. An event that another deployment
may be able to take is parked: sent again later. Any other failure rejects the event: its invocation ends with the
reason, operators see it in the log, and a dead letter keeps it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import restate
from restate import ObjectContext
from restate import TerminalError as RestateTerminalError

from durable_fsm import errors
from durable_fsm.core.address import fault_in_key
from durable_fsm.core.author_code import ANYTHING, named
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import plain
from durable_fsm.core.events import Origin
from durable_fsm.core.sources import Incoming
from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import WireRecord, dumps
from durable_fsm.restate.http.errors import InternalError, Located, message_of, terminal
from durable_fsm.restate.http.requests import read
from durable_fsm.restate.names import Handler
from durable_fsm.restate.observability import report
from durable_fsm.restate.observability.redaction import cleaned, seen
from durable_fsm.restate.observability.texts import writable
from durable_fsm.restate.settings import HostedChart
from durable_fsm.restate.sources.dead_letters import LONGEST_PAYLOAD, LONGEST_REASON, DeadLetter, keep

REMEMBERED = timedelta(days=7)
"""How long Restate drops a second event of the same id; providers try again for some days."""

LONGEST_ID = 200
HASHED = "sha256/"

PARKED = (
    errors.VersionError,
    errors.MigrationError,
    errors.SnapshotUnreadable,
    errors.Paused,
    errors.ActionError,
    errors.UnknownWork,
    errors.TooManyDeferred,
    InternalError,
)
"""Errors after which an event is parked: another deployment, or the same one later, may take it."""

FULL = "full"
"""The outcome of an event that has to wait until the machine has room for it."""

LONGEST_PROBLEM = 500

Take = Callable[[ObjectContext, str, Json, Origin], Awaitable[bytes]]


class IncomingEvent(WireRecord, frozen=True):
    """An event on its way to a machine.

    Attributes:
        source: `kafka:orders` or `webhook:stripe`.
        place: where people find it: `record orders[3]@1042`, `event 'evt_1' of webhook 'stripe'`.
        facts: the same for programs, as texts.
        tries: how often it was parked, or found no room.
        is_named: whether its source names it in `events`; then it may be private.
        in_order: whether its sender waits until the machine has room, and sends no other event before.
    """

    event: str
    payload: Json
    source: str
    place: str
    facts: dict[str, str]
    tries: int = 0
    is_named: bool = False
    in_order: bool = False

    @property
    def origin(self) -> Origin:
        return Origin.SOURCE if self.is_named else Origin.EXTERNAL


@dataclass(frozen=True, slots=True)
class SourcePosition:
    """Where the record or the request is that shall become an event; see `IncomingEvent`."""

    service: str
    source: str
    place: str
    facts: Mapping[str, str]

    def undecodable(self, problem: str) -> errors.Undecodable:
        return errors.Undecodable(chart=self.service, source=self.place, problem=problem)

    def call(self, function: Callable[..., object], *arguments: object) -> object:
        """Call an author's function.

        Raises:
            Undecodable: the function raised an exception.
        """
        try:
            return function(*arguments)
        except ANYTHING as error:
            raise self.undecodable(f"{_in_one_line(error)}.") from error

    def refuse_long_key(self, key: str) -> None:
        """Refuse a key that no machine may have.

        Raises:
            Undecodable: it is too long.
        """
        if (fault := fault_in_key(key)) is not None:
            raise self.undecodable(fault)

    def event_of(self, decoded: object, allowed: tuple[str, ...]) -> tuple[IncomingEvent, Incoming]:
        """Check what an author's decoder returned, and make an event of it; *allowed* may be empty.

        Raises:
            Undecodable: it is not an `Incoming` of texts and JSON, or not an allowed event.
            TooLarge: its payload is longer than a machine accepts.
        """
        if not isinstance(decoded, Incoming):
            raise self.undecodable(f"its decoder returned {type(decoded).__name__}, not Incoming(...) or None.")
        for name, value in (("event", decoded.event), ("key", decoded.key), ("id", decoded.id)):
            if not _is_text(value) and (value is not None or name == "event"):
                raise self.undecodable(f"its decoder returned {value!r:.60} as {name}, which is not a text.")
        event = str(decoded.event)
        if allowed and event not in allowed:
            problem = f"its decoder returned event '{event}', which events= does not list: {errors.quoted(allowed)}."
            raise self.undecodable(problem)
        text = self.written(decoded.payload, f"the payload of '{event}'")
        try:
            payload = read(self.service, event, text)
        except errors.MalformedInput as error:
            raise self.undecodable(f"the payload of '{event}' cannot be processed: {error.problem}") from error
        facts = dict(self.facts)
        return IncomingEvent(event, payload, self.source, self.place, facts, is_named=event in allowed), decoded

    def written(self, value: object, called: str) -> bytes:
        """Write a value of an author's as JSON.

        Raises:
            Undecodable: that cannot be done.
        """
        try:
            return dumps(plain(value))
        except ANYTHING as error:
            raise self.undecodable(f"{called} cannot be written as JSON: {_in_one_line(error)}.") from error


def _is_text(value: object) -> bool:
    return isinstance(value, str) and writable(value) == value


def _in_one_line(error: BaseException) -> str:
    """An author's exception, shortened."""
    return writable(" ".join(named(error).split())[:LONGEST_PROBLEM]).rstrip(".")


def idempotency_key(source: str, id: str) -> str:
    """The idempotency key of an event's id. It names the topic or webhook, because two of them may use the same id."""
    is_plain = id.isascii() and id.isprintable() and len(id) <= LONGEST_ID and not id.startswith(HASHED)
    return f"{source}/{id}" if is_plain else f"{source}/{HASHED}{hashlib.sha256(id.encode()).hexdigest()}"


class EventIngestion:
    """Lets the machines of one chart process events; *take* is how a machine processes an event of any sender."""

    def __init__(self, hosted: HostedChart, take: Take) -> None:
        self.chart = hosted.chart
        self.settings = hosted.settings
        self._take = take

    async def incoming(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Process an event of a topic or a webhook."""
        event = IncomingEvent.decode(body)
        seen(event.payload)
        return await self.take(ctx, event)

    async def take(self, ctx: ObjectContext, event: IncomingEvent) -> bytes:
        """Let the machine process the event; park or reject it if the machine cannot."""
        report.sent_by(event.source)
        try:
            with Located(self.chart.name, ctx.key()):
                return await self._take(ctx, event.event, event.payload, event.origin)
        except PARKED as error:
            reason = message_of(error)
            is_full = event.in_order and isinstance(error, errors.TooManyDeferred)
            if not is_full or event.tries == 0:
                report.parked(event.event, f"{reason} It came from {event.place}.", event.tries)
            if is_full:
                return dumps({"outcome": FULL, "reason": reason})
            report.raised(error)
            again = msgspec.structs.replace(event, tries=event.tries + 1, in_order=False)
            delay = self.settings.parking.delay(event.tries)
            ctx.generic_send(self.chart.name, Handler.INCOMING, again.encode(), key=ctx.key(), send_delay=delay)
            return dumps({"outcome": "parked", "reason": reason})
        except errors.DurableFSMError as error:
            raise reject(ctx, self.chart, ctx.key(), event, error) from error


def reject(
    ctx: restate.Context | ObjectContext,
    chart: Chart,
    key: str | None,
    rejected: IncomingEvent | SourcePosition,
    error: errors.DurableFSMError,
) -> RestateTerminalError:
    """Log an event that no machine will take, and keep it as a dead letter; return the error to raise."""
    report.raised(error)
    told = terminal(error)
    letter = DeadLetter(
        source=rejected.source,
        place=rejected.place,
        facts=dict(rejected.facts),
        key=key,
        status=told.status_code,
        type=type(error).__name__,
        reason=told.message[:LONGEST_REASON],
    )
    event = ""
    if isinstance(rejected, IncomingEvent):
        event = rejected.event
        letter = msgspec.structs.replace(letter, event=event)
        if len(dumps(rejected.payload)) <= LONGEST_PAYLOAD:
            letter = msgspec.structs.replace(letter, payload=cleaned(rejected.payload))
    message = f"{told.message} It came from {rejected.place}."
    report.rejected(event, message, told.status_code, unheard=True, error=letter.type, **rejected.facts)
    keep(ctx, chart, letter)
    return RestateTerminalError(message, told.status_code, metadata={**(told.metadata or {}), **rejected.facts})
