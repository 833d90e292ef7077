"""Deliveries: timers and outcomes on their way to their machine, and those that are parked until they can be taken."""

from __future__ import annotations

from typing import cast

import msgspec
from restate import ObjectContext, ObjectSharedContext

from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import plain
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.values import Json, changed
from durable_fsm.restate.fastjson import WireRecord, dumps
from durable_fsm.restate.http.requests import BYTES, MAX_SNAPSHOT
from durable_fsm.restate.machine.storage import load_list
from durable_fsm.restate.names import Handler, StateKey
from durable_fsm.restate.settings import HostedChart


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

read_parked = msgspec.json.Decoder(dict[str, Delivery]).decode


def park(ctx: ObjectContext, hosted: HostedChart, delivery: Delivery, *, tries: int) -> None:
    """Send a delivery to its machine again later."""
    body = changed(delivery, tries=tries + 1).encode()
    delay = hosted.settings.parking.delay(tries)
    ctx.generic_send(hosted.name, Handler.PARKED, body, key=ctx.key(), send_delay=delay)


async def load_parked(ctx: ObjectContext | ObjectSharedContext, chart: Chart) -> dict[str, Delivery]:
    """The parked deliveries that operators see, by token."""
    return await load_list(ctx, chart, StateKey.PARKED, read_parked)


async def keep_parked(ctx: ObjectContext, chart: Chart, parked: list[Delivery], live: set[str] | None = None) -> None:
    """List parked deliveries for operators; those whose token is not *live* any more leave the list.

    The list is as long as can be stored. A delivery that does not fit is missing from it, and is sent again all the same.
    """
    latest = {delivery.token: delivery for delivery in parked}
    known = {**latest, **await load_parked(ctx, chart), **latest}
    listed: dict[str, Json] = {}
    room = MAX_SNAPSHOT
    for token, delivery in known.items():
        size = len(delivery.encode())
        if (live is None or token in live) and size <= room:
            room -= size
            listed[token] = cast("Json", delivery)
    ctx.set(StateKey.PARKED, dumps(listed), serde=BYTES)
