"""The runner: a private service that does the outside work of one chart's activities.

It is a service of its own so that a machine's journal holds decisions only: code of activities can be redeployed,
killed or moved to other servers without blocking a machine.

An attempt that fails is a value in the journal, followed by a durable sleep and the next named step. What the platform
retries (outages, deployments, kills) is therefore never counted as an attempt.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any, cast

import restate
from restate import TerminalError as RestateTerminalError
from restate.exceptions import RetryableError
from restate.serde import BytesSerde
from restate.server_context import DisconnectedException

from durable_fsm.core.codec import canonical, failure_from_json, failure_to_json, milliseconds, plain
from durable_fsm.core.model import Activity, Chart, Failure, Json, Retry
from durable_fsm.errors import TerminalError
from durable_fsm.restate.fan_out import ItemFailed, fan_out
from durable_fsm.restate.limits import admission
from durable_fsm.restate.wire import FOR_EVER, MAX_INPUT, MAX_SNAPSHOT, Delivery, log, writable

LONGEST_STEP = timedelta(days=1)

MAX_MESSAGE = 10_000
"""Longest error message in characters that a chart is told."""


def runner_name(chart: Chart) -> str:
    """Name of the runner service: `Order.activities`."""
    return f"{chart.name}.activities"


def part_name(activity: str) -> str:
    """Name of the handler that runs one item of a fan-out; no activity's own begins with an underscore."""
    return f"_each_{handler_name(activity)}"


def handler_name(activity: str) -> str:
    """An activity's id as Restate accepts it for a handler."""
    name = re.sub(r"[^a-zA-Z0-9_]", "_", activity)
    return name if name[0].isalpha() else f"a_{name}"


@dataclass(frozen=True, slots=True)
class Job:
    """One run of an activity, as the machine orders it.

    `data` is the machine's, or what *detached* work was started with. Whoever runs a *background* one sends its outcome
    to the machine. `items` are those of a fan-out; each of them is a *part*, run with its `item`.
    """

    key: str
    token: str
    stable_id: str
    data: Json
    background: bool
    detached: bool = False
    items: list[Json] | None = None
    part: bool = False
    item: Json = None

    def encode(self) -> bytes:
        return canonical(plain(self)).encode()

    @classmethod
    def decode(cls, body: bytes) -> Job:
        return cls(**json.loads(body))


class Failed(TerminalError):
    """A step failed for good; carries the failure as the chart will see it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, code=failure.code)
        self.failure = failure


class Context:
    """The `ActivityContext` of one job."""

    def __init__(self, ctx: restate.Context, chart: Chart, activity: Activity, job: Job) -> None:
        self._ctx = ctx
        self._retry = activity.retry
        self._activity = activity.id
        self.machine = chart.name
        self.key = job.key
        self.stable_id = job.stable_id

    # Any: arguments and result are whatever the step's function takes and returns
    async def run(self, name: str, step: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See `ActivityContext.run`."""
        retry: Retry = self._retry

        async def attempt() -> bytes:
            return canonical(await _outcome(step, args, kwargs)).encode()

        for number in count(1):
            title = name if number == 1 else f"{name}, attempt {number}"
            options = restate.RunOptions[bytes](serde=BytesSerde())
            answer = await self._ctx.run_typed(title, attempt, options)
            record = json.loads(answer)
            if "error" not in record:
                return record["result"]
            failure = failure_from_json(record["error"])
            if record["terminal"] or number == retry.attempts:
                raise Failed(failure)
            await self.sleep(retry.delay(number))

    async def sleep(self, duration: timedelta) -> None:
        """See `ActivityContext.sleep`."""
        await self._ctx.sleep(timedelta(milliseconds=milliseconds(duration)))


async def _outcome(step: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Json]:
    """One attempt as a value: its result, or its error and whether another attempt may help."""
    try:
        if inspect.iscoroutinefunction(step):
            result = await step(*args, **kwargs)
        else:
            result = await asyncio.to_thread(step, *args, **kwargs)
        if inspect.isawaitable(result):
            result = await result
        return {"result": sendable(result, MAX_SNAPSHOT)}
    except (TerminalError, RestateTerminalError) as error:
        return {"error": failure_to_json(failure_of(error)), "terminal": True}
    except Exception as error:  # noqa: BLE001 - the author's code may raise anything; the retry policy decides
        return {"error": failure_to_json(failure_of(error)), "terminal": False}


def sendable(result: object, limit: int) -> Json:
    """What an activity or a step returned, as plain JSON of at most *limit* bytes.

    Whatever else reached the journal would be tried again for ever by the platform.

    Raises:
        TerminalError: it has no such form.
    """
    try:
        value = plain(result)
        size = len(canonical(value).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise TerminalError(f"the result cannot be written as JSON: {error}.") from error
    if size > limit:
        raise TerminalError(
            f"the result has {size} bytes; at most {limit} are taken. Return a reference to it instead."
        )
    return value


def failure_of(error: Exception) -> Failure:
    """An exception as the chart sees it, in a form that can be stored whatever the author put into it."""
    if isinstance(error, Failed | ItemFailed):
        return error.failure
    name = type(error).__name__
    if isinstance(error, RestateTerminalError) and error.message in ("cancelled", "killed"):
        return Failure(error.message, f"the activity was {error.message}.", error.status_code)
    if isinstance(error, TerminalError):
        return Failure(name, _words_of(error), error.code, _facts_of(error))
    if isinstance(error, RestateTerminalError):
        return Failure(name, _words_of(error), error.status_code, _facts_of(error))
    return Failure(name, _words_of(error))


def _words_of(error: Exception) -> str:
    try:
        words = str(error)
    except Exception:  # noqa: BLE001 - its author's code too
        words = ""
    return writable(words[:MAX_MESSAGE]) or type(error).__name__


def _facts_of(error: TerminalError | RestateTerminalError) -> Json:
    try:
        return sendable(error.metadata, MAX_INPUT) or None
    except TerminalError:
        return None


class Runner:
    """The runner service of one chart."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart

    def service(self) -> restate.Service:
        service = restate.Service(
            runner_name(self.chart),
            description=f"Runs the activities of {self.chart.name}.",
            ingress_private=True,
            abort_timeout=LONGEST_STEP,
            invocation_retry_policy=FOR_EVER,
        )
        for activity in self.chart.activities.values():
            names = [handler_name(activity.id)] + [part_name(activity.id)] * (activity.each is not None)
            for name in names:
                register = service.handler(name, accept="*/*", input_serde=BytesSerde(), output_serde=BytesSerde())
                register(self._handler(activity))
        return service

    def _handler(self, activity: Activity) -> Callable[[restate.Context, bytes], Awaitable[bytes]]:
        async def handle(ctx: restate.Context, body: bytes) -> bytes:
            job = Job.decode(body)
            outcome = await self._run(ctx, activity, job)
            if job.background:
                ctx.generic_send(self.chart.name, "_deliver", outcome.encode(), key=job.key)
            elif job.detached and not job.part:
                dropped(self.chart, job.key, outcome)
            return outcome.encode()

        handle.__doc__ = inspect.getdoc(activity.run)
        return handle

    async def _run(self, ctx: restate.Context, activity: Activity, job: Job) -> Delivery:
        """Run the author's code to its end; whatever it raises is the outcome."""
        context = Context(ctx, self.chart, activity, job)
        try:
            if activity.each is not None and job.items is not None:
                result: object = await fan_out(ctx, activity.each, job.items, partial(self._part, ctx, activity, job))
            else:
                result = await self._work(ctx, context, activity, job)
            return Delivery(job.token, activity.id, result=sendable(result, MAX_INPUT))
        except (DisconnectedException, RetryableError):  # the platform's own: it tries the invocation again
            raise
        except Exception as error:  # noqa: BLE001 - as for a step, except that it is not tried again
            if not isinstance(error, TerminalError | RestateTerminalError | ItemFailed):
                log.exception("%s/%s: activity '%s' failed outside a step", self.chart.name, job.key, activity.id)
            return Delivery(job.token, activity.id, error=failure_of(error))

    async def _work(self, ctx: restate.Context, context: Context, activity: Activity, job: Job) -> object:
        """Run the author's code once: with the data, or with one item."""
        if activity.limit is not None:
            await admission(ctx, self.chart, activity.id, activity.limit)
        takes = list(inspect.signature(activity.run).parameters)
        given: list[object] = [job.item] if job.part else []
        if not job.part or _wants_data(activity):
            given.append(job.data if job.detached else self.chart.data.load(job.data))
        if len(takes) > 1 or takes == ["ctx"]:
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
            part=True,
            item=item,
        )
        return ctx.generic_call(runner_name(self.chart), part_name(activity.id), part.encode())


def _wants_data(activity: Activity) -> bool:
    """Whether the run of one item gets the data too; otherwise it is not sent along."""
    return len(inspect.signature(activity.run).parameters) > 2


def dropped(chart: Chart, key: str, outcome: Delivery) -> None:
    """The end of detached work that no transition takes; a failure must at least be seen."""
    if outcome.error is not None:
        error = f"{outcome.error.type}: {outcome.error.message}"
        log.error(
            "%s/%s: work '%s' failed, and nothing takes its outcome: %s", chart.name, key, outcome.activity, error
        )
