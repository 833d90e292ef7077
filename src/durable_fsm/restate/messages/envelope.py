"""What goes from one machine to another, and how it gets there: messages, ends of children, and what comes back.

All of it arrives at one private handler, `_mail`, so that it is taken in the order in which it was sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

from restate import ObjectContext

from durable_fsm.core.address import address
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import failure_to_json
from durable_fsm.core.events import Failure
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.names import Handler


@dataclass(frozen=True, slots=True)
class Parent:
    """The machine that runs a child: its chart and key; and under what the child stands there."""

    chart: str
    key: str
    token: str
    id: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event for another machine, the end of a child for its parent, or a message that comes back to its sender.

    `chart`, `key` and `life` are those of the sender, `to` the receiver as the sender has written it. What a child sends
    to its parent has the `token` under which it stands there; whatever goes between the two is in the `family`, and never
    begins a machine. An envelope that comes back carries an `error`, and goes to that `life` alone.
    """

    kind: Literal["event", "end", "returned"]
    event: str = ""
    payload: Json = None
    error: dict[str, Json] | None = None
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

    def encode(self) -> bytes:
        members: dict[str, Json] = {item.name: getattr(self, item.name) for item in fields(self)}
        return dumps({name: value for name, value in members.items() if name == "payload" or value})

    @classmethod
    def decode(cls, body: bytes) -> Envelope:
        return cls(**loads(body))


def end_of(machine: Snapshot, parent: Parent) -> Envelope:
    """How a child ended, for its parent."""
    error = failure_to_json(machine.failure) if machine.failure is not None else None
    return Envelope("end", payload=machine.output, error=error, token=parent.token, id=parent.id)


def lost(parent: Parent, kind: str, message: str) -> Envelope:
    """That a child will not come to its end, for its parent."""
    return Envelope(
        "end", error=failure_to_json(Failure(kind, message, source=parent.id)), token=parent.token, id=parent.id
    )


@dataclass(frozen=True)
class Peers:
    """The charts that are served together, by name; so are all children of each of them."""

    charts: Mapping[str, Chart] = field(default_factory=dict[str, Chart])

    @classmethod
    def of(cls, charts: Iterable[Chart]) -> Peers:
        return cls({chart.name: chart for chart in charts})

    def holds_its_key(self, chart: str) -> bool:
        """Whether machines of this chart may hold their key for long."""
        served = self.charts[chart].served
        return any(activity.exclusive for one in served for activity in one.activities.values())

    def post(self, ctx: ObjectContext, sender: str, chart: str, key: str, envelope: Envelope) -> None:
        """Send an envelope.

        To send something to a service that is not there blocks whoever does it until it is. So what goes to a chart that
        is served elsewhere, or nowhere, goes by a key of its own.
        """
        if chart in self.charts:
            ctx.generic_send(chart, Handler.MAIL, envelope.encode(), key=key)
        else:
            body = dumps({"chart": chart, "key": key, "letter": envelope.encode().decode()})
            ctx.generic_send(sender, Handler.RELAY, body, key=f"{ctx.key()} > {address(chart, key)}")


async def relay(ctx: ObjectContext, body: bytes) -> bytes:
    """Send an envelope on to a chart that is served elsewhere; waits until it is."""
    order = loads(body)
    ctx.generic_send(order["chart"], Handler.MAIL, order["letter"].encode(), key=order["key"])
    return b""
