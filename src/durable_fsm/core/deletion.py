"""The end of a machine that is to be deleted: what it has done is undone first, or somebody says that it need not be."""

from __future__ import annotations

from durable_fsm.core import invocation
from durable_fsm.core.chart import Chart
from durable_fsm.core.effects import Outcome, Step
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.macrostep import Macrostep
from durable_fsm.core.snapshot import Snapshot, Status, Undoable
from durable_fsm.core.values import changed

DELETING = Failure("Deleting", "the machine is being deleted; what it has done is undone first.", source="delete")


def done_by(snapshot: Snapshot) -> tuple[str, ...]:
    """Ids of the activities whose work would stay behind, in order.

    What a machine has done that came to its own end is meant to stay.
    """
    return () if snapshot.status is Status.DONE else tuple(done.id for done in snapshot.undo)


def not_ended(chart: Chart, snapshot: Snapshot) -> tuple[str, ...]:
    """Ids of the activities whose work may still be done, and could then not be undone any more."""
    undone = {id for id, activity in chart.activities.items() if activity.undo is not None}
    running = [one.id for one in snapshot.activities if not one.failed and one.id in undone]
    return (*running, *(stopping.id for stopping in snapshot.stopping))


def dissolve(chart: Chart, snapshot: Snapshot) -> Step:
    """Stop whatever the machine does. It takes no events any more; one that had neither ended nor failed has now."""
    run = Macrostep.resume(chart, snapshot, Event("delete", origin=Origin.PLATFORM))
    if run.status is Status.RUNNING:
        run.status, run.failure = Status.FAILED, DELETING
    invocation.end_all(run)
    return run.finish(Outcome.TAKEN)


def without(snapshot: Snapshot, undone: Undoable) -> Step:
    """The machine after *undone* was undone."""
    left = tuple(done for done in snapshot.undo if done.token != undone.token)
    return Step(changed(snapshot, undo=left, seq=snapshot.seq + 1))


def stuck(snapshot: Snapshot, undone: Undoable, failure: Failure) -> Step:
    """The machine when *undone* could not be undone; unless it had come to its own end, it says so."""
    if snapshot.status is not Status.FAILED:
        return Step(snapshot)
    message = f"the machine was to be deleted, and activity '{undone.id}' could not be undone: {failure.message}"
    return Step(changed(snapshot, failure=changed(failure, message=message, source=undone.id), seq=snapshot.seq + 1))
