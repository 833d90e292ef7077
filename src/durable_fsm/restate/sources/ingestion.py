"""Events that nobody waits for: records of topics and requests of webhooks, taken like any other event.

There is no sender to tell, so what cannot be taken is told otherwise. What another deployment may take is parked: sent
again later. The rest is *rejected*: the invocation ends with the reason, which is also logged and kept in a list.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import restate
from restate import ObjectContext, ObjectSharedContext
from restate import TerminalError as RestateTerminalError
from restate.serde import JsonSerde

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import plain
from durable_fsm.core.sources import Incoming
from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.http.requests import BYTES, FOR_EVER, read, writable
from durable_fsm.restate.machine.transaction import parked_for
from durable_fsm.restate.observability import report
from durable_fsm.restate.observability.redaction import cleaned, seen

INCOMING = "_incoming"
"""The handler that takes events from elsewhere; what waits there until later is parked."""

REMEMBERED = timedelta(days=7)
"""How long a second event of the same id is recognised; providers try again for some days."""

PARKED = frozenset(
    {
        "VersionError",
        "MigrationError",
        "SnapshotUnreadable",
        "ActionError",
        "UnknownWork",
        "TooManyDeferred",
        "InternalError",
    }
)
"""Why an event waits for another deployment, or for better times, instead of being rejected."""

LETTERS = 100
"""How many rejected events are kept for each topic and webhook: the latest."""

LONGEST_PAYLOAD = 4 * 1024
"""Longest payload in bytes that is kept with a rejected event."""

LONGEST_REASON = 2_000
LONGEST_PROBLEM = 500

Take = Callable[[ObjectContext, str, Json], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event on its way to a machine.

    Attributes:
        source: `kafka:orders` or `webhook:stripe`.
        place: how people find it: `record orders[3]@1042`, `event 'evt_1' of webhook 'stripe'`.
        facts: the same for programs, as texts.
        tries: how often it was parked.
    """

    event: str
    payload: Json
    source: str
    place: str
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    tries: int = 0

    def encode(self) -> bytes:
        return dumps(plain(self))

    @classmethod
    def decode(cls, body: bytes) -> Arrival:
        return cls(**loads(body))


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was met that shall become an event; see `Arrival`."""

    service: str
    source: str
    place: str
    facts: Mapping[str, str]

    def undecodable(self, problem: str) -> errors.Undecodable:
        return errors.Undecodable(chart=self.service, source=self.place, problem=problem)

    def decoded(self, made: object, allowed: tuple[str, ...]) -> tuple[Arrival, Incoming]:
        """The event that a decoder has made.

        Raises:
            Undecodable: it has made something else.
            TooLarge: its payload is longer than a machine takes.
        """
        if not isinstance(made, Incoming):
            raise self.undecodable(f"its decoder returned {type(made).__name__}, not Incoming(...) or None.")
        for name, value in (("event", made.event), ("key", made.key), ("id", made.id)):
            if (value is None and name != "event") or _is_text(value):
                continue
            raise self.undecodable(f"its decoder returned {value!r:.60} as {name}, which is no text.")
        event = str(made.event)
        if allowed and event not in allowed:
            problem = f"its decoder returned event '{event}', which events= does not list: {errors.quoted(allowed)}."
            raise self.undecodable(problem)
        try:
            text = dumps(plain(made.payload))
            payload = read(self.service, event, text)
        except (TypeError, ValueError, RecursionError) as error:
            raise self.undecodable(f"the payload of '{event}' cannot be written as JSON: {said(error)}.") from error
        except errors.MalformedInput as error:
            raise self.undecodable(f"the payload of '{event}' cannot be taken: {error.problem}") from error
        return Arrival(event, payload, self.source, self.place, self.facts), made

    def asked(self, function: Callable[..., object], *arguments: object) -> object:
        """Call what the author wrote.

        Raises:
            Undecodable: it raised.
        """
        try:
            return function(*arguments)
        except Exception as error:
            raise self.undecodable(f"{said(error)}.") from error


def _is_text(value: object) -> bool:
    return isinstance(value, str) and writable(value) == value


def said(error: Exception) -> str:
    """An author's exception in one line."""
    try:
        words = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - its author's code too
        words = ""
    return writable(f"{type(error).__name__}: {words}"[:LONGEST_PROBLEM]).rstrip(".")


class Intake:
    """Takes events for the machines of one chart."""

    def __init__(self, chart: Chart, take: Take) -> None:
        self.chart = chart
        self._take = take

    async def incoming(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Take an event from a topic or a webhook."""
        arrival = Arrival.decode(body)
        seen(arrival.payload)
        return await self.take(ctx, arrival)

    async def take(self, ctx: ObjectContext, arrival: Arrival) -> bytes:
        """Take it, park it, or reject it; a rejected one is a terminal error, which blocks nothing."""
        try:
            return await self._take(ctx, arrival.event, arrival.payload)
        except RestateTerminalError as error:
            reason = (error.metadata or {}).get("type")
            if reason is None:  # the platform's own: an operator has ended this invocation
                raise
            if reason not in PARKED:
                raise reject(ctx, self.chart, ctx.key(), arrival, error, arrival) from error
            report.parked(arrival.event, f"{error.message} It came from {arrival.place}.", arrival.tries)
            later = replace(arrival, tries=arrival.tries + 1)
            delay = parked_for(arrival.tries)
            ctx.generic_send(self.chart.name, INCOMING, later.encode(), key=ctx.key(), send_delay=delay)
            return dumps({"outcome": "parked", "reason": error.message})


def reject(
    ctx: restate.Context | ObjectContext,
    chart: Chart,
    key: str | None,
    place: Arrival | Place,
    error: RestateTerminalError,
    arrival: Arrival | None = None,
) -> RestateTerminalError:
    """Report what nobody will ever take; the answer is to be raised."""
    letter: dict[str, Json] = {
        "source": place.source,
        "place": place.place,
        "facts": dict(place.facts),
        "key": key,
        "status": error.status_code,
        "type": (error.metadata or {}).get("type"),
        "reason": error.message[:LONGEST_REASON],
    }
    if arrival is not None:
        letter["event"] = arrival.event
        if len(dumps(arrival.payload)) <= LONGEST_PAYLOAD:
            letter["payload"] = cleaned(arrival.payload)
    message = f"{error.message} It came from {place.place}."
    event = arrival.event if arrival is not None else ""
    report.rejected(event, message, error.status_code, unheard=True, error=letter["type"], **place.facts)
    ctx.generic_send(rejected_name(chart), "_add", dumps(letter), key=place.source)
    return RestateTerminalError(message, error.status_code, metadata={**(error.metadata or {}), **place.facts})


# ── what was rejected ─────────────────────────────────────────────────────────────────────────────────────────────────


def rejected_name(chart: Chart) -> str:
    """Name of the object that remembers what was rejected: `Order.rejected`."""
    return f"{chart.name}.rejected"


def rejected_object(chart: Chart) -> restate.VirtualObject:
    """The latest rejected events of each source, which is the key: `kafka:orders`, `webhook:stripe`."""
    service = restate.VirtualObject(
        rejected_name(chart),
        description=f"What topics and webhooks have brought to {chart.name} and nobody could take.",
        ingress_private="rejected" in chart.operators_only or None,
        invocation_retry_policy=FOR_EVER,
    )

    async def add(ctx: ObjectContext, body: bytes) -> bytes:
        """Remember one more; the oldest goes."""
        total = await ctx.get("total", serde=JsonSerde[int]()) or 0
        at = datetime.fromtimestamp(await ctx.time(), UTC).isoformat(timespec="seconds")
        letter = {"number": total + 1, "at": at, **loads(body)}
        ctx.set(f"letter-{total % LETTERS:03}", dumps(letter), serde=BYTES)
        ctx.set("total", total + 1, serde=JsonSerde[int]())
        return b""

    async def list_(ctx: ObjectSharedContext, body: bytes) -> bytes:
        """List what was rejected, the latest first, and how much it was altogether."""
        total = await ctx.get("total", serde=JsonSerde[int]()) or 0
        letters: list[Json] = []
        for number in range(total, max(total - LETTERS, 0), -1):
            stored = await ctx.get(f"letter-{(number - 1) % LETTERS:03}", serde=BYTES)
            if stored is not None:
                letters.append(loads(stored))
        return dumps({"total": total, "rejected": letters})

    async def clear(ctx: ObjectContext, body: bytes) -> bytes:
        """Forget what was rejected."""
        ctx.clear_all()
        return b""

    options: dict[str, Any] = {"accept": "*/*", "input_serde": BYTES, "output_serde": BYTES}
    service.handler("_add", ingress_private=True, enable_lazy_state=True, **options)(add)
    service.handler("list", kind="shared", enable_lazy_state=True, **options)(list_)
    service.handler("clear", **options)(clear)
    return service
