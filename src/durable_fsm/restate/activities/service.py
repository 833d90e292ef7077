"""The service that runs the activities of one chart: `Order.activities`.

It is a service of its own, so that a machine's journal holds only decisions, and that the code of activities can be
deployed, killed or moved to other servers without blocking a machine.

A job arrives at the handler of its activity. The handler runs the author's code, whose every ending is a value: the
outcome. It then delivers the outcome to the machine, or answers the machine that waits for it.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import msgspec
import restate
from restate import TerminalError as RestateTerminalError

from durable_fsm.core.address import address
from durable_fsm.core.chart import Activity, Chart
from durable_fsm.core.program import index_of
from durable_fsm.core.values import Json
from durable_fsm.errors import TerminalError
from durable_fsm.restate.activities.attempts import RunningAttempts
from durable_fsm.restate.activities.author_calls import call_undo, call_work, takes_data_with_item
from durable_fsm.restate.activities.context import JobContext
from durable_fsm.restate.activities.failures import ItemFailed, failure_of, sendable
from durable_fsm.restate.activities.fan_out import fan_out
from durable_fsm.restate.activities.job import ActivityJob, stop_job
from durable_fsm.restate.activities.limits import LimitAddress, admission
from durable_fsm.restate.activities.threads import WorkerThreads
from durable_fsm.restate.http.errors import ends_attempt
from durable_fsm.restate.http.requests import FOR_EVER, MAX_INPUT
from durable_fsm.restate.names import Handler, activities_name, handler_name, item_handler_name, undo_handler_name
from durable_fsm.restate.observability import report
from durable_fsm.restate.observability.logging import log
from durable_fsm.restate.observability.redaction import seen
from durable_fsm.restate.registration import register
from durable_fsm.restate.stored.deliveries import Delivery

LONGEST_STEP = timedelta(days=1)


class ActivityService:
    """Runs the activities of one chart."""

    def __init__(self, chart: Chart, threads: WorkerThreads) -> None:
        self.chart = chart
        self.attempts = RunningAttempts(threads)
        self._threads = threads

    def service(self) -> restate.Service:
        service = restate.Service(
            activities_name(self.chart),
            description=f"Runs the activities of {self.chart.name}.",
            ingress_private=True,
            abort_timeout=LONGEST_STEP,
            invocation_retry_policy=FOR_EVER,
        )
        for activity in self.chart.activities.values():
            if activity.undoes is not None:
                continue  # it does no work of its own: the machine orders the undo of each run by itself
            names = [handler_name(activity.id)]
            if activity.each is not None:
                names.append(item_handler_name(activity.id))
            if activity.undo is not None:
                names.append(undo_handler_name(activity.id))
            for name in names:
                register(service, name, self._handler(activity), chart=self.chart, retried=True)
        metadata = self._threads.metadata
        register(service, Handler.STOP, self._stop, chart=self.chart, retried=True, metadata=metadata)
        return service

    async def _stop(self, ctx: restate.Context, body: bytes) -> bytes:
        """Stop the step of a job if it runs in this process. The machine has the job itself cancelled by Restate."""
        self.attempts.stop(body.decode())
        return b""

    def _handler(self, activity: Activity) -> Callable[[restate.Context, bytes], Awaitable[bytes]]:
        async def handle(ctx: restate.Context, body: bytes) -> bytes:
            job = ActivityJob.decode(body)
            report.about_job(job.key, activity.id)
            seen(*job.named_values(activity))
            return (await self._run(ctx, activity, job)).encode()

        handle.__doc__ = inspect.getdoc(activity.run)
        return handle

    async def _run(self, ctx: restate.Context, activity: Activity, job: ActivityJob) -> Delivery:
        """Run a job, and deliver its outcome to a machine that waits for a delivery."""
        is_undo = job.undo is not None
        if job.undo is not None and activity.undo is not None:
            # The machine waits for the activity that undoes. Its id goes into the outcome, the log and the spans.
            activity = replace(activity, id=job.undo.by, retry=activity.undo.retry)
        if job.part is None:
            report.begun(activity, job.stable_id, undo=is_undo)
        context = JobContext(ctx, self.chart, activity, job, self.attempts)
        outcome = await self._outcome(context, activity, job)
        if job.part is None:
            report.ended(activity, outcome.error, job.stable_id, undo=is_undo)
        context.answers.forget_all()
        if job.background:
            ctx.generic_send(self.chart.name, Handler.DELIVER, outcome.encode(), key=job.key)
        elif job.detached and job.part is None:
            log_dropped_failure(self.chart, job.key, outcome)
        return outcome

    async def _outcome(self, context: JobContext, activity: Activity, job: ActivityJob) -> Delivery:
        """Run the author's code to its end; an exception is an outcome too."""
        try:
            result = await self._result(context, activity, job)
            return Delivery(job.token, activity.id, result=sendable(result, MAX_INPUT))
        except BaseException as error:
            # The author's code may raise anything, and outside a step it is final; see `contained` for GeneratorExit.
            if ends_attempt(error) or isinstance(error, GeneratorExit):
                raise
            if not isinstance(error, TerminalError | RestateTerminalError | ItemFailed):
                report.raised(error, f"activity '{activity.id}', outside a step,")
            return Delivery(job.token, activity.id, error=failure_of(error))

    async def _result(self, context: JobContext, activity: Activity, job: ActivityJob) -> object:
        if job.undo is not None and activity.undo is not None:
            await call_undo(context, self.chart, activity.undo, job, job.undo)
            return None
        if activity.each is not None and job.items is not None:
            start = partial(self._start_item, context.ctx, activity, job)
            stop = partial(stop_job, context.ctx, self.chart, job.token)
            return await fan_out(context.ctx, activity.each, job.items, start, stop)
        if activity.limit is not None:
            await self._take_slot(context.ctx, activity, job)
        return await call_work(context, self.chart, activity, job)

    async def _take_slot(self, ctx: restate.Context, activity: Activity, job: ActivityJob) -> None:
        """Wait until the limit lets this run in; tell the machine, if its chart asks for that."""
        limit, machine = LimitAddress.of(self.chart, activity), address(self.chart.name, job.key)
        await admission(ctx, limit, machine, activity.id, job.priority)
        if job.background and job.part is None and index_of(self.chart).hears_grant(activity.id):
            granted = Delivery(job.token, activity.id, granted=True)
            ctx.generic_send(self.chart.name, Handler.DELIVER, granted.encode(), key=job.key)

    def _start_item(
        self, ctx: restate.Context, activity: Activity, job: ActivityJob, index: int, item: Json
    ) -> restate.RestateDurableCallFuture[bytes]:
        """Call the run of one item of a fan-out."""
        part = msgspec.structs.replace(
            job,
            stable_id=f"{job.stable_id}/{index}",
            data=job.data if takes_data_with_item(activity) else None,
            background=False,
            items=None,
            part=index,
            item=item,
        )
        return ctx.generic_call(activities_name(self.chart), item_handler_name(activity.id), part.encode())


def log_dropped_failure(chart: Chart, key: str, outcome: Delivery) -> None:
    """Log the failure of detached work, if its outcome is one: no transition will take it."""
    if outcome.error is not None:
        error = f"{outcome.error.type}: {outcome.error.message}"
        log.error(
            "%s/%s: work '%s' failed, and no transition handles its outcome: %s",
            chart.name,
            key,
            outcome.activity,
            error,
        )
