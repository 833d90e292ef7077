"""Sagas: what was done is kept on a stack, and undone from its top when the chart enters a state that undoes.

Only the chart decides that; failures and retries undo nothing. A run that is stopped may be too late to stop: as long as
its end is not known it is *stopping*, and nothing around it is undone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from durable_fsm.core.codec import milliseconds, plain
from durable_fsm.core.effects import StartActivity, StopActivity
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.snapshot import PendingSend, Running, Stopping, Undoable
from durable_fsm.core.values import Json, changed

if TYPE_CHECKING:
    from durable_fsm.core.chart import Activity
    from durable_fsm.core.run import Run
    from durable_fsm.core.snapshot import Snapshot


# ── what can be undone ────────────────────────────────────────────────────────────────────────────────────────────────


def began(run: Run, activity: Activity, running: Running) -> None:
    """Work begins: it can be undone from now on, if its undo was to be registered first."""
    if activity.undo is not None and activity.undo.first and running.state is not None:
        _push(run, Undoable(running.token, running.id, running.state, running.entry))


def ended(run: Run, running: Running | Stopping, outcome: Event) -> None:
    """The outcome of some work has come: it can be undone if it has succeeded."""
    undo = run.chart.activities[running.id].undo
    if undo is not None and not undo.first and running.state is not None and not isinstance(outcome.payload, Failure):
        _push(run, Undoable(running.token, running.id, running.state, running.entry, plain(outcome.payload)))


def _push(run: Run, done: Undoable) -> None:
    """Work that was begun again under the same stable id is the same work."""
    for known in run.undo:
        if (known.id, known.entry) == (done.id, done.entry):
            renewed = changed(known, token=done.token, result=done.result)
            run.undo = tuple(renewed if other is known else other for other in run.undo)
            return
    run.undo = (*run.undo, done)


# ── work that is stopped ──────────────────────────────────────────────────────────────────────────────────────────────


def stopped(run: Run, running: Running) -> bool:
    """Whether the end of work that is stopped now is still of interest; then it has become *stopping*.

    Its deadline goes on; if it was that which has stopped it, it gets as long again.
    """
    activity = run.chart.activities[running.id]
    if running.state is None or running.waiting or (activity.undo is None and activity.undoes is None):
        return False
    if activity.exclusive and not running.parked:  # it was to be called later in this turn: it has never begun
        run.undo = tuple(done for done in run.undo if done.token != running.token)
        _not_undone(run, running.token)
        return False
    run.stopping[running.token] = Stopping(running.token, running.id, running.state, running.entry)
    run.effects.append(StopActivity(running.token))
    if activity.deadline is not None and not any(timer.activity == running.token for timer in run.timers.values()):
        late = f"error.invoke.{activity.id}"
        run.arm(PendingSend(run.token(), late, milliseconds(activity.deadline), running.state, activity=running.token))
    return True


def settled(run: Run, stopping: Stopping, outcome: Event) -> None:
    """Work that was stopped has said how it ended."""
    del run.stopping[stopping.token]
    run.disarm_deadline(stopping.token)
    if run.chart.activities[stopping.id].undoes is None:
        ended(run, stopping, outcome)
    elif isinstance(outcome.payload, Failure):
        _not_undone(run, stopping.token)
    else:
        _undone(run, stopping.token)
    resume(run)


def overdue(run: Run, stopping: Stopping, deadline: PendingSend) -> None:
    """Work that was stopped has not said in time how it ended: nobody waits for it any longer.

    What it should have undone can be undone by somebody else. Only where its success would be news it is remembered.
    """
    del run.timers[deadline.token]
    undo = run.chart.activities[stopping.id].undo
    if undo is not None and not undo.first:
        run.stopping[stopping.token] = changed(stopping, overdue=True)
    else:
        del run.stopping[stopping.token]
        _not_undone(run, stopping.token)
    resume(run)


# ── undoing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def advance(run: Run, running: Running, outcome: Event) -> bool:
    """One run of an activity that undoes has ended; whether the whole has, too: then the event of *run* is its outcome."""
    if isinstance(outcome.payload, Failure):
        _not_undone(run, running.token)
        run.forget_activity(running)
        failure = changed(outcome.payload, metadata=_with_facts(outcome.payload.metadata, progress(run, running)))
        run.event = changed(outcome, name=f"error.invoke.{running.id}", payload=failure)
        resume(run)
        return True
    running = changed(running, undone=(*running.undone, _undone(run, running.token)))
    run.activities[running.token] = running
    over = _next(run, running)
    if over:
        run.forget_activity(running)
        run.event = changed(outcome, name=f"done.invoke.{running.id}", payload=list(running.undone))
    resume(run)
    return over


def resume(run: Run) -> None:
    """Let those go on that have waited for what has changed now."""
    for running in [running for running in run.activities.values() if running.waiting]:
        go_on(run, running)


def progress(run: Run, running: Running) -> dict[str, Json]:
    """How far an activity that undoes has come."""
    return {"undone": list(running.undone), "left": [done.id for done in reversed(_left(run, running))]}


def go_on(run: Run, running: Running) -> None:
    """Let an activity that undoes go on, from its beginning or after waiting; without anything left it is over."""
    if _next(run, running):
        run.disarm_deadline(running.token)
        del run.activities[running.token]
        run.mark_finished(running.state, running.id)
        done: Json = list(running.undone)
        run.enqueue(run.typed(Event(f"done.invoke.{running.id}", done, Origin.PLATFORM)))


def _next(run: Run, running: Running) -> bool:
    """Begin to undo the latest that is left in scope, or wait until that can be; whether nothing is left."""
    left = _left(run, running)
    stopping = any(_covers(run, running, one.state) and not one.overdue for one in run.stopping.values())
    if stopping or any(done.undoing for done in left):
        run.activities[running.token] = changed(running, waiting=True)
        return False
    if not left:
        return True
    done, token = left[-1], run.token()
    run.undo = tuple(changed(other, undoing=token) if other is done else other for other in run.undo)
    renewed = changed(running, token=token, waiting=False)
    activities = (renewed if other.token == running.token else other for other in run.activities.values())
    run.activities = {other.token: other for other in activities}
    for timer in run.timers.values():
        if timer.activity == running.token:
            run.timers[timer.token] = changed(timer, activity=token)
    exclusive = run.chart.activities[running.id].exclusive
    run.effects.append(StartActivity(token, done.id, done.entry, exclusive, undo=done))
    return False


def undone_between(before: Snapshot, after: Snapshot) -> Json:
    """What a step has learnt to be undone, for the record; None if nothing was."""
    left = {done.token for done in after.undo}
    undone = [done.id for done in before.undo if done.undoing and done.token not in left]
    return {"undone": undone[0]} if undone else None


def _undone(run: Run, token: str) -> str:
    """Take from the stack what was undone under *token*; the id of the activity that had done it."""
    found = next(done for done in run.undo if done.undoing == token)
    run.undo = tuple(done for done in run.undo if done is not found)
    return found.id


def _not_undone(run: Run, token: str) -> None:
    """What was being undone under *token* is still to be undone."""
    run.undo = tuple(changed(done, undoing="") if done.undoing == token else done for done in run.undo)


def _under_way(run: Run, done: Undoable) -> bool:
    """Whether the work goes on: what was registered before it began cannot be undone yet."""
    running = run.activities.get(done.token)
    return running is not None and not running.failed


def _left(run: Run, running: Running) -> list[Undoable]:
    """What is left for an activity that undoes, the latest last."""
    return [done for done in run.undo if _covers(run, running, done.state) and not _under_way(run, done)]


def _covers(run: Run, running: Running, state: str) -> bool:
    """Whether an activity undoes what was done in *state*."""
    scope = run.chart.activities[running.id].undoes
    return scope == state or scope in run.index.ancestors[state]


def _with_facts(metadata: Json, facts: dict[str, Json]) -> Json:
    if isinstance(metadata, dict):
        return {**metadata, **facts}
    return facts if metadata is None else {"metadata": metadata, **facts}
