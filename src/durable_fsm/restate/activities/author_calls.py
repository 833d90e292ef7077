"""Calls of the functions that authors write for activities, with the arguments that their signatures ask for."""

from __future__ import annotations

import inspect
import types
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, TypeVar, cast

from durable_fsm.core.author_code import ANYTHING
from durable_fsm.core.chart import Activity, Chart, Undo
from durable_fsm.frontends.services import GIVEN_BY_NAME, positional_of, takes_context
from durable_fsm.restate.activities.context import JobContext
from durable_fsm.restate.activities.job import ActivityJob, RunToUndo

T = TypeVar("T")


def has_steps(activity: Activity) -> bool:
    """Whether the activity or its undo takes a context: only then it is made of steps, and may wait for callbacks."""
    return takes_context(activity) or (activity.undo is not None and "ctx" in _asked_by(activity.undo))


def takes_data_with_item(activity: Activity) -> bool:
    """Whether the function of a fan-out takes the data beside the item: `(ctx, item, data)`."""
    return len(positional_of(activity.run)) > 2


async def call_work(context: JobContext, chart: Chart, activity: Activity, job: ActivityJob) -> object:
    """Call the work of an activity; a function without a context is one step."""
    given: list[object] = [] if job.part is None else [job.item]
    if job.part is None or takes_data_with_item(activity):
        given.append(job.data if job.given else chart.data.load(job.data))
    accepted = len(positional_of(activity.run))
    if takes_context(activity):
        work = cast("Callable[..., Awaitable[object]]", activity.run)
        return await contained(work(*(context, *given)[:accepted]))
    return await context.run_only(activity.id, activity.run, *given[:accepted])


async def call_undo(context: JobContext, chart: Chart, undo: Undo, job: ActivityJob, run: RunToUndo) -> None:
    """Call the undo of an activity; a function without a context is one step."""
    asked = _asked_by(undo)
    values: dict[str, object] = {"ctx": context, "result": run.result, "original": run.original}
    if "data" in asked:
        values["data"] = chart.data.load(job.data)
    call: Callable[[], object] = partial(undo.run, **{name: values[name] for name in asked})
    if "ctx" in asked:
        await contained(cast("Awaitable[object]", call()))
    else:
        await context.run_only(undo.name, _without_result(call))


@types.coroutine
def contained(work: Awaitable[T]) -> Generator[Any, Any, T]:  # Any: whatever an event loop and its futures pass
    """Await an author's coroutine. A GeneratorExit that it raises is a RuntimeError, as Python itself does it for StopIteration.

    When the platform closes an unfinished handler, a GeneratorExit passes through it too. The two can be distinguished only here: that one is thrown in where we wait.
    """
    running = work.__await__()
    resume: Callable[[], Any] = partial(next, running)
    while True:
        try:
            waits_for = resume()
        except StopIteration as end:
            result: T = end.value
            return result
        except GeneratorExit as error:
            raise RuntimeError("the coroutine raised GeneratorExit") from error
        try:
            resume = partial(running.send, (yield waits_for))
        except GeneratorExit:
            running.close()
            raise
        except ANYTHING as thrown:
            resume = partial(running.throw, thrown)


def _without_result(call: Callable[[], object]) -> Callable[[], object]:
    """The same call, returning nothing: an undo may return what has no form in JSON."""

    async def awaited(result: Awaitable[object]) -> None:
        await result

    def plain() -> object:
        result = call()
        return awaited(cast("Awaitable[object]", result)) if inspect.isawaitable(result) else None

    async def coroutine() -> None:
        await cast("Awaitable[object]", call())

    # A step that is not a coroutine function runs in a thread; an async undo must stay in the event loop.
    return coroutine if inspect.iscoroutinefunction(call) else plain


def _asked_by(undo: Undo) -> list[str]:
    """The names that an undo takes, of those that it may take."""
    return [name for name in inspect.signature(undo.run).parameters if name in GIVEN_BY_NAME]
