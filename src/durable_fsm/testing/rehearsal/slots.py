"""Limits in a rehearsal: the machines that share a clock share the slots of their limits, too."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple, Self

from durable_fsm.core.chart import Chart
from durable_fsm.core.effects import StartActivity
from durable_fsm.core.limits import Limit


class LimitedRun(NamedTuple):
    """A run of an activity that needs a slot. `limit` tells its limit from all others; `name` is for people."""

    machine: object
    token: str
    limit: tuple[str, str]
    name: str
    slots: int
    priority: int
    granted: Callable[[], None]

    @classmethod
    def of(cls, chart: Chart, start: StartActivity, machine: object, granted: Callable[[], None]) -> Self | None:
        """The run that starts; None if it needs no slot. A rehearsal answers a fan-out as a whole, without its limit."""
        activity = chart.activities[start.id]
        if activity.limit is None or activity.each is not None or start.undo is not None:
            return None
        if isinstance(activity.limit, Limit):
            limit, name, slots = ("", activity.limit.name), activity.limit.name, activity.limit.slots
        else:
            limit, name, slots = (chart.name, activity.id), activity.id, activity.limit
        return cls(machine, start.token, limit, name, slots, start.priority, granted)


class Slots:
    """The runs that hold a slot, and those that wait for one."""

    def __init__(self) -> None:
        self._held: list[LimitedRun] = []
        self._waiting: list[LimitedRun] = []

    def ask(self, run: LimitedRun) -> None:
        """Queue a run, and let it in if there is room."""
        self._waiting.append(run)
        self._let_in()

    def keep(self, machine: object, live: Collection[str]) -> None:
        """Take the slots of all runs of a machine but the *live* ones, and let others in."""
        self._held = [run for run in self._held if run.machine is not machine or run.token in live]
        self._waiting = [run for run in self._waiting if run.machine is not machine or run.token in live]
        self._let_in()

    def awaited(self, machine: object, token: str) -> str | None:
        """The name of the limit that a run waits for; None if it does not wait."""
        return next((run.name for run in self._waiting if run.machine is machine and run.token == token), None)

    def _let_in(self) -> None:
        for run in sorted(self._waiting, key=lambda one: one.priority):
            if sum(other.limit == run.limit for other in self._held) < run.slots:
                self._waiting.remove(run)
                self._held.append(run)
                run.granted()
