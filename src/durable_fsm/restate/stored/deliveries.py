"""Deliveries: timers and outcomes on their way to their machine, and the list of those that could not be processed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self, cast

import msgspec

from durable_fsm import errors
from durable_fsm.core.codec import MILLISECOND, plain
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.limits import GRANTED
from durable_fsm.core.values import Json, changed
from durable_fsm.restate.clock import instant
from durable_fsm.restate.fastjson import WireRecord
from durable_fsm.restate.observability.places import place_behind
from durable_fsm.restate.observability.texts import said
from durable_fsm.restate.stored.history import Instant

LATE = timedelta(minutes=1)
"""After this time, the next try of a parked delivery is not expected any more."""


class Delivery(WireRecord, frozen=True):
    """A timer or an outcome on its way to its machine.

    Attributes:
        activity: id of the activity or child that ended; None for a timer, or an event that the machine sent itself.
        result: of the activity, if it is done.
        error: of the activity, if it failed.
        tries: how often the delivery was parked.
        granted: whether the activity has only now got a slot of its limit, and begins.
    """

    token: str
    activity: str | None = None
    result: Json = None
    error: Failure | None = None
    tries: int = 0
    granted: bool = False

    @property
    def event(self) -> Event:
        if self.activity is None:
            return Event("timer", origin=Origin.PLATFORM, token=self.token)
        if self.granted:
            return Event(f"{GRANTED}{self.activity}", None, Origin.PLATFORM, token=self.token)
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
        if event.name.startswith(GRANTED):
            return cls(event.token, event.name.removeprefix(GRANTED), granted=True)
        for prefix in ("done.invoke.", "error.invoke."):
            if event.name.startswith(prefix):
                activity = event.name.removeprefix(prefix)
                if isinstance(event.payload, Failure):
                    return cls(event.token, activity, error=event.payload)
                return cls(event.token, activity, result=plain(event.payload))
        return cls(event.token)


class ParkedDelivery(Delivery, frozen=True):
    """A delivery that could not be processed, as operators see it.

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
