"""The clock and the messages in flight, which all machines of a rehearsal share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from durable_fsm.core.chart import Chart
from durable_fsm.core.durations import instant_in_utc
from durable_fsm.testing.rehearsal.slots import Slots


class Member(Protocol):
    """A machine that takes part."""

    chart: Chart
    key: str
    due: dict[str, tuple[timedelta, int]]

    def ring(self, token: str, due: timedelta) -> None:
        """Deliver the timer with this token, which was due at this time."""
        ...


M = TypeVar("M", bound=Member)


class World(Generic[M]):
    """One clock for several machines, and one queue of deliveries between them.

    Attributes:
        began: The instant at which the clock shows zero.
        now: The time since then.
        machines: Those that exist now.
        post: Deliveries on their way, the oldest first.
        slots: The limits of all machines.
    """

    def __init__(self, began: datetime) -> None:
        self.began = instant_in_utc(began, "began=")
        self.now = timedelta(0)
        self.machines: list[M] = []
        self.post: deque[Callable[[], None]] = deque()
        self.slots = Slots()
        self._armed = 0
        self._settling = False

    def due_at(self, after: timedelta, at: datetime | None) -> tuple[timedelta, int]:
        """When a timer that is armed now falls due; the number decides between timers of the same moment."""
        self._armed += 1
        return (self.now + after if at is None else at - self.began), self._armed

    def advance(self, by: timedelta) -> None:
        """Move the clock; let every timer ring that falls due on the way, in order.

        Raises:
            ValueError: *by* is negative.
        """
        if by < timedelta(0):
            raise ValueError(f"the clock cannot go back: 'by' is {by}.")
        deadline = self.now + by
        while (found := self._next_due(deadline)) is not None:
            when, _, token, machine = found
            self.now = max(self.now, when)
            del machine.due[token]
            machine.ring(token, when)
        self.now = deadline

    def settle(self) -> None:
        """Deliver until nothing is on its way. A delivery that calls this again changes nothing."""
        if self._settling:
            return
        self._settling = True
        try:
            while self.post:
                self.post.popleft()()
        finally:
            self._settling = False

    def find(self, chart: str, key: str) -> M | None:
        """The machine with this address, if it takes part."""
        return next((one for one in self.machines if (one.chart.name, one.key) == (chart, key)), None)

    def _next_due(self, deadline: timedelta) -> tuple[timedelta, int, str, M] | None:
        due = [
            (when, number, token, machine)
            for machine in self.machines
            for token, (when, number) in machine.due.items()
            if when <= deadline
        ]
        return min(due, key=lambda found: found[:2]) if due else None
