"""Deleting a machine: it is stopped, and its completed work is undone first if the caller asks for that."""

from __future__ import annotations

from durable_fsm.core import invocation
from durable_fsm.core.chart import Chart
from durable_fsm.core.effects import Outcome, Step
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.macrostep import Macrostep
from durable_fsm.core.snapshot import Snapshot, Status, Undoable
from durable_fsm.core.values import changed

DELETING = Failure("Deleting", "the machine is being deleted; what it has done is undone first.", source="delete")


def completed_work(snapshot: Snapshot) -> tuple[str, ...]:
    """Ids of the activities whose work could still be undone, in order.

    There is none for a machine that reached its own end: its work is meant to stay.
    """
    return () if snapshot.status is Status.DONE else tuple(done.id for done in snapshot.undo)


def unfinished_work(chart: Chart, snapshot: Snapshot) -> tuple[str, ...]:
    """Ids of the activities that still run and could be undone afterwards; after a deletion that is too late."""
    undone = {id for id, activity in chart.activities.items() if activity.undo is not None}
    running = [one.id for one in snapshot.activities if not one.failed and one.id in undone]
    return (*running, *(stopping.id for stopping in snapshot.stopping))


def stop_everything(chart: Chart, snapshot: Snapshot) -> Step:
    """Stop everything that the machine runs. One that is still running fails, so that it accepts no more events."""
    run = Macrostep.resume(chart, snapshot, Event("delete", origin=Origin.PLATFORM))
    if run.status is Status.RUNNING:
        run.status, run.failure = Status.FAILED, DELETING
    invocation.end_all(run)
    return run.finish(Outcome.TAKEN)


def after_undo(snapshot: Snapshot, undone: Undoable) -> Step:
    """The machine when *undone* was undone."""
    left = tuple(done for done in snapshot.undo if done.token != undone.token)
    return Step(changed(snapshot, undo=left, seq=snapshot.seq + 1))


def after_failed_undo(snapshot: Snapshot, undone: Undoable, failure: Failure) -> Step:
    """The machine when *undone* could not be undone. Its failure says so, unless it had reached its own end."""
    if snapshot.status is not Status.FAILED:
        return Step(snapshot)
    message = f"the machine was to be deleted, and activity '{undone.id}' could not be undone: {failure.message}"
    return Step(changed(snapshot, failure=changed(failure, message=message, source=undone.id), seq=snapshot.seq + 1))
