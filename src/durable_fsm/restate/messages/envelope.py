"""How messages between machines travel, and the orders of a parent to its child; `core.messages` has the rules.

All of it arrives at one private handler, `_mail`, so that the receiver takes it in the order in which it was sent.
"""

from __future__ import annotations

import restate
from restate import ObjectContext

from durable_fsm.core.address import relay_key
from durable_fsm.core.chart import Chart
from durable_fsm.core.events import Letter
from durable_fsm.core.messages import Envelope, Parent, Returned
from durable_fsm.core.values import Json
from durable_fsm.errors import DurableFSMError, http_status
from durable_fsm.restate.fastjson import WireRecord, dumps
from durable_fsm.restate.http.errors import message_of
from durable_fsm.restate.http.requests import FOR_EVER
from durable_fsm.restate.names import Handler, relay_name
from durable_fsm.restate.registration import register
from durable_fsm.restate.settings import HostedChart


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
    """The order to try the envelopes that wait; `again` counts how often that was done.

    `letter` is one that could not be put behind them, because the list of them could not be read.
    """

    again: int
    letter: str = ""


NOW = b'{"tries":0}'
"""`Again`, for the first time."""


def post(ctx: ObjectContext, hosted: HostedChart, chart: str, key: str, envelope: Envelope) -> None:
    """Send an envelope from a machine of *hosted* to the machine *key* of *chart*."""
    if chart in hosted.peers:
        ctx.generic_send(chart, Handler.MAIL, dumps(envelope), key=key)
        return
    # A send to a service that is not registered blocks its sender until the service is. So the send is made under a
    # key of its own, in an object that no client reaches: a client could occupy a key of the machines' own object.
    body = RelayOrder(chart, key, dumps(envelope).decode()).encode()
    ctx.generic_send(relay_name(hosted.chart), Handler.RELAY, body, key=relay_key(ctx.key(), chart, key))


def send_back(ctx: ObjectContext, hosted: HostedChart, letter: Letter, error: DurableFSMError) -> None:
    """Tell the sender of a message why it was not accepted."""
    status = http_status(error)
    code = None if status == 500 else status
    post(ctx, hosted, letter.chart, letter.key, Returned.of(letter, type(error).__name__, message_of(error), code))


def relays(chart: Chart) -> restate.VirtualObject:
    """The object that sends messages of a chart's machines to charts that are served elsewhere."""
    service = restate.VirtualObject(
        relay_name(chart),
        description=f"Sends messages of {chart.name}'s machines to charts of other applications.",
        ingress_private=True,
        invocation_retry_policy=FOR_EVER,
    )
    register(service, Handler.RELAY, relay, chart=chart, retried=True)
    return service


async def relay(ctx: ObjectContext, body: bytes) -> bytes:
    """Send an envelope to a chart that is served elsewhere; this blocks until it is."""
    order = RelayOrder.decode(body)
    ctx.generic_send(order.chart, Handler.MAIL, order.letter.encode(), key=order.key)
    return b""
