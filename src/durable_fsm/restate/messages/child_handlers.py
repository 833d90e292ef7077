"""The private handlers that a machine has as the child of another: it is begun, looked after, ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from restate import ObjectContext, ObjectSharedContext
from restate import TerminalError as RestateTerminalError

from durable_fsm.core.chart import Chart
from durable_fsm.core.dissolve import done_by, not_ended
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import changed
from durable_fsm.errors import DurableFSMError, MigrationError, SnapshotUnreadable, VersionError
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.http.errors import Located, message_of
from durable_fsm.restate.http.requests import BYTES
from durable_fsm.restate.machine.deletion import compensate
from durable_fsm.restate.machine.storage import StoredMachine
from durable_fsm.restate.machine.transaction import Transaction, parked_for
from durable_fsm.restate.machine.waiting import Waiters
from durable_fsm.restate.messages.children import ChildLinks, look_after
from durable_fsm.restate.messages.envelope import Parent, Peers
from durable_fsm.restate.names import Handler, StateKey
from durable_fsm.restate.observability.logging import log

HALT_AGAIN = timedelta(milliseconds=100)
"""When to look again whether a child that is to end holds its key; each further time is twice as long."""

HALT_TRIES = 12

UNREADABLE = (VersionError, MigrationError, SnapshotUnreadable)
"""Errors that another deployment mends: what meets one of them waits."""


@dataclass(frozen=True)
class ChildHandlers:
    """The handlers of one chart.

    `enter` visits the machine, `remove` ends it with all that belongs to it, `cut_short` cancels what holds its key.
    """

    chart: Chart
    peers: Peers
    enter: Callable[[ObjectContext], Awaitable[Transaction]]
    remove: Callable[[ObjectContext, StoredMachine, Snapshot, Waiters], Awaitable[bytes]]
    cut_short: Callable[[ObjectSharedContext, StoredMachine], Awaitable[None]]

    async def begin(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Begin as the child of another machine; what refuses the beginning is the end of it."""
        order = loads(body)
        parent = Parent(**order["parent"])

        def act(turn: Turn) -> str:
            turn.create(order["data"], life=parent.token, created_from="", parent=order["session"])
            return "created"

        transaction: Transaction | None = None
        try:
            with Located(self.chart.name, ctx.key()):
                transaction = await self.enter(ctx)
                if transaction.machine is not None:
                    return b""
                transaction.stored = changed(transaction.stored, run_by=parent)
                return await transaction.run("create", act)
        except (DurableFSMError, RestateTerminalError) as error:
            if transaction is not None and transaction.stored.machine is not None:
                raise  # it has begun, and is looked after
            if isinstance(error, DurableFSMError):
                reason, message = type(error).__name__, message_of(error)
            else:
                reason, message = "cancelled", f"machine '{parent.id}' was cancelled when it was to begin."
            ChildLinks(self.chart, ctx, self.peers).report_lost(parent, reason, message)
            return dumps({"outcome": "refused", "reason": message})

    async def end(self, ctx: ObjectContext, body: bytes) -> bytes:
        """End, with everything that belongs to this machine: nobody waits for it any more.

        What it has done is undone first. If that fails for good it stays, as a machine that has failed.
        """
        tries: int = loads(body)["tries"]
        try:
            transaction = await self.enter(ctx)
        except UNREADABLE:
            again = dumps({"tries": tries + 1})
            ctx.generic_send(self.chart.name, Handler.END, again, key=ctx.key(), send_delay=parked_for(tries))
            return b""
        if transaction.machine is not None:
            if done_by(transaction.machine) or not_ended(transaction.chart, transaction.machine):
                await compensate(transaction)
            await self.remove(ctx, transaction.stored, transaction.turn.machine, transaction.waiters)
        return b""

    async def check(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Look after this child: its parent must hear of an end that was lost, whatever an operator has killed."""
        order = loads(body)
        parent, tries = Parent(**order["parent"]), order["tries"]
        links = ChildLinks(self.chart, ctx, self.peers)
        try:
            with Located(self.chart.name, ctx.key()):
                transaction = await self.enter(ctx)
                if transaction.machine is None:
                    links.report_lost(parent, "lost", f"machine '{parent.id}' is not there.")
                    return b""
                await transaction.run("check", lambda turn: turn.machine.status)
                if transaction.turn.machine.status is not Status.RUNNING:
                    links.report(transaction.turn.machine, parent)
                    return b""
        except (DurableFSMError, RestateTerminalError) as error:
            problem = message_of(error) if isinstance(error, DurableFSMError) else error.message
            log.warning("%s/%s: could not be looked after: %s", self.chart.name, ctx.key(), problem)
        if tries is not None:
            look_after(ctx, self.chart.name, ctx.key(), parent, tries=tries + 1)
        return b""

    async def halt(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Cut short what holds the key of a machine that is to end, until it has ended."""
        tries: int = loads(body)["tries"]
        text = await ctx.get(StateKey.SNAPSHOT, serde=BYTES)
        if text is None or tries == HALT_TRIES:
            return b""
        stored = StoredMachine.decode(self.chart, text)
        await self.cut_short(ctx, stored)
        again = dumps({"tries": tries + 1})
        ctx.generic_send(self.chart.name, Handler.HALT, again, key=ctx.key(), send_delay=HALT_AGAIN * 2**tries)
        return b""
