"""Attempts of steps that run in this process, and how they are stopped.

Restate tells a running step about a cancellation only while it keeps the connection open. If it has closed the connection
(after a minute without output; always, with servers that answer one request at a time), the machine's own stop message
still reaches the step here, provided that the step runs in the process that receives the message.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import msgspec
from restate import TerminalError as RestateTerminalError

from durable_fsm.core.chart import Retry
from durable_fsm.core.events import Failure
from durable_fsm.core.values import Json, changed
from durable_fsm.errors import TerminalError
from durable_fsm.restate.activities.failures import failure_of, sendable
from durable_fsm.restate.activities.threads import WorkerThreads
from durable_fsm.restate.crashes import recorded, recorder
from durable_fsm.restate.fastjson import WireRecord
from durable_fsm.restate.http.errors import JOURNAL_ERRORS, ends_attempt
from durable_fsm.restate.http.requests import MAX_SNAPSHOT
from durable_fsm.restate.observability import report
from durable_fsm.restate.observability.places import place_in

CLEANUP = timedelta(seconds=10)
"""How long a stopped step may clean up before its activity continues without waiting for it."""

T = TypeVar("T")

REMEMBERED = 10_000
"""How many stopped jobs are remembered."""


class Attempt(WireRecord, frozen=True):
    """How an attempt ended: with a `result`, with an `error` that may be `terminal`, or `stopped`.

    `at` is when it failed, in milliseconds since 1970.
    """

    result: Json | msgspec.UnsetType = msgspec.UNSET
    error: Failure | None = None
    terminal: bool = False
    stopped: bool = False
    at: int = 0


class RunningAttempts:
    """The attempts that run in this process, by the token of their job."""

    def __init__(self, threads: WorkerThreads | None = None) -> None:
        self._threads = threads or WorkerThreads()
        self._tasks: dict[str, set[asyncio.Task[Attempt]]] = {}
        # The stopped jobs, and whether each has seen its cancellation. One that has seen it may run further steps: the
        # author's clean-up.
        self._stopped: OrderedDict[str, bool] = OrderedDict()

    def stop(self, token: str) -> None:
        """Stop the step that this job runs, or the next one it begins, unless the job has seen its cancellation.

        The items of a fan-out, `token/3`, are stopped with it.
        """
        if token in self._stopped:
            return
        for other, tasks in self._tasks.items():
            if other.partition("/")[0] == token and other not in self._stopped:
                for task in tasks:
                    _cancel(task)
        self._remember(token, seen=False)

    async def end(self, token: str) -> None:
        """Note that the job has seen its cancellation; end its running step, and wait for the step's clean-up."""
        self._remember(token, seen=True)
        await _ended(self._tasks.get(token, set()))

    async def run(
        self,
        token: str,
        name: str,
        step: Callable[[], object],
        retry: Retry,
        *,
        timeout: timedelta | None,
        finish: bool = False,
    ) -> Attempt:
        """Run a step once; whatever happens to it is a value. A stop lets the step *finish*, or interrupts it."""
        if finish and self._is_to_stop(token):
            return Attempt(stopped=True)
        begun = asyncio.Event()
        task = asyncio.create_task(self._attempt(name, step, retry, begun))
        task.add_done_callback(lambda _: begun.set())
        if not finish:
            self._tasks.setdefault(token, set()).add(task)
            task.add_done_callback(lambda _: self._forget(token, task))
            if self._is_to_stop(token):
                _cancel(task)
        try:
            await begun.wait()  # the time that a plain function waits for a thread is not time that it takes
            await asyncio.wait({task}, timeout=timeout.total_seconds() if timeout is not None else None)
        except asyncio.CancelledError:  # Restate ends this attempt of the invocation, and will begin another
            _cancel(task)
            raise
        if not task.done():
            await _ended({task})
            late = Failure("timeout", f"step '{name}' did not end within {timeout}.", place=place_in(step))
            return Attempt(error=late, terminal=retry.gives_up(TimeoutError()))
        if not task.cancelled():
            return task.result()
        if self._is_to_stop(token):
            return Attempt(stopped=True)
        raise asyncio.CancelledError  # the job has seen its cancellation and gone on without this attempt

    async def _attempt(self, name: str, step: Callable[[], object], retry: Retry, begun: asyncio.Event) -> Attempt:
        try:
            if inspect.iscoroutinefunction(step):
                begun.set()
                result = await _watched(step())
            else:
                result, error = await self._threads.run(_shown(name), _watched_in_thread(step), begun)
                if error is not None:
                    return _failed(error, name, step, retry)
                if inspect.isawaitable(result):
                    result = await _watched(result)
            return Attempt(result=sendable(result, MAX_SNAPSHOT))
        except BaseException as error:
            if ends_attempt(error) and not isinstance(error, JOURNAL_ERRORS):  # a step has no business with the journal
                raise
            return _failed(error, name, step, retry)

    def _is_to_stop(self, token: str) -> bool:
        """Whether this job, or the fan-out that it belongs to, was stopped and has not seen it yet."""
        fan_out = token.partition("/")[0]
        return self._stopped.get(token, self._stopped.get(fan_out)) is False

    def _forget(self, token: str, task: asyncio.Task[Attempt]) -> None:
        running = self._tasks[token]
        running.discard(task)
        if not running:
            del self._tasks[token]

    def _remember(self, token: str, *, seen: bool) -> None:
        self._stopped[token] = seen
        if len(self._stopped) > REMEMBERED:
            self._stopped.popitem(last=False)


def _cancel(task: asyncio.Task[Attempt]) -> None:
    if not task.cancelling():  # a second cancellation would interrupt the clean-up
        task.cancel()


async def _ended(tasks: set[asyncio.Task[Attempt]]) -> None:
    """Cancel the tasks and wait for their clean-up."""
    for task in tasks:
        _cancel(task)
    if tasks:
        await asyncio.wait(set(tasks), timeout=CLEANUP.total_seconds())


def _watched(work: Awaitable[T]) -> Awaitable[T]:
    """The work, named by its invocation while its code runs: it may end the process."""
    invocation, crashes = report.current.get(), recorder()
    return work if invocation is None or crashes is None else recorded(work, crashes, invocation.id)


def _watched_in_thread(step: Callable[[], T]) -> Callable[[], T]:
    invocation, crashes = report.current.get(), recorder()
    if invocation is None or crashes is None:
        return step
    id, ours = invocation.id, crashes

    def watched() -> T:
        with ours.in_thread(id):
            return step()

    return watched


def _shown(step: str) -> str:
    """The step as the log of threads names it: `step 'charge' of Order/o-17`."""
    invocation = report.current.get()
    where = f" of {invocation.chart.name}/{invocation.key}" if invocation is not None else ""
    return f"step '{step}'{where}"


def _failed(error: BaseException, name: str, step: Callable[[], object], retry: Retry) -> Attempt:
    """The failure, with the place of the step if the exception did not come from its code."""
    failure = failure_of(error)
    terminal = isinstance(error, TerminalError | RestateTerminalError) or retry.gives_up(error)
    if not terminal:  # a final one was meant
        report.raised(error, f"step '{name}'", final=False)
    return Attempt(error=failure if failure.place else changed(failure, place=place_in(step)), terminal=terminal)
