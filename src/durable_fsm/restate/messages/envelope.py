"""What one machine sends to another: messages, ends of children, and messages that come back.

All of it arrives at one private handler, `_mail`, so that the receiver takes it in the order in which it was sent.
"""

from __future__ import annotations

from typing import Literal

from restate import ObjectContext

from durable_fsm.core.address import address
from durable_fsm.core.events import Failure
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import WireRecord
from durable_fsm.restate.names import Handler
from durable_fsm.restate.settings import HostedChart


class Parent(WireRecord, frozen=True):
    """The machine that runs a child: its chart and key, and the token and id that the child has there."""

    chart: str
    key: str
    token: str
    id: str


class Envelope(WireRecord, frozen=True):
    """A message, the end of a child, or a message that comes back to its sender.

    Attributes:
        error: of a child that failed, or why a message comes back.
        token: of the child that sends to its parent.
        id: of the child that ended.
        family: whether it goes between a parent and its child. Then it never begins a machine.
        chart: of the sender, as `key` and `life`. What comes back goes to that `life` alone.
        to: the receiver, as the sender wrote it.
        tries: how often it was sent again.
    """

    kind: Literal["event", "end", "returned"]
    event: str = ""
    payload: Json = None
    error: Failure | None = None
    token: str = ""
    id: str = ""
    family: bool = False
    chart: str = ""
    key: str = ""
    life: str = ""
    to: str = ""
    sendid: str = ""
    tries: int = 0

    @property
    def sender(self) -> str:
        return address(self.chart, self.key)


class RelayOrder(WireRecord, frozen=True):
    """An envelope, as text, on its way to a chart that is served elsewhere."""

    chart: str
    key: str
    letter: str


class BeginOrder(WireRecord, frozen=True):
    """The order to begin as a child."""

    data: Json
    parent: Parent
    session: str


class CheckOrder(WireRecord, frozen=True):
    """The order to check a child; `tries` counts the checks so far, and is None for one that is not repeated."""

    parent: Parent
    tries: int | None


class Again(WireRecord, frozen=True):
    """The order to do something again; `tries` counts how often it was done."""

    tries: int


class MailAgain(WireRecord, frozen=True):
    """The order to try the envelopes that wait; `again` counts how often that was done."""

    again: int


NOW = b'{"tries":0}'
"""`Again`, for the first time."""


def end_of(machine: Snapshot, parent: Parent) -> Envelope:
    """How a child ended, for its parent."""
    return Envelope("end", payload=machine.output, error=machine.failure, token=parent.token, id=parent.id)


def lost(parent: Parent, kind: str, message: str) -> Envelope:
    """That a child will not reach its end, for its parent."""
    return Envelope("end", error=Failure(kind, message, source=parent.id), token=parent.token, id=parent.id)


def post(ctx: ObjectContext, hosted: HostedChart, chart: str, key: str, envelope: Envelope) -> None:
    """Send an envelope from a machine of *hosted* to the machine *key* of *chart*."""
    if chart in hosted.peers:
        ctx.generic_send(chart, Handler.MAIL, envelope.encode(), key=key)
        return
    # A send to a service that is not registered blocks its sender until the service is. So the send is made under a
    # key of its own.
    body = RelayOrder(chart, key, envelope.encode().decode()).encode()
    ctx.generic_send(hosted.name, Handler.RELAY, body, key=f"{ctx.key()} > {address(chart, key)}")


async def relay(ctx: ObjectContext, body: bytes) -> bytes:
    """Send an envelope to a chart that is served elsewhere; this blocks until it is."""
    order = RelayOrder.decode(body)
    ctx.generic_send(order.chart, Handler.MAIL, order.letter.encode(), key=order.key)
    return b""
