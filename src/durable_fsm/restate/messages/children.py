"""The sending side of a machine: to the machines that it runs, to the one that runs it, and to any other.

A child is a machine like any other, under a key that no other entry of the state has. All of it are one-way sends, which
arrive in the order in which they were made.
"""

from __future__ import annotations

from collections.abc import Iterable

from restate import ObjectContext

from durable_fsm.core.address import LONGEST_CHILD_KEY, child_key
from durable_fsm.core.chart import Chart
from durable_fsm.core.effects import Effect, Post, StartMachine
from durable_fsm.core.messages import ChildEnd, Envelope, Parent, route
from durable_fsm.core.snapshot import ChildMachine, Snapshot
from durable_fsm.core.values import Json
from durable_fsm.errors import TooLarge
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.http.requests import MAX_INPUT
from durable_fsm.restate.messages.envelope import NOW, BeginOrder, CheckOrder, post
from durable_fsm.restate.names import Handler
from durable_fsm.restate.settings import HostedChart

LONGEST_END = MAX_INPUT + 4 * 1024
"""Longest end of a child in bytes: its output, and what belongs to it."""


class ChildLinks:
    """The children and the parent of one machine, for one exclusive invocation of it."""

    def __init__(self, hosted: HostedChart, chart: Chart, ctx: ObjectContext, machine: Snapshot | None = None) -> None:
        self.hosted = hosted
        self.chart = chart
        self.ctx = ctx
        self._known: dict[str, ChildMachine] = {}
        if machine is not None:
            self.remember(machine)

    def remember(self, machine: Snapshot) -> None:
        """Remember the children: effects name one by its token, when the snapshot may not list it any more."""
        self._known.update((child.token, child) for child in machine.machines)

    def refuse_too_large(self, effects: Iterable[Effect]) -> None:
        """Refuse what Restate cannot carry: it would retry the send for ever.

        Raises:
            TooLarge: a message, or the data of a child, is longer than `MAX_INPUT`, or the key of a child is too long.
            ValueError: it has an unpaired surrogate.
        """
        for effect in effects:
            if isinstance(effect, Post | StartMachine):
                self._refuse(len(dumps(effect.payload if isinstance(effect, Post) else effect.data)), MAX_INPUT)
            if isinstance(effect, StartMachine):
                self._refuse(len(child_key(self.ctx.key(), effect.id, effect.token).encode()), LONGEST_CHILD_KEY)

    def _refuse(self, size: int, limit: int) -> None:
        if size > limit:
            raise TooLarge(chart=self.chart.name, size=size, limit=limit)

    def begin(self, effect: StartMachine, session: str) -> None:
        """Begin a child, and have it checked from time to time."""
        parent = Parent(self.chart.name, self.ctx.key(), effect.token, effect.id)
        key = child_key(self.ctx.key(), effect.id, effect.token)
        order = BeginOrder(effect.data, parent, session)
        self.ctx.generic_send(effect.chart.name, Handler.BEGIN, order.encode(), key=key)
        check_later(self.ctx, self.hosted, effect.chart.name, key, parent, tries=0)

    def check(self, child: ChildMachine) -> None:
        """Check a child now: its beginning may have been lost."""
        parent = Parent(self.chart.name, self.ctx.key(), child.token, child.id)
        self.ctx.generic_send(child.chart, Handler.CHECK, CheckOrder(parent, None).encode(), key=self._key_of(child))

    def stop(self, token: str) -> None:
        """End a child; cut short an exclusive activity that holds its key."""
        child = self._known[token]
        if child.chart not in self.hosted.peers:
            return  # an operator has written that: a send to a service that does not exist would block the key
        self.ctx.generic_send(child.chart, Handler.END, NOW, key=self._key_of(child))
        if self.hosted.may_hold_its_key(child.chart):
            self.ctx.generic_send(child.chart, Handler.HALT, NOW, key=self._key_of(child))

    def post(self, effect: Post, machine: Snapshot, parent: Parent | None) -> None:
        """Send a message. One to the parent of a machine that has none is dropped."""
        found = route(effect, machine, self.ctx.key(), self._known, parent)
        if found is not None:
            self._send(found.chart, found.key, found.message)

    def report(self, machine: Snapshot, parent: Parent) -> None:
        """Tell the parent that this machine has ended. An output that is too long is a failure, as that of an activity."""
        end = ChildEnd.of(machine, parent)
        size = len(dumps(end))
        if size > LONGEST_END:
            problem = TooLarge(chart=self.chart.name, size=size, limit=MAX_INPUT).what
            words = f"the output of machine '{parent.id}' is too long: {problem}"
            end = ChildEnd.lost(self.chart.name, parent, "TooLarge", words)
        self._send(parent.chart, parent.key, end)

    def report_lost(self, parent: Parent, kind: str, message: str) -> None:
        """Tell the parent that this machine will not reach its end."""
        self._send(parent.chart, parent.key, ChildEnd.lost(self.chart.name, parent, kind, message))

    def _key_of(self, child: ChildMachine) -> str:
        return child_key(self.ctx.key(), child.id, child.token)

    def _send(self, chart: str, key: str, envelope: Envelope) -> None:
        post(self.ctx, self.hosted, chart, key, envelope)


def check_later(ctx: ObjectContext, hosted: HostedChart, chart: str, key: str, parent: Parent, *, tries: int) -> None:
    """Have a child checked after a while, which grows with each check."""
    delay = hosted.settings.checking.delay(tries)
    ctx.generic_send(chart, Handler.CHECK, CheckOrder(parent, tries).encode(), key=key, send_delay=delay)


def family_of(machine: Snapshot, key: str, parent: Parent | None) -> dict[str, Json]:
    """The children and the parent of a machine, as `snapshot` shows them."""
    children: list[Json] = [
        {
            "id": child.id,
            "chart": child.chart,
            "key": child_key(key, child.id, child.token),
            "state": child.state,
            "ended": child.ended,
            "failed": child.failed,
        }
        for child in machine.machines
    ]
    above: Json = None if parent is None else {"chart": parent.chart, "key": parent.key, "id": parent.id}
    return {"machines": children, "parent": above}
