"""A message that another machine does not take comes back to its sender, as a failure."""

from __future__ import annotations

from durable_fsm.core.chart import Chart
from durable_fsm.core.events import UNREACHABLE, Event, Failure, Origin
from durable_fsm.core.program import index_of
from durable_fsm.core.values import Json
from durable_fsm.errors import DurableFSMError


def refusal(error: DurableFSMError, *, event: str, to: str, sendid: str = "") -> Failure:
    """Why a machine did not take the message *event*; *to* is the receiver as the sender has written it."""
    return returned(type(error).__name__, str(error), event=event, to=to, sendid=sendid)


def returned(type: str, message: str, *, code: int | None = None, event: str, to: str, sendid: str = "") -> Failure:
    """A message that was not taken, for its sender."""
    facts: dict[str, Json] = {"event": event, "to": to}
    return Failure(type, message, code, {**facts, **({"sendid": sendid} if sendid else {})}, source=to)


def came_back_as(chart: Chart, failure: Failure) -> Event | None:
    """The event that tells the sender; None if its chart does not listen."""
    if not index_of(chart).knows(UNREACHABLE):
        return None
    facts = failure.metadata
    sendid = str(facts.get("sendid", "")) if isinstance(facts, dict) else ""
    return Event(UNREACHABLE, failure, Origin.PLATFORM, sendid=sendid)
