"""What a machine sends to those that it runs, to the one that runs it, and to any other.

A child is a machine like any other, under a key that no other entry of the state has. All that goes between machines are
one-way sends, which arrive in their order.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from restate import ObjectContext

from durable_fsm.core.address import child_key, is_address, parted
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import plain
from durable_fsm.core.effects import PARENT, Effect, Post, StartMachine
from durable_fsm.core.snapshot import ChildMachine, Snapshot
from durable_fsm.core.values import Json
from durable_fsm.errors import TooLarge
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.http.requests import MAX_INPUT
from durable_fsm.restate.messages.envelope import Envelope, Parent, Peers, end_of, lost
from durable_fsm.restate.names import Handler

CHECK_FIRST = timedelta(seconds=float(os.environ.get("DURABLE_FSM_CHECK_FIRST_SECONDS", "60")))
"""When a child is first looked after; each further time comes twice as late, up to `CHECK_LONGEST`."""

CHECK_LONGEST = timedelta(hours=1)


class ChildLinks:
    """The children and the parent of one machine, in the hands of one exclusive invocation."""

    def __init__(self, chart: Chart, ctx: ObjectContext, peers: Peers) -> None:
        self.chart = chart
        self.ctx = ctx
        self.peers = peers
        self._known: dict[str, ChildMachine] = {}

    def remember(self, machine: Snapshot | None) -> None:
        """Remember who is who, to be found again when they are gone."""
        if machine is not None and machine.machines:
            self._known.update((child.token, child) for child in machine.machines)

    def refuse_too_large(self, effects: Iterable[Effect]) -> None:
        """Refuse what the platform could not carry: it would be tried again for ever.

        Raises:
            TooLarge: a message, or the data of a child, is longer than `MAX_INPUT`.
            ValueError: there is half a character in it.
        """
        for effect in effects:
            if isinstance(effect, Post | StartMachine):
                size = len(dumps(effect.payload if isinstance(effect, Post) else effect.data))
                if size > MAX_INPUT:
                    raise TooLarge(chart=self.chart.name, size=size, limit=MAX_INPUT)

    def begin(self, effect: StartMachine, session: str) -> None:
        """Begin a child, and have it looked after."""
        ctx, key = self.ctx, self.ctx.key()
        parent = Parent(self.chart.name, key, effect.token, effect.id)
        order = {"data": effect.data, "parent": plain(parent), "session": session}
        its_key = child_key(key, effect.id, effect.token)
        ctx.generic_send(effect.chart.name, Handler.BEGIN, dumps(order), key=its_key)
        look_after(ctx, effect.chart.name, its_key, parent, tries=0)

    def check(self, child: ChildMachine) -> None:
        """Look after a child now: it may have been lost on its way."""
        parent = Parent(self.chart.name, self.ctx.key(), child.token, child.id)
        body = dumps({"parent": plain(parent), "tries": None})
        self.ctx.generic_send(child.chart, Handler.CHECK, body, key=child_key(self.ctx.key(), child.id, child.token))

    def stop(self, token: str) -> None:
        """End a child; if it holds its key, that is cut short."""
        child = self._known[token]
        key = child_key(self.ctx.key(), child.id, token)
        self.ctx.generic_send(child.chart, Handler.END, b'{"tries":0}', key=key)
        if self.peers.holds_its_key(child.chart):
            self.ctx.generic_send(child.chart, Handler.HALT, b'{"tries":0}', key=key)

    def post(self, effect: Post, machine: Snapshot, parent: Parent | None) -> None:
        """Send a message; one for a parent that is none goes nowhere."""
        envelope = Envelope(
            "event",
            event=effect.event,
            payload=effect.payload,
            chart=self.chart.name,
            key=self.ctx.key(),
            life=machine.life,
            to=effect.to,
            sendid=effect.sendid,
        )
        if is_address(effect.to):
            self._send(*parted(effect.to), envelope)
        elif effect.to != PARENT:
            child = self._known[effect.to]
            key = child_key(self.ctx.key(), child.id, child.token)
            self._send(child.chart, key, replace(envelope, to=f"#_{child.id}", family=True))
        elif parent is not None:
            self._send(parent.chart, parent.key, replace(envelope, family=True, token=parent.token))

    def report(self, machine: Snapshot, parent: Parent) -> None:
        """Tell the parent that this machine is over."""
        self._send(parent.chart, parent.key, end_of(machine, parent))

    def report_lost(self, parent: Parent, kind: str, message: str) -> None:
        """Tell the parent that this machine will not come to its end."""
        self._send(parent.chart, parent.key, lost(parent, kind, message))

    def _send(self, chart: str, key: str, envelope: Envelope) -> None:
        self.peers.post(self.ctx, self.chart.name, chart, key, envelope)


def look_after(ctx: ObjectContext, chart: str, key: str, parent: Parent, *, tries: int) -> None:
    body = dumps({"parent": plain(parent), "tries": tries})
    delay = min(CHECK_FIRST * (1 << min(tries, 10)), CHECK_LONGEST)
    ctx.generic_send(chart, Handler.CHECK, body, key=key, send_delay=delay)


def shown(machine: Snapshot, key: str, parent: Parent | None) -> dict[str, Json]:
    """The family of a machine, as `snapshot` shows it."""
    children: list[Json] = [
        {
            "id": child.id,
            "chart": child.chart,
            "key": child_key(key, child.id, child.token),
            "state": child.state,
            "ended": child.ended,
        }
        for child in machine.machines
    ]
    above: Json = None if parent is None else {"chart": parent.chart, "key": parent.key, "id": parent.id}
    return {"machines": children, "parent": above}
