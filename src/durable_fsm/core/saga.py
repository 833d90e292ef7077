"""Sagas: completed work is kept on a stack, and undone from its top when the chart enters a state that undoes.

Only the chart decides that; failures and retries undo nothing. Work that was asked to stop may have succeeded before the
stop reached it. Until its outcome is known it is *stopping*, and nothing in the same scope is undone.
"""

from __future__ import annotations

from durable_fsm.core import timers
from durable_fsm.core.chart import Activity
from durable_fsm.core.codec import plain
from durable_fsm.core.effects import StartActivity, StopActivity
from durable_fsm.core.events import Event, Failure, Origin, with_facts
from durable_fsm.core.snapshot import PendingSend, Running, Snapshot, Stopping, Undoable
from durable_fsm.core.values import Json, changed
from durable_fsm.core.working import Working

# ── what can be undone ────────────────────────────────────────────────────────────────────────────────────────────────


def began(machine: Working, activity: Activity, running: Running) -> None:
    """Work begins. If its undo is registered first, it can be undone from now on."""
    if activity.undo is not None and activity.undo.first and running.state is not None:
        _push(machine, Undoable(running.token, running.id, running.state, running.entry))


def ended(machine: Working, running: Running | Stopping, outcome: Event) -> None:
    """The outcome of work arrived. If it succeeded, it can be undone."""
    undo = machine.chart.activities[running.id].undo
    if undo is not None and not undo.first and running.state is not None and not isinstance(outcome.payload, Failure):
        _push(machine, Undoable(running.token, running.id, running.state, running.entry, plain(outcome.payload)))


def _push(machine: Working, done: Undoable) -> None:
    """Put work on the stack. Work that was begun again under the same stable id keeps its place."""
    for known in machine.undo:
        if (known.id, known.entry) == (done.id, done.entry):
            renewed = changed(known, token=done.token, result=done.result)
            machine.undo = tuple(renewed if other is known else other for other in machine.undo)
            return
    machine.undo = (*machine.undo, done)


# ── work that is stopped ──────────────────────────────────────────────────────────────────────────────────────────────


def stopped(machine: Working, running: Running) -> bool:
    """Note work as *stopping*, if its outcome still decides what is to be undone; False if it does not.

    Its deadline continues. Work that was stopped by its deadline gets the same time again.
    """
    activity = machine.chart.activities[running.id]
    if running.state is None or running.waiting or (activity.undo is None and activity.undoes is None):
        return False
    if activity.exclusive and not running.parked:  # it would have been called later in this turn: it never began
        machine.undo = tuple(done for done in machine.undo if done.token != running.token)
        _not_undone(machine, running.token)
        return False
    machine.stopping[running.token] = Stopping(running.token, running.id, running.state, running.entry)
    machine.effects.append(StopActivity(running.token))
    if not timers.has_deadline(machine, running.token):
        timers.arm_deadline_for(machine, running.token, running.state, activity)
    return True


def settled(machine: Working, stopping: Stopping, outcome: Event) -> None:
    """The outcome of work that was stopped arrived."""
    del machine.stopping[stopping.token]
    timers.disarm_deadline(machine, stopping.token)
    if machine.chart.activities[stopping.id].undoes is None:
        ended(machine, stopping, outcome)
    elif isinstance(outcome.payload, Failure):
        _not_undone(machine, stopping.token)
    else:
        _undone(machine, stopping.token)
    resume(machine)


def overdue(machine: Working, stopping: Stopping, deadline: PendingSend) -> None:
    """The outcome of work that was stopped did not arrive in time: stop waiting for it.

    Another run can undo what it should have undone. It is remembered only if its success would put it on the stack.
    """
    del machine.timers[deadline.token]
    undo = machine.chart.activities[stopping.id].undo
    if undo is not None and not undo.first:
        machine.stopping[stopping.token] = changed(stopping, overdue=True)
    else:
        del machine.stopping[stopping.token]
        _not_undone(machine, stopping.token)
    resume(machine)


# ── undoing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def advance(machine: Working, running: Running, outcome: Event) -> bool:
    """One run of an activity that undoes ended. True if nothing is left to undo: its outcome becomes the event."""
    if isinstance(outcome.payload, Failure):
        _not_undone(machine, running.token)
        timers.forget(machine, running)
        machine.event = changed(outcome, payload=with_facts(outcome.payload, progress(machine, running)))
        resume(machine)
        return True
    running = changed(running, undone=(*running.undone, _undone(machine, running.token)))
    machine.activities[running.token] = running
    done = _next(machine, running)
    if done:
        timers.forget(machine, running)
        machine.event = changed(outcome, payload=list(running.undone))
    resume(machine)
    return done


def resume(machine: Working) -> None:
    """Let activities that undo continue, if they waited for what changed now."""
    for running in [running for running in machine.activities.values() if running.waiting]:
        go_on(machine, running)


def progress(machine: Working, running: Running) -> dict[str, Json]:
    """The work that an activity has undone so far, and the work that is left."""
    return {"undone": list(running.undone), "left": [done.id for done in reversed(_left(machine, running))]}


def go_on(machine: Working, running: Running) -> None:
    """Let an activity that undoes continue, at its start or after waiting. With nothing left, it is done."""
    if _next(machine, running):
        timers.disarm_deadline(machine, running.token)
        del machine.activities[running.token]
        machine.mark_finished(running.state, running.id)
        machine.enqueue(machine.typed(Event(f"done.invoke.{running.id}", list(running.undone), Origin.PLATFORM)))


def _next(machine: Working, running: Running) -> bool:
    """Begin to undo the latest work in scope, or wait until that is possible. True if nothing is left."""
    left = _left(machine, running)
    stopping = any(_covers(machine, running, one.state) and not one.overdue for one in machine.stopping.values())
    if stopping or any(done.undoing for done in left):
        machine.activities[running.token] = changed(running, waiting=True)
        return False
    if not left:
        return True
    done, token = left[-1], machine.token()
    machine.undo = tuple(changed(other, undoing=token) if other is done else other for other in machine.undo)
    renewed = changed(running, token=token, waiting=False)
    activities = (renewed if other.token == running.token else other for other in machine.activities.values())
    machine.activities = {other.token: other for other in activities}
    for timer in machine.timers.values():
        if timer.activity == running.token:
            machine.timers[timer.token] = changed(timer, activity=token)
    exclusive = machine.chart.activities[running.id].exclusive
    machine.effects.append(StartActivity(token, done.id, done.entry, exclusive, undo=done))
    return False


def undone_between(before: Snapshot, after: Snapshot) -> Json:
    """The activity that a step knows to be undone, for the history; None if there is none."""
    left = {done.token for done in after.undo}
    undone = [done.id for done in before.undo if done.undoing and done.token not in left]
    return {"undone": undone[0]} if undone else None


def _undone(machine: Working, token: str) -> str:
    """Remove from the stack what was undone under *token*; returns the id of its activity."""
    found = next(done for done in machine.undo if done.undoing == token)
    machine.undo = tuple(done for done in machine.undo if done is not found)
    return found.id


def _not_undone(machine: Working, token: str) -> None:
    """The undo under *token* did not happen: the work stays on the stack."""
    machine.undo = tuple(changed(done, undoing="") if done.undoing == token else done for done in machine.undo)


def _under_way(machine: Working, done: Undoable) -> bool:
    """Whether the work itself still runs; registered first, it is on the stack already and cannot be undone yet."""
    running = machine.activities.get(done.token)
    return running is not None and not running.failed


def _left(machine: Working, running: Running) -> list[Undoable]:
    """The work that is left for an activity that undoes, the latest last."""
    return [done for done in machine.undo if _covers(machine, running, done.state) and not _under_way(machine, done)]


def _covers(machine: Working, running: Running, state: str) -> bool:
    """Whether the scope of an activity that undoes includes *state*."""
    scope = machine.chart.activities[running.id].undoes
    return scope == state or scope in machine.index.ancestors[state]
