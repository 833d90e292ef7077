"""The private handler that takes what other machines send: messages, ends of children, and what comes back.

Letters are taken in the order in which they come. Where a deployment cannot read the machine, they wait for the next one
in that same order, and hold no key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from restate import ObjectContext

from durable_fsm import errors
from durable_fsm.core.address import is_child_key
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import failure_from_json, failure_to_json
from durable_fsm.core.effects import Outcome
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.mail import came_back_as, returned
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.http.errors import Located, message_of, status_of
from durable_fsm.restate.http.requests import BYTES, Delivery
from durable_fsm.restate.machine.transaction import Transaction, keep_parked, park, parked_for
from durable_fsm.restate.messages.child_handlers import UNREADABLE
from durable_fsm.restate.messages.envelope import Envelope, Peers
from durable_fsm.restate.names import Handler, StateKey
from durable_fsm.restate.observability.logging import log


@dataclass(frozen=True)
class Inbox:
    """Takes letters for the machines of one chart; `enter` visits a machine."""

    chart: Chart
    peers: Peers
    enter: Callable[[ObjectContext], Awaitable[Transaction]]

    async def mail(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Take an envelope, after those that have waited; an empty one is the word to try those again."""
        known = await ctx.get(StateKey.LETTERS, serde=BYTES)
        waiting = [Envelope.decode(text.encode()) for text in loads(known or b"[]")]
        alarm = loads(body) if body.startswith(b'{"again"') else None
        envelopes = waiting if alarm is not None else [*waiting, Envelope.decode(body)]
        left = list(envelopes)
        while left and await self._take(ctx, left[0]):
            del left[0]
        if left != waiting:
            texts: list[Json] = [envelope.encode().decode() for envelope in left]
            if left:
                ctx.set(StateKey.LETTERS, dumps(texts), serde=BYTES)
            else:
                ctx.clear(StateKey.LETTERS)
        if left and (alarm is not None or not waiting):
            tries: int = 0 if alarm is None else alarm["again"]
            again = dumps({"again": tries + 1})
            ctx.generic_send(self.chart.name, Handler.MAIL, again, key=ctx.key(), send_delay=parked_for(tries))
        return dumps({"waiting": len(left)})

    async def _take(self, ctx: ObjectContext, envelope: Envelope) -> bool:
        """Take one letter; False if it has to wait for another deployment."""
        try:
            with Located(self.chart.name, ctx.key()):
                transaction = await self.enter(ctx)
        except UNREADABLE as error:
            log.warning("%s A message to it waits.", message_of(error))
            return False
        match envelope.kind:
            case "event":
                await self._message(ctx, transaction, envelope)
            case "end":
                await self._end(ctx, transaction, envelope)
            case "returned":
                await self._returned(ctx, transaction, envelope)
        return True

    async def _message(self, ctx: ObjectContext, transaction: Transaction, envelope: Envelope) -> None:
        """Take a message; what is not taken goes back to its sender."""
        outsider = Event(envelope.event, envelope.payload, sendid=envelope.sendid, sender=envelope.sender)
        event = outsider
        if envelope.family:
            session = f"{envelope.chart}.{envelope.life}"
            origin, token = Origin.MACHINE, envelope.token or None
            event = Event(envelope.event, envelope.payload, origin, token=token, sendid=envelope.sendid, sender=session)

        def act(turn: Turn) -> Outcome:
            return turn.take(event)

        try:
            with Located(self.chart.name, ctx.key()):
                if envelope.token and not self._runs(transaction, envelope):
                    return
                if transaction.machine is None and (envelope.family or is_child_key(ctx.key())):
                    raise errors.NotStarted(chart=self.chart.name, remedy="It has ended, or was never begun.")
                await transaction.run(envelope.event, act, autostart=None if envelope.family else outsider)
        except errors.DurableFSMError as error:
            status = status_of(error)
            failure = returned(
                type(error).__name__,
                message_of(error),
                code=None if status == 500 else status,
                event=envelope.event,
                to=envelope.to,
                sendid=envelope.sendid,
            )
            back = Envelope("returned", error=failure_to_json(failure), life=envelope.life)
            self.peers.post(ctx, self.chart.name, envelope.chart, envelope.key, back)

    def _runs(self, transaction: Transaction, envelope: Envelope) -> bool:
        """Whether the child that writes is still wanted. One that is not has missed its end, and is ended again."""
        children = transaction.machine.machines if transaction.machine is not None else ()
        if any(child.token == envelope.token for child in children):
            return True
        if envelope.chart in self.peers.charts:
            transaction.ctx.generic_send(envelope.chart, Handler.END, b'{"tries":0}', key=envelope.key)
        return False

    async def _end(self, ctx: ObjectContext, transaction: Transaction, envelope: Envelope) -> None:
        """Take the end of a child. What cannot be taken now is sent again later, never lost."""
        if transaction.machine is None:
            return
        failure = failure_from_json(envelope.error) if envelope.error is not None else None
        delivery = Delivery(envelope.token, envelope.id, result=envelope.payload, error=failure)
        event = delivery.event_of(envelope.id)

        def act(turn: Turn) -> str:
            return str(turn.deliver(event))

        try:
            with Located(self.chart.name, ctx.key()):
                await transaction.run(event.name, act)
        except errors.DurableFSMError:
            park(ctx, self.chart, delivery, tries=0)
            await keep_parked(ctx, [delivery])

    async def _returned(self, ctx: ObjectContext, transaction: Transaction, envelope: Envelope) -> None:
        """Tell this machine that its message was not taken, if it listens; else the log."""
        failure = failure_from_json(envelope.error or {})
        event = came_back_as(transaction.chart, failure)
        machine = transaction.machine
        outcome: Outcome | str = Outcome.IGNORED

        def act(turn: Turn) -> Outcome | str:
            nonlocal outcome
            assert event is not None
            outcome = turn.take(event)
            return outcome

        try:
            with Located(self.chart.name, ctx.key()):
                if machine is not None and machine.life == envelope.life and event is not None:
                    await transaction.run(event.name, act)
        except errors.Finished:
            pass
        except errors.DurableFSMError:
            again = Envelope("returned", error=envelope.error, life=envelope.life, tries=envelope.tries + 1).encode()
            ctx.generic_send(self.chart.name, Handler.MAIL, again, key=ctx.key(), send_delay=parked_for(envelope.tries))
            return
        if outcome is Outcome.IGNORED:
            came_back(self.chart, ctx.key(), failure)


def came_back(chart: Chart, key: str, failure: Failure) -> None:
    """Say that a message was not taken, where its sender does not listen."""
    facts = cast("dict[str, str]", failure.metadata or {})
    event, to = facts.get("event"), facts.get("to")
    log.warning("%s/%s: message '%s' to %s came back: %s", chart.name, key, event, to, failure.message)
