"""The surroundings of an activity's code: its context, its stable id, and answers from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Protocol, TypeVar, overload

from durable_fsm.core.address import as_part
from durable_fsm.core.effects import StartActivity
from durable_fsm.core.snapshot import Running, Stopping, Undoable

R = TypeVar("R")


def stable_id(chart: str, key: str, life: str, run: Running | Stopping | StartActivity | Undoable) -> str:
    """The id by which the outside world knows one run of an activity.

    Detached work may be started several times in one macrostep; the number of its token tells the runs apart. An undo has
    an id of its own, which stays the same however often it begins.
    """
    detached = run.detached if isinstance(run, StartActivity) else run.state is None
    number = f"{run.entry}.{run.token.rpartition('.')[2]}" if detached else f"{run.entry}"
    undoing = "/undo" if isinstance(run, StartActivity) and run.undo is not None else ""
    return f"{chart}/{key}/{life}/{as_part(run.id)}/{number}{undoing}"


class PendingAnswer(Awaitable[Any], Protocol):  # Any: the JSON that was sent
    """An answer that comes from outside; `await` it for the JSON that was sent.

    Attributes:
        name: what the activity calls it.
        id: resolves or rejects it over HTTP. Treat it as a secret.

    Raises, when awaited:
        CallbackTimeout: no answer came in time.
        CallbackRejected: it was rejected.
        CallbackUnreadable: the answer is not JSON, or longer than 1 MiB.
    """

    @property
    def name(self) -> str: ...

    @property
    def id(self) -> str: ...


class ActivityContext(Protocol):
    """The `ctx` of an activity: steps, sleeps and callbacks that survive a restart.

    Attributes:
        machine: name of the chart.
        key: the machine's key.
        stable_id: an idempotency key for outside services, such as `Order/o-17/<life>/charging/2`. It is the same for
            every attempt of this run of the activity, and differs when its state is entered again.
    """

    @property
    def machine(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def stable_id(self) -> str: ...

    # Any: arguments are whatever the step's function takes
    @overload
    async def run(self, name: str, step: Callable[..., Awaitable[R]], /, *args: Any, **kwargs: Any) -> R: ...

    @overload
    async def run(self, name: str, step: Callable[..., R], /, *args: Any, **kwargs: Any) -> R: ...

    async def run(self, name: str, step: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Run one step of outside work. Once it has succeeded, it never runs again.

        If the step raises, or takes longer than the activity's `timeout`, it is retried as its `Retry` says; a
        TerminalError is not retried. The result is stored as plain JSON and comes back in the type of the function's
        return annotation. When the activity is cancelled, the step is cancelled too, and its clean-up runs before this
        raises. A step that is not a coroutine keeps running in its thread, and its outcome is dropped.

        Raises:
            TerminalError: the step failed permanently.
        """
        ...

    async def sleep(self, duration: timedelta) -> None:
        """Wait; survives restarts."""
        ...

    def callback(self, name: str, *, timeout: timedelta | None = None) -> PendingAnswer:
        """Wait for an answer from outside: `await ctx.callback("signature", timeout=timedelta(days=3))`.

        The answer can be given over HTTP from now on; the machine's snapshot shows the id.

        Args:
            timeout: counts from now; None waits for ever.
        """
        ...
