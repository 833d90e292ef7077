"""Repairs by an operator: run failed work again, give its result by hand, or move the machine to other states.

Each is one macrostep, like that of an event. A machine that had failed runs again afterwards, with everything its active
states wait for started again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from durable_fsm.core import invocation, timers
from durable_fsm.core.chart import ROOT, Chart, Kind, Transition
from durable_fsm.core.codec import milliseconds
from durable_fsm.core.effects import Outcome, Step
from durable_fsm.core.events import Event, Origin
from durable_fsm.core.macrostep import Macrostep
from durable_fsm.core.plan import plan_of
from durable_fsm.core.program import index_of
from durable_fsm.core.snapshot import Running, Snapshot, Status
from durable_fsm.core.values import Json, changed
from durable_fsm.errors import NotRepairable


def retry(chart: Chart, snapshot: Snapshot, activity: str, *, seed: str = "", now: datetime | None = None) -> Step:
    """Run an activity again that has failed, or that hangs; its stable id stays the same.

    Raises:
        NotRepairable: it neither runs nor has failed.
    """
    running = _running(chart, snapshot, activity)
    state = next(state for state in chart.states.values() if state.id == running.state)
    run = _revived(chart, snapshot, Event("repair.retry", origin=Origin.PLATFORM, seed=seed, at=now))
    _stop(run, running)
    invocation.start_activity(run, state, chart.activities[activity], running.entry)
    invocation.resume_work(run)
    run.complete()
    return run.finish(Outcome.TAKEN)


def skip(
    chart: Chart, snapshot: Snapshot, activity: str, result: Json = None, *, seed: str = "", now: datetime | None = None
) -> Step:
    """Treat an activity as done, with this result, whether it runs or has failed.

    Raises:
        NotRepairable: it neither runs nor has failed.
    """
    running = _running(chart, snapshot, activity)
    run = _revived(chart, snapshot, Event(f"done.invoke.{activity}", result, Origin.PLATFORM, seed=seed, at=now))
    _stop(run, running)
    run.mark_finished(running.state, running.id)
    run.take()
    if run.status is Status.RUNNING and snapshot.failure is not None:
        invocation.resume_work(run)
        run.complete()
    return run.finish(Outcome.TAKEN)


def move(
    chart: Chart, snapshot: Snapshot, targets: Sequence[str], *, seed: str = "", now: datetime | None = None
) -> Step:
    """Leave everything and enter *targets*, as an external transition of the whole chart would.

    Exit and entry actions run. A machine that has ended or failed runs again.

    Raises:
        NotRepairable: no such state, or states that cannot be active together.
    """
    for target in targets:
        if target == ROOT or target not in chart.states:
            known = tuple(id for id in chart.states if id != ROOT)
            raise NotRepairable(chart=chart.name, problem=f"there is no state '{target}'.", known=known)
    edge = Transition("", ROOT, tuple(targets))
    plan = plan_of(index_of(chart), snapshot.configuration, snapshot.history, [edge])
    for state in chart.states.values():
        if state.kind is Kind.COMPOUND and len([id for id in state.children if id in plan.after]) > 1:
            together = [id for id in state.children if id in plan.after]
            raise NotRepairable(
                chart=chart.name, problem=f"{' and '.join(together)} cannot be active together: name one of them."
            )
    run = _revived(chart, snapshot, Event("repair.move", origin=Origin.PLATFORM, seed=seed, at=now))
    for running in [running for running in run.activities.values() if running.state is not None]:
        _stop(run, running)
    run.microstep(plan, run.event)
    run.complete()
    return run.finish(Outcome.TAKEN)


def retime(
    chart: Chart, snapshot: Snapshot, name: str, after: timedelta, *, seed: str = "", now: datetime | None = None
) -> Step:
    """Let what is pending under a name be due at another time, counted from now: timers of this event, or this id or token.

    The machine's states and its status stay as they are.

    Raises:
        NotRepairable: nothing is pending under the name.
    """
    found = [timer for timer in snapshot.timers if name in (timer.event, timer.id, timer.token)]
    if not found:
        known = tuple(dict.fromkeys(timer.event for timer in snapshot.timers))
        raise NotRepairable(chart=chart.name, problem=f"no timer '{name}' is pending.", known=known)
    run = Macrostep.resume(chart, snapshot, Event("repair.timer", origin=Origin.PLATFORM, seed=seed, at=now))
    # The end of a machine's life is for the host: what is due at once would be processed by this very turn.
    delay = max(milliseconds(after), 1 if snapshot.status is Status.DONE else 0)
    for timer in found:
        timers.disarm(run, timer)
        timers.arm(run, changed(timer, token=run.token(), after_ms=delay, at_text=None))
    return run.finish(Outcome.TAKEN)


def _revived(chart: Chart, snapshot: Snapshot, event: Event) -> Macrostep:
    run = Macrostep.resume(chart, snapshot, event)
    if run.status is Status.DONE:
        for timer in list(run.timers.values()):
            timers.disarm(run, timer)
    run.status, run.failure, run.output = Status.RUNNING, None, None
    return run


def _stop(run: Macrostep, running: Running) -> None:
    if running.failed:
        timers.forget(run, running)
    else:
        invocation.stop_activity(run, running)


def _running(chart: Chart, snapshot: Snapshot, activity: str) -> Running:
    of_states = [running for running in snapshot.activities if running.state is not None]
    found = next((running for running in of_states if running.id == activity), None)
    if found is None:
        known = tuple(running.id for running in of_states)
        what = f"activity '{activity}' neither runs nor has failed."
        raise NotRepairable(chart=chart.name, problem=what, known=known)
    return found
