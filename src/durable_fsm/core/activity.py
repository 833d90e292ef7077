"""What the code of an activity receives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Protocol

from durable_fsm.core.effects import StartActivity
from durable_fsm.core.snapshot import Running, Stopping, Undoable


def stable_id(chart: str, key: str, life: str, run: Running | Stopping | StartActivity | Undoable) -> str:
    """What the outside world may know one run of an activity by.

    Detached work may be started several times in one macrostep: the number of its token tells them apart. What undoes a
    run has an id of its own, and the same one however often it is begun.
    """
    detached = run.detached if isinstance(run, StartActivity) else run.state is None
    number = f"{run.entry}.{run.token.rpartition('.')[2]}" if detached else f"{run.entry}"
    undoing = "/undo" if isinstance(run, StartActivity) and run.undo is not None else ""
    return f"{chart}/{key}/{life}/{run.id}/{number}{undoing}"


class PendingAnswer(Awaitable[Any], Protocol):  # Any: whatever JSON somebody outside sends
    """Somebody outside is to answer; `await` it for what they sent.

    Attributes:
        name: what the activity calls it.
        id: under which it is resolved or rejected over HTTP. Whoever knows it can do so.

    Raises, when awaited:
        CallbackTimeout: nobody has answered in time.
        CallbackRejected: it was rejected.
        CallbackUnreadable: the answer is no JSON, or longer than 1 MiB.
    """

    @property
    def name(self) -> str: ...

    @property
    def id(self) -> str: ...


class ActivityContext(Protocol):
    """The durable surroundings of one activity.

    Attributes:
        machine: name of the chart.
        key: the machine's key.
        stable_id: the same for every attempt of this run of the activity, another one when its state is entered again;
            made to be an idempotency key: `Order/o-17/<life>/charging/2`.
    """

    @property
    def machine(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def stable_id(self) -> str: ...

    # Any: arguments and result are whatever the step's function takes and returns
    async def run(self, name: str, step: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Run one step of outside work; once it has succeeded it is never run again.

        A step that raises, or takes longer than the activity's `timeout`, is tried again as its `Retry` says;
        TerminalError is not. The result must be plain JSON, or something that `plain` makes so, and comes back in that
        form. When the activity is cancelled, the step is cancelled too and its clean-up runs before this raises; a step
        that is no coroutine runs on in its thread, and its outcome is dropped.

        Raises:
            TerminalError: the step failed for good.
        """
        ...

    async def sleep(self, duration: timedelta) -> None:
        """Wait; survives restarts."""
        ...

    def callback(self, name: str, *, timeout: timedelta | None = None) -> PendingAnswer:
        """Expect an answer from outside: `await ctx.callback("signature", timeout=timedelta(days=3))`.

        It can be given over HTTP from now on, under the id that stands in the machine's snapshot.

        Args:
            timeout: counts from now; None waits for ever.
        """
        ...
