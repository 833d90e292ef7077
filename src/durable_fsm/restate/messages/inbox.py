"""The private handlers that take what other machines send.

`Inbox` processes messages, ends of children, and messages that come back, in the order in which they were sent. If this
deployment cannot read the machine, they wait in that order for another deployment, and hold no key meanwhile.

`ChildHandlers` takes the orders of a parent: begin, report, end.
"""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from restate import ObjectContext, ObjectSharedContext
from restate import TerminalError as RestateTerminalError

from durable_fsm import errors
from durable_fsm.core.address import is_child_key
from durable_fsm.core.deletion import completed_work, unfinished_work
from durable_fsm.core.durations import Backoff
from durable_fsm.core.effects import Outcome
from durable_fsm.core.messages import ChildEnd, Envelope, Message, Returned
from durable_fsm.core.snapshot import Status
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import Json, changed
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.http.errors import Located, message_of
from durable_fsm.restate.http.requests import BYTES
from durable_fsm.restate.machine.cancelling import cancel_exclusive
from durable_fsm.restate.machine.deletion import compensate, delete
from durable_fsm.restate.machine.deliveries import keep_parked, park
from durable_fsm.restate.machine.storage import Caller, StoredMachine, load_state
from durable_fsm.restate.machine.transaction import Transaction
from durable_fsm.restate.messages.children import ChildLinks, check_later
from durable_fsm.restate.messages.envelope import NOW, Again, BeginOrder, CheckOrder, MailAgain, send_back
from durable_fsm.restate.names import Handler, StateKey
from durable_fsm.restate.observability import report
from durable_fsm.restate.observability.logging import log
from durable_fsm.restate.settings import HostedChart
from durable_fsm.restate.stored.deliveries import Delivery
from durable_fsm.restate.stored.letters import read, read_all

UNREADABLE = (errors.VersionError, errors.MigrationError, errors.SnapshotUnreadable, errors.Paused)
"""Errors that another deployment or an operator can fix: the message waits for that."""

MOST_LETTERS = 1_000
"""How many messages may wait for a machine that this deployment cannot read."""

MOST_LETTER_BYTES = 4 * 1024 * 1024
"""Their length together. They are stored as one text: beyond 32 MiB the platform would retry for ever."""

HALTING = Backoff(timedelta(milliseconds=100))
HALT_TRIES = 12
"""How often to look again for an exclusive activity that holds the key of a machine which is to end."""


class Inbox(HostedChart):
    """Takes what machines send to the machines of one chart."""

    async def mail(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Take an envelope, behind those that wait; or try those again, if that is the order."""
        again = MailAgain.decode(body) if body.startswith(b'{"again"') else None
        letter = body.decode() if again is None else again.letter
        arrived = [read(letter)] if letter else []
        waiting: list[Envelope] = []
        try:
            waiting = await load_state(ctx, self.chart, StateKey.LETTERS, read_all, waiting)
        except errors.SnapshotUnreadable as error:
            log.warning("%s/%s: %s A message to it waits.", self.name, ctx.key(), error.what)
            self._again_later(ctx, 0 if again is None else again.again, letter)
            return dumps({"waiting": len(arrived)})
        left = [*waiting, *arrived]
        while left and await self._take(ctx, left[0]):
            del left[0]
        if arrived and left and _are_too_many(left):
            self._turn_away(ctx, left.pop(), len(left))
        if left != waiting:
            if left:
                ctx.set(StateKey.LETTERS, dumps(_texts(left)), serde=BYTES)
            else:
                ctx.clear(StateKey.LETTERS)
        if left and (again is not None or not waiting):
            self._again_later(ctx, 0 if again is None else again.again)
        return dumps({"waiting": len(left)})

    def _again_later(self, ctx: ObjectContext, tries: int, letter: str = "") -> None:
        order, delay = MailAgain(tries + 1, letter).encode(), self.settings.parking.delay(tries)
        ctx.generic_send(self.name, Handler.MAIL, order, key=ctx.key(), send_delay=delay)

    def _turn_away(self, ctx: ObjectContext, envelope: Envelope, waiting: int) -> None:
        """Keep no envelope any more: a message goes back to its sender, and all others come again later."""
        event = "" if isinstance(envelope, Returned) else envelope.for_receiver().name
        error = errors.TooManyDeferred(chart=self.name, key=ctx.key(), event=event, waiting=waiting)
        match envelope:
            case Message():
                send_back(ctx, self, envelope.letter, error)
            case ChildEnd():
                park(ctx, self, _delivery_of(envelope), error, tries=0)
            case Returned():
                self._return_later(ctx, envelope)

    async def _take(self, ctx: ObjectContext, envelope: Envelope) -> bool:
        """Take one envelope; False if it has to wait for another deployment."""
        try:
            with Located(self.name, ctx.key()):
                transaction = await Transaction.load(self, ctx)
        except UNREADABLE as error:
            log.warning("%s A message to it waits.", message_of(error))
            return False
        match envelope:
            case Message():
                await self._message(ctx, transaction, envelope)
            case ChildEnd():
                await self._end(ctx, transaction, envelope)
            case Returned():
                await self._returned(ctx, transaction, envelope)
        return True

    async def _message(self, ctx: ObjectContext, transaction: Transaction, message: Message) -> None:
        """Process a message. One that the machine refuses goes back to its sender."""
        event = await transaction.completed(message.for_receiver())
        report.sent_by(f"machine:{message.letter.chart}/{message.letter.key}")

        def act(turn: Turn) -> Outcome:
            return turn.take(event)

        try:
            with Located(self.name, ctx.key()):
                if message.token and not self._runs(transaction, message):
                    return
                if transaction.machine is None and (message.family or is_child_key(ctx.key())):
                    raise errors.NotStarted(chart=self.name, remedy="It has ended, or was never begun.")
                await transaction.run(message.event, act, autostart=None if message.family else event)
        except errors.DurableFSMError as error:
            report.raised(error)
            send_back(ctx, self, message.letter, error)

    def _runs(self, transaction: Transaction, message: Message) -> bool:
        """True if the machine still runs the child that sends. A child that it does not run is asked again to end."""
        children = transaction.machine.machines if transaction.machine is not None else ()
        if any(child.token == message.token for child in children):
            return True
        if message.chart in self.peers:
            transaction.ctx.generic_send(message.chart, Handler.END, NOW, key=message.key)
        return False

    async def _end(self, ctx: ObjectContext, transaction: Transaction, envelope: ChildEnd) -> None:
        """Take the end of a child. It is parked if the machine cannot take it now."""
        if transaction.machine is None:
            return
        delivery = _delivery_of(envelope)
        event = await transaction.completed(delivery.event_of(envelope.id))
        try:
            with Located(self.name, ctx.key()):
                await transaction.run(event.name, lambda turn: str(turn.deliver(event)))
        except errors.DurableFSMError as error:
            await keep_parked(ctx, self.chart, [park(ctx, self, delivery, error, tries=0)])

    async def _returned(self, ctx: ObjectContext, transaction: Transaction, returned: Returned) -> None:
        """Tell this machine that its message was refused; log that, if its chart does not listen."""
        failure = returned.error
        event = returned.for_receiver(transaction.chart)
        machine = transaction.machine
        outcome: Outcome | str = Outcome.IGNORED

        def act(turn: Turn) -> Outcome | str:
            nonlocal outcome
            assert event is not None
            outcome = turn.take(event)
            return outcome

        try:
            with Located(self.name, ctx.key()):
                if machine is not None and machine.life == returned.life and event is not None:
                    await transaction.run(event.name, act)
        except errors.Finished:
            pass
        except errors.DurableFSMError as error:
            report.raised(error)
            self._return_later(ctx, returned)
            return
        if outcome is Outcome.IGNORED:
            facts = cast("dict[str, str]", failure.metadata or {})
            words = "%s/%s: message '%s' to %s came back: %s"
            log.warning(words, self.name, ctx.key(), facts.get("event"), facts.get("to"), failure.message)

    def _return_later(self, ctx: ObjectContext, returned: Returned) -> None:
        again = changed(returned, tries=returned.tries + 1)
        delay = self.settings.parking.delay(returned.tries)
        ctx.generic_send(self.name, Handler.MAIL, dumps(again), key=ctx.key(), send_delay=delay)


def _texts(envelopes: list[Envelope]) -> list[Json]:
    """Envelopes as they are stored while they wait."""
    return [dumps(envelope).decode() for envelope in envelopes]


def _are_too_many(envelopes: list[Envelope]) -> bool:
    return len(envelopes) > MOST_LETTERS or len(dumps(_texts(envelopes))) > MOST_LETTER_BYTES


def _delivery_of(end: ChildEnd) -> Delivery:
    return Delivery(end.token, end.id, result=end.payload, error=end.error)


class ChildHandlers(HostedChart):
    """Takes what the parent of a machine orders."""

    async def begin(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Begin as the child of another machine. If that is refused, the parent hears that the child has ended."""
        order = BeginOrder.decode(body)
        parent = order.parent

        transaction: Transaction | None = None
        try:
            with Located(self.name, ctx.key()):
                transaction = await Transaction.load(self, ctx)
                if transaction.machine is not None:
                    return b""
                transaction.stored = changed(transaction.stored, run_by=parent)
                data = await transaction.initial_data(order.data)

                def act(turn: Turn) -> str:
                    turn.create(data, life=parent.token, created_from="", parent=order.session)
                    return "created"

                return await transaction.run("create", act)
        except (errors.DurableFSMError, RestateTerminalError) as error:
            if transaction is not None and transaction.machine is not None:
                raise  # it has begun, and its parent checks it
            report.raised(error)
            if isinstance(error, errors.DurableFSMError):
                reason, message = type(error).__name__, message_of(error)
            else:
                reason, message = "cancelled", f"machine '{parent.id}' was cancelled when it was to begin."
            ChildLinks(self, self.chart, ctx).report_lost(parent, reason, message)
            return dumps({"outcome": "refused", "reason": message})

    async def end(self, ctx: ObjectContext, body: bytes) -> bytes:
        """End this machine, with everything that belongs to it: its parent does not wait for it any more.

        Completed work is undone first. If that fails for good, the machine stays, as one that has failed.
        """
        tries = Again.decode(body).tries
        try:
            transaction = await Transaction.load(self, ctx, by=Caller.OPERATOR)
        except UNREADABLE:
            order, delay = Again(tries + 1).encode(), self.settings.parking.delay(tries)
            ctx.generic_send(self.name, Handler.END, order, key=ctx.key(), send_delay=delay)
            return b""
        if transaction.machine is not None:
            if completed_work(transaction.machine) or unfinished_work(transaction.chart, transaction.machine):
                await compensate(transaction)
            await delete(self, ctx, transaction.stored, transaction.turn.machine, transaction.waiters)
        return b""

    async def check(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Report an end that may have been lost, for example because an operator killed an invocation."""
        order = CheckOrder.decode(body)
        parent, links = order.parent, ChildLinks(self, self.chart, ctx)
        try:
            with Located(self.name, ctx.key()):
                transaction = await Transaction.load(self, ctx)
                if transaction.machine is None:
                    links.report_lost(parent, "lost", f"machine '{parent.id}' is not there.")
                    return b""
                await transaction.run("check", lambda turn: turn.machine.status)
                if transaction.turn.machine.status is not Status.RUNNING:
                    links.report(transaction.turn.machine, parent)
                    return b""
        except (errors.DurableFSMError, RestateTerminalError) as error:
            problem = message_of(error) if isinstance(error, errors.DurableFSMError) else error.message
            log.warning("%s/%s: could not be checked: %s", self.name, ctx.key(), problem)
        if order.tries is not None:
            check_later(ctx, self, self.name, ctx.key(), parent, tries=order.tries + 1)
        return b""

    async def halt(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Cancel the exclusive activity that holds the key of a machine which is to end; look again until it has."""
        tries = Again.decode(body).tries
        text = await ctx.get(StateKey.SNAPSHOT, serde=BYTES)
        if text is None or tries == HALT_TRIES:
            return b""
        await cancel_exclusive(ctx, self, StoredMachine.decode(self.chart, text))
        order, delay = Again(tries + 1).encode(), HALTING.delay(tries)
        ctx.generic_send(self.name, Handler.HALT, order, key=ctx.key(), send_delay=delay)
        return b""
