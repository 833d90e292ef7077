"""The runner: a private service that does the outside work of one chart's activities.

It is a service of its own so that a machine's journal holds decisions only: code of activities can be redeployed,
killed or moved to other servers without blocking a machine.

An attempt that fails is a value in the journal, followed by a durable sleep and the next named step. What the platform
retries (outages, deployments, kills) is therefore never counted as an attempt.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any, NoReturn, TypeVar, cast

import restate
from restate import TerminalError as RestateTerminalError
from restate.exceptions import RetryableError
from restate.serde import BytesSerde
from restate.server_context import DisconnectedException

from durable_fsm.core.activity import PendingAnswer
from durable_fsm.core.chart import Activity, Chart, Retry, Undo
from durable_fsm.core.codec import failure_from_json, milliseconds, plain
from durable_fsm.core.values import Json
from durable_fsm.errors import TerminalError
from durable_fsm.restate.activities.attempts import Steps
from durable_fsm.restate.activities.external_answers import Callbacks
from durable_fsm.restate.activities.failures import (
    Failed,
    ItemFailed,
    cancellation,
    failure_of,
    is_cancellation,
    sendable,
)
from durable_fsm.restate.activities.fan_out import fan_out
from durable_fsm.restate.activities.limits import admission
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.http.requests import FOR_EVER, MAX_INPUT, Delivery, digest_of
from durable_fsm.restate.observability import report
from durable_fsm.restate.observability.logging import log
from durable_fsm.restate.observability.redaction import seen

LONGEST_STEP = timedelta(days=1)

PLATFORM_PATIENCE = timedelta(seconds=5)
"""How long a job that was stopped by its machine waits for the platform's own cancellation."""

STOP = "_stop"
"""Name of the handler that takes the token of a job to stop; no activity's handler begins with an underscore."""

T = TypeVar("T")


def runner_name(chart: Chart) -> str:
    """Name of the runner service: `Order.activities`, and `Order.activities.2` for version 2.

    Each version has its own, so that what an earlier build starts goes to that build as long as it is deployed.
    """
    name = f"{chart.name}.activities"
    if chart.version == "1":
        return name
    suffix = re.sub(r"[^a-zA-Z0-9_-]", "_", chart.version)
    return f"{name}.{suffix}" if suffix == chart.version else f"{name}.{suffix}-{digest_of(chart.version)}"


def part_name(activity: str) -> str:
    """Name of the handler that runs one item of a fan-out; no activity's own begins with an underscore."""
    return f"_each_{handler_name(activity)}"


def undo_name(activity: str) -> str:
    """Name of the handler that undoes what an activity has done; no activity's own begins with an underscore."""
    return f"_undo_{handler_name(activity)}"


def handler_name(activity: str) -> str:
    """An activity's id as Restate accepts it for a handler."""
    name = re.sub(r"[^a-zA-Z0-9_]", "_", activity)
    return name if name[0].isalpha() else f"a_{name}"


@dataclass(frozen=True, slots=True)
class Job:
    """One run of an activity, as the machine orders it.

    `data` is the machine's; or, if `given`, what the activity's `input` has made of it, or what *detached* work was started
    with. Whoever runs a *background* one sends its outcome to the machine. `items` are those of a fan-out; each of them is
    a *part*, run with its `item`. One that is to `undo` names the activity of the machine it does so for (`by`), and has
    the stable id (`original`) and the `result` of what is undone.
    """

    key: str
    token: str
    stable_id: str
    data: Json
    background: bool
    given: bool = False
    detached: bool = False
    items: list[Json] | None = None
    part: int | None = None
    item: Json = None
    undo: dict[str, Json] | None = None

    @property
    def steps(self) -> str:
        """Under what its steps are known in their process: each part has its own."""
        return self.token if self.part is None else f"{self.token}/{self.part}"

    def encode(self) -> bytes:
        members = cast("dict[str, Json]", plain(self))
        if self.undo is None:
            del members["undo"]
        return dumps(members)

    @classmethod
    def decode(cls, body: bytes) -> Job:
        return cls(**loads(body))


class Context:
    """The `ActivityContext` of one job.

    A *patient* one lets the step that runs come to its end when the job is stopped: whether it was done is of interest.
    """

    def __init__(self, ctx: restate.Context, chart: Chart, activity: Activity, job: Job, steps: Steps) -> None:
        self.ctx = ctx
        self._activity = activity
        self._retry = activity.retry
        self._timeout = activity.timeout
        self._token = job.steps
        self._steps = steps
        self._patient = is_patient(activity, job)
        self._stopped = False
        self.callbacks = Callbacks(ctx, chart, job.key, job.token)
        self.machine = chart.name
        self.key = job.key
        self.stable_id = job.stable_id

    # Any: arguments and result are whatever the step's function takes and returns
    async def run(self, name: str, step: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See `ActivityContext.run`."""
        retry: Retry = self._retry
        work = partial(step, *args, **kwargs)
        self._go_on()

        async def attempt() -> bytes:
            with report.stepping(self._activity, name):
                record = await self._steps.attempt(
                    self._token, name, work, retry=retry, timeout=self._timeout, patient=self._patient
                )
            return dumps(record)

        for number in count(1):
            title = name if number == 1 else f"{name}, attempt {number}"
            options = restate.RunOptions[bytes](serde=BytesSerde())
            running = self.ctx.run_typed(title, attempt, options)
            answer = await (self._patiently(running) if self._patient else self._told(running))
            record = loads(answer)
            if record.get("stopped"):
                await self._cancelled()
            if "error" not in record:
                return record["result"]
            failure = failure_from_json(record["error"])
            if record["terminal"] or number == retry.attempts:
                raise Failed(failure)
            report.retried(self._activity, name, number, failure)
            await self.sleep(retry.delay(number))

    async def sleep(self, duration: timedelta) -> None:
        """See `ActivityContext.sleep`."""
        self._go_on()
        await self._told(self.ctx.sleep(timedelta(milliseconds=milliseconds(duration))))

    def callback(self, name: str, *, timeout: timedelta | None = None) -> PendingAnswer:
        """See `ActivityContext.callback`."""
        self._go_on()
        return self.callbacks.expect(name, timeout)

    async def _told(self, future: restate.RestateDurableFuture[T]) -> T:
        """Wait; if the job is cancelled meanwhile, end the step that runs before anybody goes on."""
        try:
            return await future
        except RestateTerminalError as error:
            if is_cancellation(error):
                await self._steps.stopped(self._token)
            raise

    def _go_on(self) -> None:
        """Begin nothing new in a job that was stopped while a step of it came to its end."""
        if self._stopped:
            raise cancellation()

    async def _patiently(self, step: restate.RestateDurableFuture[T]) -> T:
        """Wait for the end of a step, also when the job is cancelled meanwhile."""
        while True:
            try:
                await restate.wait_completed(step)
                return await step
            except RestateTerminalError as error:
                if not is_cancellation(error):
                    raise
                self._stopped = True

    async def _cancelled(self) -> NoReturn:
        """The step was stopped by the machine's own word. The platform's comes too, and must not meet the clean-up."""
        await self._steps.stopped(self._token)
        await self.sleep(PLATFORM_PATIENCE)
        raise cancellation()


def takes_context(activity: Activity) -> bool:
    """Whether the activity is made of steps; otherwise it is one."""
    takes = list(inspect.signature(activity.run).parameters)
    return len(takes) > 1 or takes == ["ctx"]


def has_steps(activity: Activity) -> bool:
    """Whether the activity, or its undo, is made of steps, and may wait for somebody outside."""
    return takes_context(activity) or (activity.undo is not None and "ctx" in asked_by(activity.undo))


def is_patient(activity: Activity, job: Job) -> bool:
    """Whether it matters to the end whether a step was done: it is to be undone then, or it undoes."""
    return job.undo is not None or (activity.undo is not None and not activity.undo.first)


def asked_by(undo: Undo) -> list[str]:
    """What an undo asks for by name, of what it may get."""
    return [name for name in inspect.signature(undo.run).parameters if name in ("ctx", "data", "result", "original")]


class Runner:
    """The runner service of one chart."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.steps = Steps()

    def service(self) -> restate.Service:
        service = restate.Service(
            runner_name(self.chart),
            description=f"Runs the activities of {self.chart.name}.",
            ingress_private=True,
            abort_timeout=LONGEST_STEP,
            invocation_retry_policy=FOR_EVER,
        )
        for activity in self.chart.activities.values():
            if activity.undoes is not None:
                continue  # the machine orders what it undoes one by one
            names = [handler_name(activity.id)] + [part_name(activity.id)] * (activity.each is not None)
            names += [undo_name(activity.id)] * (activity.undo is not None)
            for name in names:
                register = service.handler(name, accept="*/*", input_serde=BytesSerde(), output_serde=BytesSerde())
                register(self._handler(activity))
        service.handler(STOP, accept="*/*", input_serde=BytesSerde(), output_serde=BytesSerde())(self._stop)
        return service

    async def _stop(self, ctx: restate.Context, body: bytes) -> bytes:
        """Stop the step of a job, if it runs in this process. The job itself is cancelled by the platform."""
        self.steps.stop(body.decode())
        return b""

    def _handler(self, activity: Activity) -> Callable[[restate.Context, bytes], Awaitable[bytes]]:
        async def handle(ctx: restate.Context, body: bytes) -> bytes:
            job = Job.decode(body)
            with report.Watching(self.chart, ctx, job.key, activity.id):
                return (await run(ctx, job)).encode()

        async def run(ctx: restate.Context, job: Job) -> Delivery:
            seen(*_given(activity, job))
            if job.undo is not None:
                return await self._undo(ctx, activity, job)
            if job.part is None:
                report.begun(activity, job.stable_id)
            context = Context(ctx, self.chart, activity, job, self.steps)
            outcome = await self._run(context, activity, job)
            if job.part is None:
                report.ended(activity, outcome.error, job.stable_id)
            context.callbacks.forget_all()
            if job.background:
                self._tell(ctx, job, outcome)
            elif job.detached and job.part is None:
                dropped(self.chart, job.key, outcome)
            return outcome

        handle.__doc__ = inspect.getdoc(activity.run)
        return handle

    def _tell(self, ctx: restate.Context, job: Job, outcome: Delivery) -> None:
        """Bring the machine the outcome it waits for."""
        ctx.generic_send(self.chart.name, "_deliver", outcome.encode(), key=job.key)

    async def _undo(self, ctx: restate.Context, activity: Activity, job: Job) -> Delivery:
        """Undo what a run of an activity has done."""
        assert activity.undo is not None
        assert job.undo is not None
        by = replace(activity, id=str(job.undo["by"]), retry=activity.undo.retry)
        context = Context(ctx, self.chart, by, job, self.steps)
        report.begun(activity, job.stable_id, undo=True)
        outcome = await self._run(context, replace(by, each=None, limit=None), job)
        report.ended(activity, outcome.error, job.stable_id, undo=True)
        context.callbacks.forget_all()
        if job.background:
            self._tell(ctx, job, outcome)
        return outcome

    async def _run(self, context: Context, activity: Activity, job: Job) -> Delivery:
        """Run the author's code to its end; whatever it raises is the outcome."""
        try:
            if job.undo is not None:
                await self._undone(context, cast("Undo", activity.undo), job, job.undo)
                result: object = None
            elif activity.each is not None and job.items is not None:
                part = partial(self._part, context.ctx, activity, job)
                result = await fan_out(context.ctx, activity.each, job.items, part)
            else:
                result = await self._work(context, activity, job)
            return Delivery(job.token, activity.id, result=sendable(result, MAX_INPUT))
        except (DisconnectedException, RetryableError):  # the platform's own: it tries the invocation again
            raise
        except Exception as error:  # noqa: BLE001 - as for a step, except that it is not tried again
            if not isinstance(error, TerminalError | RestateTerminalError | ItemFailed):
                log.exception("%s/%s: activity '%s' failed outside a step", self.chart.name, job.key, activity.id)
            return Delivery(job.token, activity.id, error=failure_of(error))

    async def _undone(self, context: Context, undo: Undo, job: Job, done: dict[str, Json]) -> None:
        """Run an undo with what it asks for. What it returns is of no interest, and need not be JSON."""
        asked = asked_by(undo)
        known: dict[str, object] = {"ctx": context, "result": done.get("result"), "original": done["original"]}
        if "data" in asked:
            known["data"] = self.chart.data.load(job.data)
        work: Callable[[], object] = partial(undo.run, **{name: known[name] for name in asked})
        if "ctx" in asked:
            await cast("Awaitable[object]", work())
        elif inspect.iscoroutinefunction(undo.run):

            async def waiting() -> None:
                await cast("Awaitable[object]", work())

            await context.run(undo.name, waiting)
        else:
            await context.run(undo.name, lambda: None if (made := work()) is None else _ended(made))

    async def _work(self, context: Context, activity: Activity, job: Job) -> object:
        """Run the author's code once: with what it is given, or with one item."""
        if activity.limit is not None:
            await admission(context.ctx, self.chart, activity.id, activity.limit)
        takes = list(inspect.signature(activity.run).parameters)
        given: list[object] = [] if job.part is None else [job.item]
        if job.part is None or _wants_data(activity):
            given.append(job.data if job.given else self.chart.data.load(job.data))
        if takes_context(activity):
            return await cast("Callable[..., Awaitable[object]]", activity.run)(*(context, *given)[: len(takes)])
        return await context.run(activity.id, activity.run, *given[: len(takes)])

    def _part(
        self, ctx: restate.Context, activity: Activity, job: Job, index: int, item: Json
    ) -> restate.RestateDurableCallFuture[bytes]:
        """Call the run of one item."""
        part = replace(
            job,
            stable_id=f"{job.stable_id}/{index}",
            data=job.data if _wants_data(activity) else None,
            background=False,
            items=None,
            part=index,
            item=item,
        )
        return ctx.generic_call(runner_name(self.chart), part_name(activity.id), part.encode())


def _given(activity: Activity, job: Job) -> list[Json]:
    """What the work is given, under the names that the chart has for it: redaction goes by names."""
    named = {activity.input.name: job.data} if job.given and activity.input is not None else job.data
    return [
        named,
        job.data,
        {activity.each.name: [*(job.items or ()), job.item]} if activity.each is not None else None,
    ]


def _wants_data(activity: Activity) -> bool:
    """Whether the run of one item gets the data too; otherwise it is not sent along."""
    return len(inspect.signature(activity.run).parameters) > 2


def _ended(made: object) -> Awaitable[None] | None:
    """The end of what a function has returned, if that is to be awaited."""

    async def waiting(awaited: Awaitable[object]) -> None:
        await awaited

    return waiting(cast("Awaitable[object]", made)) if inspect.isawaitable(made) else None


def dropped(chart: Chart, key: str, outcome: Delivery) -> None:
    """The end of detached work that no transition takes; a failure must at least be seen."""
    if outcome.error is not None:
        error = f"{outcome.error.type}: {outcome.error.message}"
        log.error(
            "%s/%s: work '%s' failed, and nothing takes its outcome: %s", chart.name, key, outcome.activity, error
        )
