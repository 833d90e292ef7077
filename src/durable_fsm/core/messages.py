"""Messages between machines: where each goes, what it is for its receiver, and what its sender hears of it.

The rules are here. The host carries messages through Restate, and the Rehearsal in memory. There are three kinds: a
message, the end of a child for its parent, and a message that comes back because its receiver refused it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from msgspec import Struct

from durable_fsm.core.address import address, child_key, is_address, parted
from durable_fsm.core.chart import Chart
from durable_fsm.core.effects import PARENT, Post
from durable_fsm.core.events import UNREACHABLE, Event, Failure, Letter, Origin
from durable_fsm.core.program import index_of
from durable_fsm.core.snapshot import ChildMachine, Snapshot
from durable_fsm.core.values import Json, changed


class Parent(Struct, frozen=True):
    """The machine that runs a child: its chart and key, and the token and id that the child has there."""

    chart: str
    key: str
    token: str
    id: str

    def child(self, chart: str) -> str:
        """The child, as `chart/key`."""
        return f"{chart}/{child_key(self.key, self.id, self.token)}"


class Message(Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="event"):
    """An event for another machine.

    Attributes:
        token: of the child that sends to its parent.
        family: whether it goes between a parent and its child. Then it never begins a machine.
        chart: of the sender, as `key` and `life`.
        to: the receiver, as the sender wrote it.
    """

    event: str = ""
    payload: Json = None
    token: str = ""
    family: bool = False
    chart: str = ""
    key: str = ""
    life: str = ""
    to: str = ""
    sendid: str = ""

    def for_receiver(self) -> Event:
        """The event that the receiver takes. Outside the family, the sender is one among all that may send."""
        letter = self.letter
        if not self.family:
            sender = address(self.chart, self.key)
            return Event(self.event, self.payload, sendid=self.sendid, sender=sender, letter=letter)
        return Event(
            self.event,
            self.payload,
            Origin.MACHINE,
            token=self.token or None,
            sendid=self.sendid,
            sender=f"{self.chart}.{self.life}",
            letter=letter,
        )

    @property
    def letter(self) -> Letter:
        return Letter(self.chart, self.key, self.life, self.event, self.to, self.sendid)


class ChildEnd(Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="end"):
    """The end of a child, for its parent; `token` and `id` are those that the child has there."""

    token: str = ""
    id: str = ""
    payload: Json = None
    error: Failure | None = None

    @classmethod
    def of(cls, machine: Snapshot, parent: Parent) -> ChildEnd:
        """How a child ended."""
        failure = machine.failure
        if failure is not None:
            failure = changed(failure, machine=parent.child(machine.chart))
        return cls(parent.token, parent.id, machine.output, failure)

    @classmethod
    def lost(cls, chart: str, parent: Parent, type: str, reason: str) -> ChildEnd:
        """A child of *chart* will not reach its end."""
        failure = Failure(type, reason, source=parent.id, machine=parent.child(chart))
        return cls(parent.token, parent.id, error=failure)

    def for_receiver(self) -> Event:
        """The event that the parent takes."""
        outcome, payload = ("done", self.payload) if self.error is None else ("error", self.error)
        return Event(f"{outcome}.invoke.{self.id}", payload, Origin.PLATFORM, token=self.token, invokeid=self.id)


class Returned(Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="returned"):
    """A message that comes back, to the `life` that sent it alone; `tries` counts how often it was sent again."""

    error: Failure
    life: str = ""
    tries: int = 0

    @classmethod
    def of(cls, letter: Letter, type: str, reason: str, code: int | None = None) -> Returned:
        """The answer to the sender of a message that the receiver refuses."""
        facts: dict[str, Json] = {"event": letter.event, "to": letter.to}
        if letter.sendid:
            facts["sendid"] = letter.sendid
        return cls(Failure(type, reason, code, facts, source=letter.to), letter.life)

    def for_receiver(self, chart: Chart) -> Event | None:
        """The event that the sender takes; None if its chart does not listen."""
        if not index_of(chart).knows(UNREACHABLE):
            return None
        facts = self.error.metadata
        sendid = str(facts.get("sendid", "")) if isinstance(facts, dict) else ""
        return Event(UNREACHABLE, self.error, Origin.PLATFORM, sendid=sendid)


Envelope: TypeAlias = Message | ChildEnd | Returned


class Route(NamedTuple):
    """The machine to which a message goes."""

    chart: str
    key: str
    message: Message


def route(
    effect: Post, machine: Snapshot, key: str, children: Mapping[str, ChildMachine], parent: Parent | None
) -> Route | None:
    """Find the receiver of what *machine* sends; None if it is for a parent or a child that does not exist.

    *children* are those of the machine by token; the effect may name one that the snapshot does not list any more.
    """
    to, family, token = effect.to, True, ""
    if is_address(effect.to):
        receiver, family = parted(effect.to), False
    elif effect.to != PARENT:
        child = children.get(effect.to)
        if child is None:
            return None
        receiver, to = (child.chart, child_key(key, child.id, child.token)), f"#_{child.id}"
    elif parent is not None:
        receiver, token = (parent.chart, parent.key), parent.token
    else:
        return None
    message = Message(
        event=effect.event,
        payload=effect.payload,
        token=token,
        family=family,
        chart=machine.chart,
        key=key,
        life=machine.life,
        to=to,
        sendid=effect.sendid,
    )
    return Route(*receiver, message)
