"""A machine as properties see it: its data, its active states, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from durable_fsm.core.chart import Chart
from durable_fsm.core.events import Failure
from durable_fsm.core.questions import Acceptance, acceptance_of
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.step import active_in


class Moment:
    """One machine between two moves.

    Attributes:
        snapshot: all that is stored of it.
        status: `running`, `done` or `failed`.
        machines: those that run inside it, by the ids that lead to each: `m.machines["shipping"]`. Empty where they are not
            explored with it.
    """

    def __init__(
        self,
        chart: Chart,
        snapshot: Snapshot,
        now: datetime | None = None,
        machines: Mapping[str, Moment] | None = None,
    ) -> None:
        self.machines: Mapping[str, Moment] = machines or {}
        self._chart = chart
        self._now = now
        self.snapshot = snapshot
        self.status = snapshot.status.value

    @cached_property
    def active(self) -> frozenset[str]:
        """Ids of all active states: the innermost ones and those around them."""
        return frozenset(active_in(self._chart, self.snapshot))

    @cached_property
    def data(self) -> Any:  # Any: of the type the chart declares
        """The data, in the type that the chart declares."""
        return self._chart.data.load(self.snapshot.data)

    @property
    def output(self) -> Any:  # Any: JSON, as the chart makes it
        """The output of the final state, or of the state that answers the workflow."""
        return (self.snapshot.answer or self.snapshot).output

    @property
    def failure(self) -> Failure | None:
        """Why the machine has failed, if it has."""
        return (self.snapshot.answer or self.snapshot).failure

    @property
    def running(self) -> tuple[str, ...]:
        """Ids of the activities whose outcome the machine awaits."""
        return tuple(one.id for one in self.snapshot.activities if not one.failed)

    @property
    def stopping(self) -> tuple[str, ...]:
        """Ids of the activities that were stopped and have not ended yet."""
        return tuple(one.id for one in self.snapshot.stopping)

    @property
    def undo(self) -> tuple[str, ...]:
        """Ids of the activities that can be undone, the latest last."""
        return tuple(one.id for one in self.snapshot.undo)

    @property
    def timers(self) -> tuple[str, ...]:
        """Events that arrive by a timer, without the deadlines of activities."""
        return tuple(one.event for one in self.snapshot.timers if one.activity is None)

    @property
    def deferred(self) -> tuple[str, ...]:
        """Names of the events that are deferred, the oldest first."""
        return tuple(one.event for one in self.snapshot.deferred)

    def accepts(self, event: object) -> bool:
        """Whether the machine would accept this event, or keep it for later; with some payload, if that decides."""
        name = event if isinstance(event, str) else str(getattr(event, "id", event))
        answer = acceptance_of(self._chart, self.snapshot, now=self._now).get(name, Acceptance.NO)
        return answer in (Acceptance.YES, Acceptance.DEPENDS, Acceptance.DEFERRED)
