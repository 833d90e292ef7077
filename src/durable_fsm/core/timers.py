"""Timers of states, messages that wait, and deadlines of activities: armed, disarmed, renewed, due.

The snapshot lists what is armed. The effect `Send` asks the platform to deliver a token when it is due, and `Cancel` to
forget it. A token that the snapshot no longer lists is stale, so a cancel that comes too late does no harm.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

from durable_fsm.core.callbacks import attempt
from durable_fsm.core.chart import Activity, Chart, Missed, Timer
from durable_fsm.core.codec import milliseconds
from durable_fsm.core.durations import bounded, instant_in_utc
from durable_fsm.core.effects import Cancel, Post, Send
from durable_fsm.core.events import Origin
from durable_fsm.core.scope import NOW
from durable_fsm.core.snapshot import PendingSend, Running, Status
from durable_fsm.core.values import changed
from durable_fsm.core.working import Working

MILLISECOND = timedelta(milliseconds=1)

AFTER_END = "after_end"
"""Event of the only timer that a machine has after its end."""


def arm(machine: Working, timer: PendingSend) -> None:
    machine.timers[timer.token] = timer
    machine.effects.append(Send(timer.token, timer.event, timer.after, timer.at))


def disarm(machine: Working, timer: PendingSend) -> None:
    del machine.timers[timer.token]
    machine.effects.append(Cancel(timer.token))


def start(machine: Working, state: str, timer: Timer) -> None:
    """Arm a timer of a state; one that is computed may decide that there is none this time."""
    machine.mark_begun(state, timer.event)
    _begin(machine, state, timer, _computed(machine, state, timer))


def _start_again(machine: Working, state: str, timer: Timer) -> bool:
    """Arm the next tick of a recurring timer that was due; whether this one is to be processed.

    It is counted from the moment at which this one was due, so a late tick does not delay those after it. Ticks that are
    over already are left out, unless all of them are to be processed.
    """
    due, now = machine.event.due, machine.event.came
    computed = _computed(machine, state, timer)
    if due is None or now is None or (timer.calendar is None and not isinstance(computed, timedelta)):
        _begin(machine, state, timer, computed)
        return True
    length = max(computed, MILLISECOND) if isinstance(computed, timedelta) else NOW
    following = timer.calendar.next if timer.calendar is not None else partial(_tick_after, due, length)
    moment = following(due)
    is_over = moment <= now and timer.missed is not Missed.ALL
    _arm_at(machine, state, timer, following(now) if is_over else moment, length)
    return not is_over or timer.missed is Missed.ONCE


def _tick_after(due: datetime, length: timedelta, moment: datetime) -> datetime:
    """The first tick after a moment, where ticks are *length* apart and one was *due*."""
    return due + ((moment - due) // length + 1) * length


def _computed(machine: Working, state: str, timer: Timer) -> timedelta | datetime | None:
    if timer.when is None:
        return timer.after
    machine.scope.state = machine.index.states[state]
    return attempt(machine, timer.when, lambda value: _moment(value, f"timer '{timer.event}'"))


def _begin(machine: Working, state: str, timer: Timer, moment: timedelta | datetime | None) -> None:
    if isinstance(moment, datetime):
        _arm_at(machine, state, timer, moment)
    elif moment is None:
        machine.mark_finished(state, timer.event)
    else:
        arm(machine, PendingSend(machine.token(), timer.event, milliseconds(max(moment, NOW)), state))


def _arm_at(machine: Working, state: str, timer: Timer, moment: datetime, after: timedelta = NOW) -> None:
    at = moment.astimezone(UTC).isoformat()
    arm(machine, PendingSend(machine.token(), timer.event, milliseconds(after), state, at_text=at))


def _moment(value: object, what: str) -> timedelta | datetime | None:
    """The result of a computed timer, checked."""
    if isinstance(value, datetime):
        return instant_in_utc(value, what)
    if isinstance(value, timedelta):
        return bounded(value, what)
    if value is None:
        return None
    raise TypeError(f"expected a timedelta, a datetime or None, got {type(value).__name__}")


def cancel(machine: Working, id: str) -> None:
    """Disarm every send with this id."""
    for timer in [timer for timer in machine.timers.values() if timer.id == id]:
        disarm(machine, timer)


def is_recurring(chart: Chart, armed: PendingSend) -> bool:
    """Whether another tick follows this one: then it must bring the moment at which it was due, and the time."""
    declared = declared_timer(chart, armed)
    return declared is not None and declared.recurring


def renew(machine: Working, name: str) -> None:
    """Start again every send with this id, and every state's timer for this event."""
    for timer in [timer for timer in machine.timers.values() if _is_called(timer, name)]:
        disarm(machine, timer)
        declared = declared_timer(machine.chart, timer)
        if declared is not None and timer.state is not None:
            start(machine, timer.state, declared)
        else:
            arm(machine, changed(timer, token=machine.token()))


def _is_called(timer: PendingSend, name: str) -> bool:
    return timer.activity is None and name in (timer.id, timer.event if timer.state is not None else None)


def declared_timer(chart: Chart, armed: PendingSend) -> Timer | None:
    """The timer of a state that this one is, if its chart still has it."""
    timers = chart.states[armed.state].timers if armed.state is not None else ()
    return next((timer for timer in timers if timer.event == armed.event and armed.activity is None), None)


def due(machine: Working, timer: PendingSend) -> bool:
    """Let the macrostep take a timer; False if it was missed. A recurring one starts again first, and ends with its state."""
    del machine.timers[timer.token]
    declared = declared_timer(machine.chart, timer)
    is_taken = True
    if declared is not None and timer.state is not None:
        if declared.recurring:
            is_taken = _start_again(machine, timer.state, declared)
        else:
            machine.mark_finished(timer.state, timer.event)
    deliver(machine, timer, timer.payload)
    return is_taken


def deliver(machine: Working, timer: PendingSend, payload: object) -> None:
    """Let the macrostep process the event of a timer, with this payload."""
    machine.event = changed(
        machine.event,
        name=timer.event,
        payload=payload,
        origin=Origin.PLATFORM,
        sendid=timer.id or "",
        sender=machine.before.session,
    )


def post(machine: Working, timer: PendingSend) -> None:
    """Send a message to another machine that has waited until now."""
    del machine.timers[timer.token]
    assert timer.to is not None
    machine.effects.append(Post(timer.to, timer.event, timer.payload, timer.id or ""))


def arm_end(machine: Working) -> None:
    """Let a machine that has ended be deleted in time, if its chart says so. It has no other timer.

    The delay is a millisecond at least: what is due at once would be processed by this very turn, and not by the host.
    """
    end = machine.chart.hosting.after_end
    if machine.status is Status.DONE and end is not None and not machine.timers:
        arm(machine, PendingSend(machine.token(), AFTER_END, max(milliseconds(end.after), 1)))


# ── deadlines ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def arm_deadline(machine: Working, running: Running, activity: Activity) -> None:
    """Give the activity its time; its failure is armed as a timer. An exclusive one is awaited, and has no deadline."""
    if not activity.exclusive:
        arm_deadline_for(machine, running.token, running.state, activity)


def arm_deadline_for(machine: Working, token: str, state: str | None, activity: Activity) -> None:
    if activity.deadline is not None:
        late = f"error.invoke.{activity.id}"
        arm(machine, PendingSend(machine.token(), late, milliseconds(activity.deadline), state, activity=token))


def has_deadline(machine: Working, token: str) -> bool:
    return any(timer.activity == token for timer in machine.timers.values())


def disarm_deadline(machine: Working, token: str) -> None:
    """Nothing of this activity can be late any more."""
    for timer in [timer for timer in machine.timers.values() if timer.activity == token]:
        disarm(machine, timer)


def forget(machine: Working, running: Running) -> None:
    """The outcome of an activity has arrived: there is nothing to stop, and no deadline to keep."""
    machine.answered = running
    del machine.activities[running.token]
    if running.token not in machine.stopping:
        disarm_deadline(machine, running.token)
