"""A chart as a flow: a machine that has no key, and lives from its beginning to its end within one invocation.

Nothing is stored but the invocation's journal. Each time it is replayed the machine takes the same steps, because the
outcomes of timers and activities come from there, in their order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

import restate
from restate import TerminalError as RestateTerminalError

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import failure_to_json
from durable_fsm.core.dissolve import dissolve, without
from durable_fsm.core.effects import Cancel, Send, StartActivity, StopActivity
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.snapshot import Status
from durable_fsm.core.turn import Turn
from durable_fsm.errors import quoted
from durable_fsm.restate.activities.failures import interruption, is_cancellation
from durable_fsm.restate.clock import decision_time
from durable_fsm.restate.http.errors import Located
from durable_fsm.restate.http.requests import FOR_EVER, Delivery, output_of, read
from durable_fsm.restate.machine.transaction import delay_of, job_of, stop, worker_of
from durable_fsm.restate.names import activities_name, digest_of, flow_name
from durable_fsm.restate.observability.logging import log
from durable_fsm.restate.registration import register

Call: TypeAlias = restate.RestateDurableCallFuture[bytes]
Pending: TypeAlias = restate.RestateDurableFuture[bytes] | restate.RestateDurableSleepFuture


def flow(chart: Chart) -> restate.Service:
    """The service that runs *chart* as flows."""
    service = restate.Service(
        flow_name(chart),
        description=f"Runs {chart.name} from its beginning to its end, without a key.",
        invocation_retry_policy=FOR_EVER,
    )
    register(service, "run", _run(chart), chart=chart)
    return service


def _run(chart: Chart) -> Callable[[restate.Context, bytes], Awaitable[bytes]]:
    async def run(ctx: restate.Context, body: bytes) -> bytes:
        """Run a machine with this data to its end; answers with its output."""
        return await _Flow(chart, ctx).run(body)

    return run


class _Flow:
    """One run: the machine, and what it waits for, by token, in the order in which that began."""

    def __init__(self, chart: Chart, ctx: restate.Context) -> None:
        self.chart = chart
        self.ctx = ctx
        self.key = digest_of(ctx.request().id)
        self.turn = Turn(chart, None, seed=ctx.request().id)
        self.pending: dict[str, Pending] = {}
        self.calls: dict[str, tuple[StartActivity, Call]] = {}

    async def run(self, body: bytes) -> bytes:
        """Run to the end. Whatever ends it before, a cancellation above all, stops its work and undoes what is done."""
        try:
            with Located(self.chart.name, self.key):
                return await self._run(body)
        except (errors.DurableFSMError, RestateTerminalError):
            if self.turn.snapshot is not None and self.turn.machine.status is not Status.DONE:
                await self._give_up()
            raise

    async def _give_up(self) -> None:
        """Stop the work that is under way, wait for the end of what may have to be undone, and undo what was done."""
        turn = self.turn
        turn.change("run", lambda machine: dissolve(self.chart, machine))
        for token in list(self.calls):
            await self._stop(token)
        for stopping in turn.machine.stopping:
            if stopping.token in self.calls:
                event = await self._end_of(stopping.token)
                turn.deliver(event)
        while turn.machine.undo:
            done = turn.machine.undo[-1]
            start = StartActivity(f"{done.token}.undo", done.id, done.entry, exclusive=True, undo=done)
            self._begin(start, by="run")
            event = await self._end_of(start.token)
            if isinstance(event.payload, Failure):
                left = quoted([done.id for done in turn.machine.undo])
                log.error("%s/%s: not undone: %s: %s", self.chart.name, self.key, left, event.payload.message)
                return
            turn.change("run", partial(without, undone=done))

    async def _run(self, body: bytes) -> bytes:
        turn = self.turn
        data = read(self.chart.name, "run", body)
        turn.now = await decision_time(self.ctx, self.chart)
        turn.create(data, life=self.key, created_from="")
        await self._go_on()
        while turn.machine.status is Status.RUNNING:
            if not self.pending:
                raise errors.FlowStuck(chart=self.chart.name, configuration=turn.machine.configuration)
            ended, _ = await restate.wait_completed(*self.pending.values())
            token = next(token for token, future in self.pending.items() if future in ended)
            event = await self._event_of(token)
            turn.now = await decision_time(self.ctx, self.chart)
            turn.deliver(event)
            await self._go_on()
        machine = turn.machine
        failure = failure_to_json(machine.failure) if machine.failure is not None else None
        return output_of({"output": machine.output, "failure": failure})

    async def _go_on(self) -> None:
        """Drain what follows, and begin and end what the machine asks for."""
        while True:
            call = self.turn.next_call()
            effects = self.turn.take_effects()
            if self.turn.trouble is not None:
                raise self.turn.trouble
            for effect in effects:
                match effect:
                    case Send():
                        self.pending[effect.token] = self.ctx.sleep(delay_of(effect))
                    case Cancel():
                        self.pending.pop(effect.token, None)
                    case StartActivity():
                        self._begin(effect)
                    case StopActivity():
                        await self._stop(effect.token)
                    case _:
                        pass
            if call is None:
                return
            self._begin(call)
            await restate.wait_completed(self.pending[call.token])
            event = await self._event_of(call.token)
            self.turn.now = await decision_time(self.ctx, self.chart)
            self.turn.deliver(event)

    def _begin(self, start: StartActivity, *, by: str = "") -> None:
        job = job_of(self.chart, self.key, self.turn.machine, start, background=False, by=by)
        call = self.ctx.generic_call(activities_name(self.chart), worker_of(start), job.encode())
        self.calls[start.token] = start, call
        self.pending[start.token] = call

    async def _stop(self, token: str) -> None:
        """Stop work. How that ends is waited for only where it matters: it may have to be undone."""
        if token in self.calls:
            _, call = self.calls[token]
            if all(stopping.token != token for stopping in self.turn.machine.stopping):
                del self.calls[token]
                self.pending.pop(token, None)
            stop(self.ctx, self.chart, token)
            self.ctx.cancel_invocation(await call.invocation_id())

    async def _end_of(self, token: str) -> Event:
        """How work ends, however often this flow is cancelled meanwhile."""
        while True:
            try:
                await restate.wait_completed(self.pending[token])
                return await self._event_of(token)
            except RestateTerminalError as error:
                if not is_cancellation(error):
                    raise

    async def _event_of(self, token: str) -> Event:
        """What has come: a timer, or the outcome of an activity; one that an operator ended has failed."""
        del self.pending[token]
        if token not in self.calls:
            return Event("timer", origin=Origin.PLATFORM, token=token)
        start, call = self.calls.pop(token)
        try:
            return Delivery.decode(await call).event
        except RestateTerminalError as error:
            failure = interruption(f"activity '{start.id}'", error, lost=f"could not be called: {error.message}")
            return Event(f"error.invoke.{start.id}", failure, Origin.PLATFORM, token=token)
