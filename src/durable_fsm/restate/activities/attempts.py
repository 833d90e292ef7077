"""The steps of activities that run in this process now, and how they are stopped.

Restate tells a running step that its invocation is cancelled only as long as it keeps the connection open. Where it has
closed it (a step that is silent for a minute; always, for servers that answer once per request), the machine's own word
reaches the step here, if it runs in the process that hears it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta

from restate import TerminalError as RestateTerminalError

from durable_fsm.core.chart import Retry
from durable_fsm.core.codec import failure_to_json
from durable_fsm.core.events import Failure
from durable_fsm.core.values import Json
from durable_fsm.errors import TerminalError
from durable_fsm.restate.activities.failures import failure_of, sendable
from durable_fsm.restate.http.requests import MAX_SNAPSHOT

CLEANUP = timedelta(seconds=10)
"""How long a step that was stopped may clean up before its activity goes on without waiting for it."""

REMEMBERED = 10_000
"""How many jobs are remembered that were told to stop."""

Record = dict[str, Json]
"""One attempt as a value: `result`; or `error` and whether that is `terminal`; or `stopped`."""


class Steps:
    """The steps that run in this process, by the token of their job."""

    def __init__(self) -> None:
        self._running: dict[str, set[asyncio.Task[Record]]] = {}
        self._told: OrderedDict[str, bool] = OrderedDict()

    def stop(self, token: str) -> None:
        """Stop the step of this job that runs, or the next one that begins; unless the job knows already.

        The parts of a fan-out, `token/3`, are stopped with it.
        """
        if token not in self._told:
            for other, tasks in self._running.items():
                if other.partition("/")[0] == token and other not in self._told:
                    for task in tasks:
                        _cancel(task)
            self._remember(token, knows=False)

    async def stopped(self, token: str) -> None:
        """The job knows that it is cancelled: end what it was doing, clean-up included. What it does next is its own."""
        self._remember(token, knows=True)
        await _ended(self._running.get(token, set()))

    async def attempt(
        self,
        token: str,
        name: str,
        step: Callable[[], object],
        *,
        retry: Retry,
        timeout: timedelta | None,
        patient: bool = False,
    ) -> Record:
        """Run a step once; whatever becomes of it is the result. A *patient* one is not interrupted once it runs."""
        if patient and self._is_to_stop(token):
            return {"stopped": True}
        task = asyncio.create_task(_outcome(step, retry))
        if not patient:
            self._running.setdefault(token, set()).add(task)
            task.add_done_callback(lambda _: self._forget(token, task))
            if self._is_to_stop(token):
                _cancel(task)
        try:
            await asyncio.wait({task}, timeout=timeout.total_seconds() if timeout is not None else None)
        except asyncio.CancelledError:  # this attempt of the platform is over, and another one will begin
            _cancel(task)
            raise
        if not task.done():
            await _ended({task})
            late = Failure("timeout", f"step '{name}' was not over after {timeout}.")
            return {"error": failure_to_json(late), "terminal": retry.gives_up(TimeoutError())}
        if not task.cancelled():
            return task.result()
        if self._is_to_stop(token):
            return {"stopped": True}
        if token in self._told:  # the job has heard it from the platform and has gone on: nobody wants an outcome
            raise asyncio.CancelledError
        failure = Failure("CancelledError", f"step '{name}' cancelled itself.")
        return {"error": failure_to_json(failure), "terminal": False}

    def _is_to_stop(self, token: str) -> bool:
        """Whether the job was told to stop, or the whole of which it is a part, and does not know it."""
        whole = token.partition("/")[0]
        return self._told.get(token, self._told.get(whole)) is False

    def _forget(self, token: str, task: asyncio.Task[Record]) -> None:
        running = self._running[token]
        running.discard(task)
        if not running:
            del self._running[token]

    def _remember(self, token: str, *, knows: bool) -> None:
        self._told[token] = knows
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)


def _cancel(task: asyncio.Task[Record]) -> None:
    """Cancel it once: another time would interrupt its clean-up."""
    if not task.cancelling():
        task.cancel()


async def _ended(tasks: set[asyncio.Task[Record]]) -> None:
    """Cancel the tasks, and wait until they have cleaned up."""
    for task in tasks:
        _cancel(task)
    if tasks:
        await asyncio.wait(set(tasks), timeout=CLEANUP.total_seconds())


async def _outcome(step: Callable[[], object], retry: Retry) -> Record:
    try:
        if inspect.iscoroutinefunction(step):
            result: object = await step()
        else:
            result = await asyncio.to_thread(step)
        if inspect.isawaitable(result):
            result = await result
        return {"result": sendable(result, MAX_SNAPSHOT)}
    except (TerminalError, RestateTerminalError) as error:
        return {"error": failure_to_json(failure_of(error)), "terminal": True}
    except Exception as error:  # noqa: BLE001 - the author's code may raise anything; the retry policy decides
        return {"error": failure_to_json(failure_of(error)), "terminal": retry.gives_up(error)}
