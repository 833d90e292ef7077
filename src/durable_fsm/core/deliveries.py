"""Deliveries: events with a token. Each kind is a type of its own.

A delivery is a timer that is due, the outcome of work, or a message from a child. The snapshot says which: it lists every
token that is still awaited. A token that it does not list is stale.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from durable_fsm.core.chart import Chart, Each
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.limits import GRANTED
from durable_fsm.core.snapshot import ChildMachine, PendingSend, Running, Snapshot, Status, Stopping
from durable_fsm.core.values import changed


class Stale(Struct, frozen=True):
    """The entry that waited for it is gone."""


class TimerDue(Struct, frozen=True):
    """A timer of a state, or an event that the machine sent itself."""

    timer: PendingSend


class MessageDue(Struct, frozen=True):
    """A message to another machine that was to be sent later."""

    timer: PendingSend


class EndOfLife(Struct, frozen=True):
    """The time is over for which a machine that has ended is kept."""

    timer: PendingSend


class DeadlineMissed(Struct, frozen=True):
    """An activity has not ended in time."""

    running: Running
    timer: PendingSend


class SlotGranted(Struct, frozen=True):
    """An activity has waited for its limit, and runs from now on. Its `event` has the present name of the activity."""

    running: Running
    event: Event


class ActivityEnded(Struct, frozen=True):
    """The outcome of an activity. Its `event` has the present name of the activity, which a migration may have changed."""

    running: Running
    event: Event


class UndoEnded(Struct, frozen=True):
    """The outcome of one run of an activity that undoes."""

    running: Running
    event: Event


class StoppedWorkEnded(Struct, frozen=True):
    """The outcome of work that was asked to stop. No transition sees it."""

    stopping: Stopping


class StoppedWorkOverdue(Struct, frozen=True):
    """Work that was asked to stop has not ended in time. No transition sees it."""

    stopping: Stopping
    timer: PendingSend


class ChildMessage(Struct, frozen=True):
    """A message of a child."""

    child: ChildMachine


class ChildEnded(Struct, frozen=True):
    """The end of a child."""

    child: ChildMachine


class PartEnded(Struct, frozen=True):
    """The end of one of several children that were begun for a list."""

    child: ChildMachine
    part: int
    each: Each


class LateChild(Struct, frozen=True):
    """Something of a child whose state was left; SCXML lets the machine take it nonetheless."""


AnyDelivery: TypeAlias = (
    Stale
    | TimerDue
    | MessageDue
    | EndOfLife
    | DeadlineMissed
    | SlotGranted
    | ActivityEnded
    | UndoEnded
    | StoppedWorkEnded
    | StoppedWorkOverdue
    | ChildMessage
    | ChildEnded
    | PartEnded
    | LateChild
)


def delivery_of(chart: Chart, machine: Snapshot, event: Event) -> AnyDelivery:
    """Find out which kind of delivery an event with a token is."""
    for timer in machine.timers:
        if timer.token == event.token:
            return _due(machine, timer)
    granted = event.name.startswith(GRANTED)
    for stopping in machine.stopping:
        if stopping.token == event.token:
            return Stale() if granted else StoppedWorkEnded(stopping)
    for running in machine.activities:
        if running.token == event.token and not (running.failed or running.waiting):
            told = changed(event, name=_outcome(running, event))
            if granted:
                return SlotGranted(running, told)
            undoes = chart.activities[running.id].undoes is not None
            return UndoEnded(running, told) if undoes else ActivityEnded(running, told)
    for child in machine.machines:
        if child.token == event.token and not child.failed:
            return _of_child(chart, child, event)
    if event.invokeid and chart.policies.scxml and machine.status is Status.RUNNING:
        return LateChild()
    return Stale()


def recorded_name(machine: Snapshot, event: Event) -> str:
    """The name of an event in the history: a timer has that of its event, an outcome the present one of its activity."""
    if event.token is not None:
        for timer in machine.timers:
            if timer.token == event.token:
                return timer.event
        for running in machine.activities:
            if running.token == event.token:
                return _outcome(running, event)
    return event.name


def recorded_failure(machine: Snapshot, event: Event) -> Failure | None:
    """The failure that an event brings, for the history."""
    for timer in machine.timers:
        if timer.token == event.token:
            for running in machine.activities:
                if running.token == timer.activity:
                    return too_late(running, timer, event.payload)
    return event.payload if isinstance(event.payload, Failure) else None


def too_late(running: Running, timer: PendingSend, last: object) -> Failure:
    """The failure of an activity that missed its deadline; says how its *last* attempt failed, if that is known."""
    message = f"activity '{running.id}' did not end within {timer.after}."
    if not isinstance(last, Failure):
        return Failure("deadline", message)
    message = f"{message} Its last attempt failed: {last.type}: {last.message}"
    return Failure("deadline", message, place=last.place, attempts=last.attempts)


def _due(machine: Snapshot, timer: PendingSend) -> AnyDelivery:
    if timer.to is not None:
        return MessageDue(timer)
    if machine.status is Status.DONE:
        return EndOfLife(timer)
    if timer.activity is None:
        return TimerDue(timer)
    for stopping in machine.stopping:
        if stopping.token == timer.activity:
            return StoppedWorkOverdue(stopping, timer)
    for running in machine.activities:
        if running.token == timer.activity:
            return DeadlineMissed(running, timer)
    return Stale()


def _outcome(running: Running, event: Event) -> str:
    return f"{event.name.partition('.')[0]}.invoke.{running.id}"


def _of_child(chart: Chart, child: ChildMachine, event: Event) -> AnyDelivery:
    if event.origin is not Origin.PLATFORM:
        return ChildMessage(child)
    each = chart.states[child.state].machines[child.place].each
    return ChildEnded(child) if each is None or child.part is None else PartEnded(child, child.part, each)
