"""A chart as a flow: a machine without a key, which lives from its beginning to its end within one invocation.

Only the invocation's journal is stored. On replay the machine takes the same steps again, because the journal has the
ends of its timers and activities in the order in which they came.
"""

from __future__ import annotations

from functools import partial
from typing import TypeAlias

import restate
from restate import TerminalError as RestateTerminalError

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import failure_to_json
from durable_fsm.core.deletion import after_undo, stop_everything
from durable_fsm.core.effects import Cancel, Send, StartActivity, StopActivity
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.snapshot import Status
from durable_fsm.core.turn import Turn
from durable_fsm.errors import quoted
from durable_fsm.restate.activities.failures import interrupted, is_cancellation
from durable_fsm.restate.activities.job import ActivityJob, handler_of, refuse_too_large, stop_job
from durable_fsm.restate.http.errors import Located
from durable_fsm.restate.http.requests import FOR_EVER, output_of, read
from durable_fsm.restate.machine.defaults import event_with_defaults, with_defaults
from durable_fsm.restate.machine.timing import decision_time, delay_of
from durable_fsm.restate.names import Handler, activities_name, digest_of, flow_name
from durable_fsm.restate.observability.logging import log
from durable_fsm.restate.registration import register
from durable_fsm.restate.stored.deliveries import Delivery

ActivityCall: TypeAlias = restate.RestateDurableCallFuture[bytes]
Awaited: TypeAlias = restate.RestateDurableFuture[bytes] | restate.RestateDurableSleepFuture


def flow(chart: Chart) -> restate.Service:
    """The service that runs *chart* as flows."""
    service = restate.Service(
        flow_name(chart),
        description=f"Runs {chart.name} from its beginning to its end, without a key.",
        invocation_retry_policy=FOR_EVER,
    )

    async def run(ctx: restate.Context, body: bytes) -> bytes:
        """Run a machine with this data to its end; answers with its output."""
        return await FlowRun(chart, ctx).run(body)

    register(service, Handler.RUN, run, chart=chart)
    return service


class FlowRun:
    """One run of a flow.

    Attributes:
        turn: the machine. The whole run is one turn of it.
        awaited: the timers and activities under way, by token, in the order in which they began.
        calls: the activities among them, and those that must end before the machine can undo its work.
    """

    def __init__(self, chart: Chart, ctx: restate.Context) -> None:
        self.chart = chart
        self.ctx = ctx
        self.key = digest_of(ctx.request().id)
        self.turn = Turn(chart, None, seed=ctx.request().id)
        self.awaited: dict[str, Awaited] = {}
        self.calls: dict[str, tuple[StartActivity, ActivityCall]] = {}

    async def run(self, body: bytes) -> bytes:
        """Run to the end. If something ends the run early, above all a cancellation, undo what the machine did."""
        try:
            with Located(self.chart.name, self.key):
                return await self._run_to_end(body)
        except (errors.DurableFSMError, RestateTerminalError):
            if self.turn.snapshot is not None and self.turn.machine.status is not Status.DONE:
                await self._stop_and_undo()
            raise

    async def _run_to_end(self, body: bytes) -> bytes:
        turn = self.turn
        data = read(self.chart.name, Handler.RUN, body)
        turn.time = await decision_time(self.ctx, self.chart)
        data = await with_defaults(self.ctx, self.chart.data, {} if data is None else data)
        turn.create(data, life=self.key, created_from="")
        await self._drain()
        while turn.machine.status is Status.RUNNING:
            if not self.awaited:
                raise errors.FlowStuck(chart=self.chart.name, configuration=turn.machine.configuration)
            ended, _ = await restate.wait_completed(*self.awaited.values())
            token = next(token for token, future in self.awaited.items() if future in ended)
            await self._deliver(token)
            await self._drain()
        machine = turn.machine
        failure = failure_to_json(machine.failure) if machine.failure is not None else None
        return output_of({"output": machine.output, "failure": failure})

    async def _drain(self) -> None:
        """Perform the machine's effects. An exclusive activity holds it: wait for that one, and drain again."""
        while True:
            call = self.turn.next_call()
            effects = self.turn.take_effects()
            if self.turn.parked:
                raise self.turn.parked[-1].error
            for effect in effects:
                match effect:
                    case Send():
                        self.awaited[effect.token] = self.ctx.sleep(delay_of(effect))
                    case Cancel():
                        self.awaited.pop(effect.token, None)
                    case StartActivity():
                        self._call(effect)
                    case StopActivity():
                        await self._stop(effect.token)
                    case _:
                        pass  # children and messages: a flow has no key to which anything could come back
            if call is None:
                return
            self._call(call)
            await restate.wait_completed(self.awaited[call.token])
            await self._deliver(call.token)

    def _call(self, start: StartActivity, *, by: str = "") -> None:
        job = ActivityJob.of(self.chart, self.key, self.turn.machine, start, background=False, by=by)
        refuse_too_large(self.chart, job)
        call = self.ctx.generic_call(activities_name(self.chart), handler_of(start), job.encode())
        self.calls[start.token] = start, call
        self.awaited[start.token] = call

    async def _stop(self, token: str) -> None:
        """Stop an activity. Its end is awaited only if the machine lists it as stopping: it may have to be undone."""
        if token in self.calls:
            _, call = self.calls[token]
            if all(stopping.token != token for stopping in self.turn.machine.stopping):
                del self.calls[token]
                self.awaited.pop(token, None)
            stop_job(self.ctx, self.chart, token)
            self.ctx.cancel_invocation(await call.invocation_id())

    async def _deliver(self, token: str) -> None:
        event = await event_with_defaults(self.ctx, self.chart, await self._event_of(token))
        self.turn.time = await decision_time(self.ctx, self.chart)
        self.turn.deliver(event)

    async def _event_of(self, token: str) -> Event:
        """The event that a timer or an activity brings when it ends."""
        del self.awaited[token]
        if token not in self.calls:
            return Event("timer", origin=Origin.PLATFORM, token=token)
        start, call = self.calls.pop(token)
        try:
            return Delivery.decode(await call).event
        except RestateTerminalError as error:
            return interrupted(start, error)

    # ── ended early ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _stop_and_undo(self) -> None:
        """Stop the activities under way; wait for those that may have to be undone; undo what was done, last first."""
        turn = self.turn
        turn.change("run", lambda machine: stop_everything(self.chart, machine))
        for token in list(self.calls):
            await self._stop(token)
        for stopping in turn.machine.stopping:
            if stopping.token in self.calls:
                turn.deliver(await self._end_of(stopping.token))
        while turn.machine.undo:
            done = turn.machine.undo[-1]
            start = StartActivity(f"{done.token}.undo", done.id, done.entry, exclusive=True, undo=done)
            self._call(start, by="run")
            event = await self._end_of(start.token)
            if isinstance(event.payload, Failure):
                left = quoted([done.id for done in turn.machine.undo])
                log.error("%s/%s: not undone: %s: %s", self.chart.name, self.key, left, event.payload.message)
                return
            turn.change("run", partial(after_undo, undone=done))

    async def _end_of(self, token: str) -> Event:
        """Wait for the end of an activity, however often the flow is cancelled meanwhile."""
        while True:
            try:
                await restate.wait_completed(self.awaited[token])
                return await self._event_of(token)
            except RestateTerminalError as error:
                if not is_cancellation(error):
                    raise
