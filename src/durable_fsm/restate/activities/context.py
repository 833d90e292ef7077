"""The `ActivityContext` of one job: durable steps, sleeps and callbacks.

A failed attempt of a step is a value in the journal, followed by a durable sleep and the next named step. So only
failures of the work count as attempts: when Restate retries an invocation after an outage, a deployment or a kill, it
replays the journal and counts nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any, NoReturn, TypeVar, cast

import restate
from restate import TerminalError as RestateTerminalError

from durable_fsm.core.activity import PendingAnswer
from durable_fsm.core.chart import Activity, Chart
from durable_fsm.core.codec import rounded_up
from durable_fsm.core.durations import bounded
from durable_fsm.core.values import Json, changed
from durable_fsm.frontends.results import returned
from durable_fsm.restate.activities.attempts import Attempt, RunningAttempts
from durable_fsm.restate.activities.external_answers import ExternalAnswers
from durable_fsm.restate.activities.failing import StepFailures
from durable_fsm.restate.activities.failures import Failed, cancellation, is_cancellation
from durable_fsm.restate.activities.job import ActivityJob
from durable_fsm.restate.clock import now
from durable_fsm.restate.observability import report
from durable_fsm.restate.proposals import proposed
from durable_fsm.restate.registration import BYTES

PLATFORM_PATIENCE = timedelta(seconds=5)
"""How long a job that its machine has stopped waits for Restate's cancellation."""

T = TypeVar("T")


class JobContext:
    """See `ActivityContext`."""

    def __init__(
        self, ctx: restate.Context, chart: Chart, activity: Activity, job: ActivityJob, attempts: RunningAttempts
    ) -> None:
        self.ctx = ctx
        self.machine = chart.name
        self.key = job.key
        self.stable_id = job.stable_id
        self.answers = ExternalAnswers(ctx, chart, job.key, job.token)
        self._chart = chart
        self._activity = activity
        self._job = job
        self._attempts = attempts
        self._token = job.attempts_token
        # A stop lets the current step finish if it matters whether the step was done: then it must be undone, or it undoes.
        self._finishes_steps = job.undo is not None or (activity.undo is not None and not activity.undo.first)
        self._stopped = False

    # Any: arguments and result are whatever the step's function takes and returns
    async def run(self, name: str, step: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See `ActivityContext.run`."""
        return await self._run(name, step, partial(step, *args, **kwargs), is_only=False)

    async def run_only(self, name: str, step: Callable[..., Any], /, *args: Any) -> Any:
        """Run the only step of a job. Its result need not be stored first, because only commands to Restate follow.

        The step itself says whether it was stopped. This attempt cannot know whether Restate will store the result before
        a cancellation or after it.
        """
        return await self._run(name, step, partial(step, *args), is_only=True)

    async def _run(self, name: str, step: Callable[..., Any], work: Callable[[], Any], *, is_only: bool) -> Any:
        retry = self._activity.retry
        self._refuse_if_stopped()

        async def attempt() -> bytes:
            with report.stepping(self._activity, name):
                made = await self._attempts.run(
                    self._token, name, work, retry, timeout=self._activity.timeout, finish=self._finishes_steps
                )
            return (made if made.error is None else changed(made, at=now())).encode()

        with StepFailures(self.ctx, self._chart, self._activity, self._job, name) as failures:
            for number in count(1):
                title = name if number == 1 else f"{name}, attempt {number}"
                options = restate.RunOptions[bytes](serde=BYTES)
                running = self.ctx.run_typed(title, attempt, options)
                if is_only:
                    text = await proposed(running, self._finish(running), enough=_succeeded)
                elif self._finishes_steps:
                    text = await self._finish(running)
                else:
                    text = await self._interrupt(running)
                ended = Attempt.decode(text)
                if ended.stopped:
                    await self._await_cancellation()
                if ended.error is None:
                    return returned(step, cast("Json", ended.result))
                if ended.terminal or number == retry.attempts:
                    raise Failed(changed(ended.error, attempts=number))
                pause = retry.delay(number)
                report.retried(self._activity, name, number, ended.error, pause, since=failures.since)
                failures.failed(number, ended.at, ended.error, pause)
                await self.sleep(pause)

    async def sleep(self, duration: timedelta) -> None:
        """See `ActivityContext.sleep`."""
        self._refuse_if_stopped()
        await self._interrupt(self.ctx.sleep(rounded_up(bounded(duration, "the sleep"))))

    def callback(self, name: str, *, timeout: timedelta | None = None) -> PendingAnswer:
        """See `ActivityContext.callback`."""
        self._refuse_if_stopped()
        limit = None if timeout is None else bounded(timeout, f"timeout= of callback '{name}'")
        return self.answers.expect(name, limit)

    def _refuse_if_stopped(self) -> None:
        """Begin nothing new if the job was cancelled while one of its steps finished."""
        if self._stopped:
            raise cancellation()

    async def _interrupt(self, future: restate.RestateDurableFuture[T]) -> T:
        """Wait; if the job is cancelled meanwhile, end the step that is running before the cancellation continues."""
        try:
            return await future
        except RestateTerminalError as error:
            if is_cancellation(error):
                await self._attempts.end(self._token)
            raise

    async def _finish(self, step: restate.RestateDurableFuture[T]) -> T:
        """Wait until the step ends, also if the job is cancelled meanwhile: that stops it, unless it has to be finished."""
        while True:
            try:
                await restate.wait_completed(step)
                return await step
            except RestateTerminalError as error:
                if not is_cancellation(error):
                    raise
                self._stopped = True
                if not self._finishes_steps:
                    self._attempts.stop(self._token)

    async def _await_cancellation(self) -> NoReturn:
        # The machine has stopped the step before Restate's cancellation arrived. That one must not hit the author's
        # clean-up, so it is awaited here.
        await self._attempts.end(self._token)
        await self.sleep(PLATFORM_PATIENCE)  # raises it, if it was seen before
        raise cancellation()


def _succeeded(attempt: bytes) -> bool:
    ended = Attempt.decode(attempt)
    return ended.error is None and not ended.stopped
