"""Waiting for a machine: `wait_for` and its private steps, and the wait of a workflow for its machine's end."""

from __future__ import annotations

from functools import cached_property

import restate
from restate import ObjectContext, ObjectSharedContext
from restate import TerminalError as RestateTerminalError
from restate.server_context import restate_context_is_replaying

from durable_fsm import errors
from durable_fsm.core.codec import canonical
from durable_fsm.core.condition import meets
from durable_fsm.core.effects import Outcome
from durable_fsm.core.events import Event
from durable_fsm.core.step import forbidden
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import Json, changed
from durable_fsm.restate.fastjson import WireRecord, dumps
from durable_fsm.restate.http.requests import BYTES, WaitOrder, WaitRequest, answer_in, receipt, signal_in
from durable_fsm.restate.machine.beginnings import created_from, life_of, refuse_childs_key
from durable_fsm.restate.machine.storage import Caller, load_to_read
from durable_fsm.restate.machine.transaction import Transaction
from durable_fsm.restate.machine.waiters import judge
from durable_fsm.restate.names import Handler
from durable_fsm.restate.observability import report
from durable_fsm.restate.observability.redaction import seen
from durable_fsm.restate.settings import HostedChart
from durable_fsm.restate.stored.waiters import ENDED, Waiter

MOST_AT_ONCE = 800
"""How many waits may begin at once in one process. Restate suspends each after a moment; until then it takes one of the
1,000 places for open attempts, which events need too."""


class RunOrder(WireRecord, frozen=True):
    """The order of a workflow to create its machine, and to tell the waiter how it ends; see `WaitOrder`."""

    data: Json
    waiter: str = ""
    awakeable: str = ""


class Crowd:
    """The waits for machines of one chart whose attempts are open in this process."""

    def __init__(self, chart: str) -> None:
        self.chart = chart
        self.open = 0

    def __enter__(self) -> None:
        # One that continues has its place, however many others arrived meanwhile.
        if self.open >= MOST_AT_ONCE and not restate_context_is_replaying.get():
            raise errors.TooManyWaiting(chart=self.chart, waiting=self.open, whom="machines of this chart")
        self.open += 1

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.open -= 1


class WaitHandlers(HostedChart):
    """Takes those who wait for the machines of one chart."""

    @cached_property
    def _crowd(self) -> Crowd:
        return Crowd(self.name)

    async def wait_for(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Wait until the machine is somewhere, after an event if one comes along; answers with a receipt."""
        with self._crowd:
            return await self._wait_for(ctx, body)

    async def _wait_for(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        request = WaitRequest.decode(self.chart, body)
        if request.event in self.private_spellings:
            raise forbidden(self.chart, request.event)
        if request.event is not None and report.says_seq():
            problem = "'if_seq' does not go with an event to wait for, and so no signature does. Use 'send' first."
            raise errors.MalformedInput(chart=self.name, handler=Handler.WAIT_FOR, problem=problem)
        if request.event is None:
            stored, machine = await load_to_read(ctx, self.chart)
            if meets(stored.chart, machine, request.until):
                return receipt(stored.chart, ctx.key(), machine, event="wait_for", outcome="met", reply=None)
        asked = ctx.generic_call(self.name, Handler.WAIT, request.order(ctx.request().id), key=ctx.key())
        clock = ctx.sleep(request.timeout)
        try:
            who, answer = await restate.select(asked=asked, clock=clock)
            if who == "asked" and (name := signal_in(answer)):
                who, answer = await restate.select(called=ctx.signal(name, serde=BYTES), clock=clock)
        except RestateTerminalError as error:
            if error.message == "cancelled":
                self._stop_waiting(ctx)
            raise
        if who == "clock":
            # As long as `_wait` has not begun, its event is not processed.
            await asked.cancel_invocation()
            self._stop_waiting(ctx)
            until = canonical(request.until)
            raise errors.WaitTimedOut(chart=self.name, condition=until, after=str(request.timeout))
        return dumps(answer_in(answer)["receipt"])

    def _stop_waiting(self, ctx: ObjectSharedContext) -> None:
        ctx.generic_send(self.name, Handler.UNWAIT, ctx.request().id.encode(), key=ctx.key())

    async def wait(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Process the event that came with a request, and register the waiter; answers it at once if it need not wait."""
        order = WaitOrder.decode(body)
        event = Event(order.event, order.payload) if order.event is not None else None
        if event is not None:
            report.about(event.name)
            seen(order.payload)
        transaction = await Transaction.load(self, ctx, by=Caller.OPERATOR if event is None else Caller.SENDER)
        event = await transaction.completed(event) if event is not None else None
        waiter = Waiter(order.until)

        def act(turn: Turn) -> str:
            nonlocal waiter
            machine = turn.machine
            if event is not None:
                outcome = turn.take(event)
                token = turn.machine.deferred[-1].token if outcome is Outcome.DEFERRED else ""
                waiter = Waiter(order.until, event.name, outcome.value, token=token)
            return machine.status

        await transaction.act(act, autostart=event)
        if not waiter.token and event is not None:
            waiter = changed(waiter, reply=transaction.turn.reply)
        return dumps(await self._register(transaction, order, waiter))

    async def run_to_end(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Create the machine of a workflow, and register that as a waiter; answers it at once if it need not wait."""
        order = RunOrder.decode(body)
        origin = created_from(order.data)

        transaction = await Transaction.load(self, ctx)
        data = await transaction.initial_data(order.data)

        def act(turn: Turn) -> str:
            if turn.snapshot is None:
                refuse_childs_key(self.chart, ctx.key())
            return "created" if turn.create(data, life=life_of(ctx), created_from=origin) else "exists"

        await transaction.act(act)
        return dumps(await self._register(transaction, order, Waiter(ENDED)))

    async def unwait(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Forget a waiter that does not wait any longer."""
        transaction = await Transaction.load(self, ctx, by=Caller.OPERATOR)
        if transaction.machine is not None:
            await transaction.settle()
            transaction.waiters.remove(body.decode())
            await transaction.commit()
        return b""

    async def _register(self, transaction: Transaction, order: WaitOrder | RunOrder, waiter: Waiter) -> Json:
        """Answer a waiter; if it has to wait, register it and answer with the signal that it is to wait for."""
        turn = transaction.turn
        answer: Json
        waiter, answer = judge(waiter, transaction.chart, transaction.key, turn.machine, turn.log)
        if answer is None:
            waiter = changed(waiter, signal=transaction.ctx.request().id if order.waiter else "")
            waiter = transaction.waiters.add(transaction.chart, order.waiter or order.awakeable, waiter)
            answer = {"signal": waiter.signal} if order.waiter else None
        await transaction.commit()
        return answer
