"""Read the activities, machines and timers of a configuration."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import timedelta
from typing import Any, cast

from transitions.extensions.states import Timeout

from durable_fsm.core.calendar import Calendar
from durable_fsm.core.chart import Activity, Callback, Child, Missed, Timer
from durable_fsm.core.durations import LONGEST_DELAY
from durable_fsm.core.scope import NOW
from durable_fsm.frontends.arguments import Report
from durable_fsm.frontends.calendars import calendar_timer
from durable_fsm.frontends.declare import ActivityOf, activity_of
from durable_fsm.frontends.detached import detached_of, made_activity
from durable_fsm.frontends.machines import MachineOf, ReadChart, child_of, machine
from durable_fsm.frontends.transitions.config import TransitionsConfig, listed


class ConfiguredWork:
    """Reads the activities and timers of one configuration; `ids` maps those of activities to their states.

    `declared` has the activities and machines of states, by id; `detached` is the work for which no state waits.
    """

    def __init__(self, config: TransitionsConfig, states: Collection[str], problem: Report, read: ReadChart) -> None:
        self.config = config
        self.problem = problem
        self.read = read
        self.ids: dict[str, str] = {}
        self.declared: dict[str, ActivityOf | MachineOf] = {}
        self._machines: dict[str, list[MachineOf]] = {}
        self._know_activities(states)
        self._know_machines(states)
        self._know_timers(states)
        ticking = {event for timers in config.every.values() for event in timers}
        for event in sorted(config.missed.keys() - ticking):
            problem(f"missed= names '{event}', which is not an event of every=.", "Correct the name.", None)
        self.detached = detached_of(config.work, self.ids, problem)

    def _know_activities(self, states: Collection[str]) -> None:
        for state, declared in self.config.activities.items():
            if state not in states:
                self.problem(f"activity of '{state}', which is not a state.", "Correct the name.", None)
            for one in listed(declared):
                id = (one.id if isinstance(one, ActivityOf) else None) or state
                if not callable(one):
                    self.problem(f"activity of '{state}' is not a function: {one!r}.", "Write activity(f).", None)
                if id in self.ids:
                    self.problem(f"two activities have the id '{id}'.", "Give one of them activity(..., id=...).", None)
                self.ids[id] = state
                if isinstance(one, ActivityOf):
                    self.declared[id] = one

    def _know_machines(self, states: Collection[str]) -> None:
        for state, declared in self.config.machines.items():
            if state not in states:
                self.problem(f"machine of '{state}', which is not a state.", "Correct the name.", None)
            for one in listed(declared):
                try:
                    invoked = one if isinstance(one, MachineOf) else cast("MachineOf", machine(one))
                except TypeError:
                    self.problem(f"machine of '{state}' is not a definition: {one!r}.", "Write machine(Chart).", None)
                    continue
                id = invoked.id or state
                if id in self.ids:
                    self.problem(f"two activities have the id '{id}'.", "Give one of them machine(..., id=...).", None)
                self.ids[id] = state
                self.declared[id] = invoked
                self._machines.setdefault(state, []).append(invoked)

    @property
    def on_demand(self) -> tuple[str, ...]:
        """Ids of the machines that callbacks start."""
        return tuple(id for id, one in self.declared.items() if isinstance(one, MachineOf) and one.on_demand)

    def _know_timers(self, states: Collection[str]) -> None:
        for state, timers in (*self.config.timers.items(), *self.config.every.items()):
            if state not in states:
                self.problem(
                    f"timers {', '.join(timers)} of '{state}', which is not a state.", "Correct the name.", None
                )
            recurring = timers is self.config.every.get(state)
            for event, delay in timers.items():
                if isinstance(delay, timedelta) and (delay < NOW or (recurring and delay == NOW)):
                    what = f"timer '{event}' of '{state}' would be over before it starts: {delay}."
                    self.problem(what, "Use a longer time.", None)
                if isinstance(delay, timedelta) and delay > LONGEST_DELAY:
                    what = f"timer '{event}' of '{state}' is longer than any timer can be: {delay.days} days."
                    self.problem(what, f"Use {LONGEST_DELAY.days} days or less.", None)
            twice = timers.keys() & self.config.timers.get(state, {}).keys() if recurring else ()
            for event in sorted(twice):
                self.problem(f"state '{state}' has two timers for '{event}'.", "Give each a different event.", None)

    def activities(self, id: str) -> Iterator[Activity]:
        """The outside work of a state."""
        for one in filter(callable, listed(self.config.activities.get(id))):
            declared = activity_of(one)
            yield made_activity(declared, declared.id or id, self.problem)

    def machines(self, id: str) -> Iterator[Child]:
        """The machines that a state runs."""
        for one in self._machines.get(id, ()):
            child = child_of(one, one.id or id, self.problem, self.config.location, read=self.read)
            if child is not None:
                yield child

    def timers(self, id: str, state: Any, one: Callable[[Any], Iterable[Callback]]) -> Iterator[Timer]:
        """The timers of a state, the library's own timeout last; *one* makes a callback of a function that computes."""
        for timers, recurring in ((self.config.timers, False), (self.config.every, True)):
            for event, delay in timers.get(id, {}).items():
                missed = Missed(self.config.missed.get(event, "once"))
                if isinstance(delay, timedelta):
                    yield Timer(event, delay, recurring=recurring, missed=missed)
                elif isinstance(delay, Calendar):
                    yield calendar_timer(event, delay, recurring=recurring, missed=missed)
                else:
                    found = one(delay)
                    yield from (Timer(event, when=callback, recurring=recurring, missed=missed) for callback in found)
        if isinstance(state, Timeout) and state.timeout > 0:
            yield Timer(f"timeout_{id}", timedelta(seconds=state.timeout))
