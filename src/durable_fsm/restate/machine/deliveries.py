"""Deliveries: timers and outcomes on their way to their machine, and those that are parked until they can be taken."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self, cast

import msgspec
from restate import ObjectContext, ObjectSharedContext

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import MILLISECOND, milliseconds, plain
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.values import Json, changed
from durable_fsm.restate.clock import instant
from durable_fsm.restate.fastjson import WireRecord, dumps
from durable_fsm.restate.history import Instant
from durable_fsm.restate.http.errors import said
from durable_fsm.restate.http.requests import BYTES, MAX_SNAPSHOT
from durable_fsm.restate.machine.storage import load_list
from durable_fsm.restate.names import Handler, StateKey
from durable_fsm.restate.observability import report
from durable_fsm.restate.observability.places import place_behind
from durable_fsm.restate.settings import HostedChart

LATE = timedelta(minutes=1)
"""After this time, the next try of a parked delivery is not expected any more."""


class Delivery(WireRecord, frozen=True):
    """A timer or an outcome on its way to its machine.

    Attributes:
        activity: id of the activity or child that ended; None for a timer, or an event that the machine sent itself.
        result: of the activity, if it is done.
        error: of the activity, if it failed.
        tries: how often the delivery was parked.
    """

    token: str
    activity: str | None = None
    result: Json = None
    error: Failure | None = None
    tries: int = 0

    @property
    def event(self) -> Event:
        if self.activity is None:
            return Event("timer", origin=Origin.PLATFORM, token=self.token)
        if self.error is not None:
            return Event(f"error.invoke.{self.activity}", self.error, Origin.PLATFORM, token=self.token)
        return Event(f"done.invoke.{self.activity}", self.result, Origin.PLATFORM, token=self.token)

    def event_of(self, child: str) -> Event:
        """The event, as the end of a child."""
        return changed(self.event, invokeid=child)

    @classmethod
    def of(cls, event: Event) -> Delivery:
        """The delivery that brings *event* again."""
        assert event.token is not None
        for prefix in ("done.invoke.", "error.invoke."):
            if event.name.startswith(prefix):
                activity = event.name.removeprefix(prefix)
                if isinstance(event.payload, Failure):
                    return cls(event.token, activity, error=event.payload)
                return cls(event.token, activity, result=plain(event.payload))
        return cls(event.token)


# ── parking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class ParkedDelivery(Delivery, frozen=True):
    """A delivery that could not be taken, as operators see it.

    Attributes:
        type: of the error, as `reason` and `place` are; that is where the author's code raised it.
        since: when it was first parked, in milliseconds since 1970.
        next: when it will be tried again.
    """

    type: str = ""
    reason: str = ""
    place: str = ""
    since: Instant = 0
    next: Instant = 0

    @classmethod
    def of_failed(cls, delivery: Delivery, error: errors.DurableFSMError, *, at: int) -> Self:
        """The delivery, and why it has just failed."""
        facts = {name: getattr(delivery, name) for name in Delivery.__struct_fields__}
        kind, reason, place = type(error).__name__, said(error.what), place_behind(error)
        return cls(**facts, type=kind, reason=reason, place=place, since=at)

    @property
    def view(self) -> dict[str, Json]:
        """As `snapshot` shows it."""
        shown = cast("dict[str, Json]", msgspec.to_builtins(self))
        return {**shown, "event": self.event.name, "since": instant(self.since), "next": instant(self.next)}

    def is_on_its_way(self, now: datetime) -> bool:
        """Whether its next try is still to come; after a minute an operator may have killed that."""
        is_stamped = self.since > 0
        return not is_stamped or now.timestamp() * 1_000 < self.next + LATE // MILLISECOND


read_parked = msgspec.json.Decoder(dict[str, ParkedDelivery]).decode


def park(
    ctx: ObjectContext, hosted: HostedChart, delivery: Delivery, error: errors.DurableFSMError, *, tries: int
) -> ParkedDelivery:
    """Send a delivery, which failed with this error, to its machine again later."""
    again, delay = changed(delivery, tries=tries + 1), hosted.settings.parking.delay(tries)
    record = ParkedDelivery.of_failed(again, error, at=hosted.settings.stamp())
    report.parked(delivery.event.name, record.reason, tries, record.place)
    report.raised(error)
    ctx.generic_send(hosted.name, Handler.PARKED, again.encode(), key=ctx.key(), send_delay=delay)
    return changed(record, next=record.since + milliseconds(delay))


async def load_parked(ctx: ObjectContext | ObjectSharedContext, chart: Chart) -> dict[str, ParkedDelivery]:
    """The parked deliveries that operators see, by token."""
    return await load_list(ctx, chart, StateKey.PARKED, read_parked)


async def keep_parked(
    ctx: ObjectContext, chart: Chart, parked: list[ParkedDelivery], live: set[str] | None = None
) -> None:
    """List parked deliveries for operators; those whose token is not *live* any more leave the list.

    The list is as long as can be stored. A delivery that does not fit is missing from it, and is sent again all the same.
    """
    before = await load_parked(ctx, chart)
    latest = {one.token: changed(one, since=before.get(one.token, one).since) for one in parked}
    known = {**latest, **{token: old for token, old in before.items() if token not in latest}}
    listed: dict[str, Json] = {}
    room = MAX_SNAPSHOT
    for token, delivery in known.items():
        size = len(delivery.encode())
        if (live is None or token in live) and size <= room:
            room -= size
            listed[token] = cast("Json", delivery)
    if listed:
        ctx.set(StateKey.PARKED, dumps(listed), serde=BYTES)
    elif before:
        ctx.clear(StateKey.PARKED)
