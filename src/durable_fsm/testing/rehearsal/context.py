"""The context of an activity that a rehearsal runs itself, because it was given the services of that activity."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, NoReturn, cast


class RehearsedContext:
    """An `ActivityContext` in memory: a step runs once, at once, and a sleep takes no time."""

    def __init__(self, machine: str, key: str, stable_id: str) -> None:
        self.machine = machine
        self.key = key
        self.stable_id = stable_id

    # Any: arguments and result are whatever the step's function takes and returns
    async def run(self, name: str, step: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See `ActivityContext.run`."""
        result = step(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    async def sleep(self, duration: timedelta) -> None:
        """Do nothing."""

    def callback(self, name: str, *, timeout: timedelta | None = None) -> NoReturn:
        """Refuse it: an answer from outside never comes."""
        raise LookupError(f"callback '{name}' has no answer in a rehearsal; give the activity one: answers={{...}}")


def finished(result: object) -> object:
    """The result of a function; of a coroutine, what it returns. A test may run in an event loop of its own."""
    if not inspect.isawaitable(result):
        return result
    awaited = cast("Awaitable[object]", result)

    async def wait() -> object:
        return await awaited

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, wait()).result()
