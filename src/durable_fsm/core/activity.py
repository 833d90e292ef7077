"""What the code of an activity receives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

from durable_fsm.core.model import Running, StartActivity


def stable_id(chart: str, key: str, life: str, run: Running | StartActivity) -> str:
    """What the outside world may know one run of an activity by.

    Detached work may be started several times in one macrostep: the number of its token tells them apart.
    """
    detached = run.detached if isinstance(run, StartActivity) else run.state is None
    number = f"{run.entry}.{run.token.rpartition('.')[2]}" if detached else f"{run.entry}"
    return f"{chart}/{key}/{life}/{run.id}/{number}"


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

        A step that raises is tried again as the activity's `Retry` says; TerminalError is not. The result must be plain
        JSON, or something that `plain` makes so, and comes back in that form.

        Raises:
            TerminalError: the step failed for good.
        """
        ...

    async def sleep(self, duration: timedelta) -> None:
        """Wait; survives restarts."""
        ...
