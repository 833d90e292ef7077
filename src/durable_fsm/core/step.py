"""`start` and `step`: one event in, the next snapshot and a list of effects out.

Run to completion as in SCXML: the event's transitions first, then eventless ones and raised events until nothing is
left, then the activities of the states that stayed. Nothing outside the returned value is changed, and a step that
fails raises: the snapshot it was given is still the machine.

https://www.w3.org/TR/scxml/#AlgorithmforSCXMLInterpretation
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import assert_never

from durable_fsm.core import invocation, saga, timers
from durable_fsm.core.author_code import ANYTHING, named
from durable_fsm.core.callbacks import Refused
from durable_fsm.core.chart import Chart, Unexpected
from durable_fsm.core.codec import canonical, milliseconds, plain
from durable_fsm.core.deliveries import (
    ActivityEnded,
    ChildEnded,
    ChildMessage,
    DeadlineMissed,
    EndOfLife,
    LateChild,
    MessageDue,
    PartEnded,
    SlotGranted,
    Stale,
    StoppedWorkEnded,
    StoppedWorkOverdue,
    TimerDue,
    UndoEnded,
    delivery_of,
)
from durable_fsm.core.effects import Cancel, Outcome, Send, Step
from durable_fsm.core.events import FROM_OUTSIDE, PLATFORM_NAMES, Event, Origin
from durable_fsm.core.macrostep import OTHERS, Macrostep
from durable_fsm.core.program import index_of
from durable_fsm.core.questions import Acceptance, acceptance_of
from durable_fsm.core.retention import AfterEnd
from durable_fsm.core.snapshot import Deferred, PendingSend, Snapshot, Status
from durable_fsm.core.values import Json, Misfit, changed
from durable_fsm.core.working import not_loaded, typed
from durable_fsm.errors import (
    ActionError,
    DefinitionError,
    EventRejected,
    Finished,
    Forbidden,
    TooManyDeferred,
    UnknownEvent,
    quoted,
)

MOST_DEFERRED = 1_000
"""Deferred events of one machine."""

MOST_DEFERRED_BYTES = 64 * 1024
"""Length of their payloads together."""


def chart_for(chart: Chart, data: Json) -> Chart:
    """The chart of a machine with this data: *chart*, unless each machine has one of its own.

    Raises:
        InvalidPayload: the data does not fit its type, or there is no chart for it.
        ActionError: the function that makes the chart failed.
        DefinitionError: it made a definition that has problems.
    """
    compiler = chart.compiler
    if compiler is None:
        return chart
    try:
        own: Chart = compiler.compile(chart.data.load({} if data is None else data))
    except Misfit as error:
        raise not_loaded(chart, "create", "the data", chart.data, error) from error
    except DefinitionError:
        raise
    except ANYTHING as error:
        problem, remedy = f"{named(error)}.", "Fix it; a ValueError there refuses the data."
        callback = compiler.name
        raise ActionError(
            chart=chart.name, event="create", callback=callback, problem=problem, remedy=remedy
        ) from error
    return own


def start(
    chart: Chart,
    *,
    data: Json = None,
    life: str = "",
    seed: str = "",
    now: datetime | None = None,
    created_from: str = "",
    parent: str = "",
) -> Step:
    """Enter the initial states of a new machine.

    Args:
        data: input for the chart's data type; None takes its defaults.
        life: names this existence of the machine; part of every token.
        seed: feeds the ids and random numbers of the callbacks.
        now: what callbacks find in `event.at`.
        created_from: kept in the snapshot, to tell a repeated creation from a different one.
        parent: the session of the machine that runs this one as its child.

    Raises:
        InvalidPayload: *data* does not fit the chart's data type.
        ActionError: a callback raised and nothing handled it, or the code of the data type failed.
    """
    try:
        initial = chart.data.load({} if data is None else data)
    except Misfit as error:
        raise not_loaded(chart, "create", "the data", chart.data, error) from error
    before = Snapshot(
        chart=chart.name,
        version=chart.version,
        digest=chart.digest,
        configuration=(),
        data=None,
        seq=0,
        status=Status.RUNNING,
        life=life,
        created_from=created_from,
        parent=parent,
    )
    run = Macrostep(chart, before, initial, Event("create", origin=Origin.PLATFORM, seed=seed, at=now))
    run.begin()
    return run.finish(Outcome.TAKEN)


def step(chart: Chart, snapshot: Snapshot, event: Event) -> Step:
    """Take one event.

    Raises:
        EventError: the sender can fix it; the machine has not changed.
        Finished: the machine has ended, and does not ignore the event.
        ActionError: a callback raised and nothing handled it.
        SnapshotUnreadable: the stored data does not fit the chart's data type.
    """
    if event.token is not None:
        return _deliver(chart, snapshot, event)
    if event.origin in FROM_OUTSIDE:
        _admit(chart, event)
    return _dispatch(chart, snapshot, event)


def defer(chart: Chart, snapshot: Snapshot, event: Event) -> Step:
    """Keep an event from outside for later, whether or not a transition takes it now. One that has ended keeps nothing.

    Raises:
        EventError: no machine of the chart accepts it, or as many events are deferred as may be.
        Finished: the machine has ended, and does not ignore the event.
    """
    if snapshot.status is not Status.RUNNING:
        return step(chart, snapshot, event)
    admit(chart, event)
    return _deferring(chart, snapshot, event)


def _dispatch(chart: Chart, snapshot: Snapshot, event: Event) -> Step:
    """Process an event that is allowed; what an active state defers is kept."""
    if snapshot.status is Status.DONE:
        if event.origin in OTHERS and index_of(chart).ignores(snapshot.configuration, event.name):
            return Step(snapshot, outcome=Outcome.IGNORED)
        raise Finished(chart=chart.name, event=event.name, configuration=snapshot.configuration)
    if snapshot.status is Status.FAILED and snapshot.failure is not None:
        raise _rejected(chart, snapshot, event, reason=f"The machine has failed: {snapshot.failure.message}")
    run = Macrostep.resume(chart, snapshot, event)
    try:
        outcome = run.take()
    except Refused as refusal:
        raise _rejected(chart, snapshot, event, reason=str(refusal)) from refusal.__cause__
    if outcome is Outcome.TAKEN:
        return run.finish(outcome)
    if outcome is Outcome.DEFERRED:
        return _deferring(chart, snapshot, event)
    _refuse_unexpected(run, outcome, event)
    return Step(snapshot, outcome=Outcome.IGNORED)


def _refuse_unexpected(run: Macrostep, outcome: Outcome | None, event: Event) -> None:
    """Tell a sender that no transition accepted the event, unless the chart declares that it does not matter."""
    if outcome is None and event.origin in OTHERS and run.chart.policies.unexpected is Unexpected.REJECT:
        raise _rejected(run.chart, run.before, event, reason=_said_no(run.refusals))


def _deferring(chart: Chart, snapshot: Snapshot, event: Event) -> Step:
    kept = Deferred(
        f"{snapshot.life}.{snapshot.seq + 1}.0", event.name, plain(event.payload), event.sender, event.letter
    )
    deferred = (*snapshot.deferred, kept)
    size = sum(len(canonical(other.payload).encode()) for other in deferred)
    if len(deferred) > MOST_DEFERRED or size > MOST_DEFERRED_BYTES:
        raise TooManyDeferred(chart=chart.name, event=event.name, waiting=len(snapshot.deferred))
    after = changed(snapshot, version=chart.version, digest=chart.digest, deferred=deferred, seq=snapshot.seq + 1)
    if chart.hosting.defer_for is None:
        return Step(after, outcome=Outcome.DEFERRED)
    delay = max(milliseconds(chart.hosting.defer_for), 1)  # what is due at once would be processed by this very turn
    limit = PendingSend(f"{after.life}.{after.seq}.1", event.name, delay, deferred=kept.token)
    send = Send(limit.token, limit.event, limit.after)
    return Step(changed(after, timers=(*after.timers, limit)), (send,), outcome=Outcome.DEFERRED)


def recall(chart: Chart, snapshot: Snapshot, kept: Deferred, *, seed: str, now: datetime | None = None) -> Step:
    """Process an event that was deferred; the outcome `deferred` leaves the machine as it was.

    Raises what `step` raises. The event is then still among the deferred ones: see `dropped`.
    """
    event = Event(kept.event, kept.payload, seed=seed, at=now, sender=kept.sender)
    result = _dispatch(chart, _without(snapshot, kept), event)
    if result.outcome is Outcome.DEFERRED:
        return Step(snapshot, outcome=Outcome.DEFERRED)
    return result._replace(effects=(*limits_of(snapshot, kept), *result.effects))


def dropped(snapshot: Snapshot, kept: Deferred) -> Snapshot:
    """The machine without a deferred event, which it will never take."""
    return changed(_without(snapshot, kept), seq=snapshot.seq + 1)


def refusal(chart: Chart, snapshot: Snapshot, kept: Deferred, reason: str) -> EventRejected:
    """The answer to the sender of a deferred event that a callback turns away."""
    return _rejected(chart, snapshot, Event(kept.event), reason=reason)


def limits_of(snapshot: Snapshot, kept: Deferred) -> tuple[Cancel, ...]:
    """Forget the limit of the time for which an event is deferred, if there is one."""
    return tuple(Cancel(timer.token) for timer in snapshot.timers if timer.deferred == kept.token)


def expired(snapshot: Snapshot, token: str | None) -> Deferred | None:
    """The deferred event whose time is over when this token arrives."""
    ended = {timer.deferred for timer in snapshot.timers if timer.token == token}
    return next((kept for kept in snapshot.deferred if kept.token in ended), None)


def _without(snapshot: Snapshot, kept: Deferred) -> Snapshot:
    others = tuple(other for other in snapshot.deferred if other.token != kept.token)
    timers = tuple(timer for timer in snapshot.timers if timer.deferred != kept.token)
    return changed(snapshot, deferred=others, timers=timers)


def active_in(chart: Chart, snapshot: Snapshot) -> tuple[str, ...]:
    """Ids of all active states in document order: the leaves and what surrounds them.

    The leaves alone, where the chart does not know them.
    """
    try:
        return index_of(chart).active_in_order[snapshot.configuration]
    except KeyError:
        return snapshot.configuration


def may_come_from_outside(chart: Chart, name: str, origin: Origin = Origin.EXTERNAL) -> bool:
    """Whether a sender outside may send this event, if the chart has it.

    A private event may come from a topic or a webhook that names it.

    Descriptors of platform events select their stems too (`error.*` selects `error`), so an undeclared event with such a
    name is refused.
    """
    declared = chart.events.get(name)
    if declared is None:
        stem = f"{name}."
        return not any(stem.startswith(ours) or ours.startswith(stem) for ours in PLATFORM_NAMES)
    return (declared.public or origin is Origin.SOURCE) and not name.startswith(PLATFORM_NAMES)


def forbidden(chart: Chart, name: str) -> Forbidden:
    """The refusal of a private event."""
    topics = [f"topic '{topic.topic}'" for topic in chart.hosting.sources if name in topic.events]
    webhooks = [f"webhook '{webhook.name}'" for webhook in chart.hosting.webhooks if name in webhook.events]
    return Forbidden(chart=chart.name, event=name, senders=(*topics, *webhooks))


def _admit(chart: Chart, event: Event) -> None:
    """Refuse what senders outside may not send."""
    name = event.name
    if not may_come_from_outside(chart, name, event.origin):
        raise forbidden(chart, name)
    if name not in chart.events and not index_of(chart).admits(name):
        raise UnknownEvent(chart=chart.name, event=name, known=chart.public_events)


def admit(chart: Chart, event: Event) -> None:
    """Refuse an event from outside that no machine of the chart accepts, in whatever state; runs no callback.

    Raises:
        Forbidden: the event is private.
        UnknownEvent: the chart has no such event.
        InvalidPayload: the payload does not fit its declared type.
    """
    _admit(chart, event)
    typed(chart, event)


def _rejected(chart: Chart, snapshot: Snapshot, event: Event, *, reason: str) -> EventRejected:
    answers = acceptance_of(chart, snapshot, now=event.at)
    if answers.get(event.name) is Acceptance.DEPENDS:
        reason = f"{reason} Another payload may be accepted.".lstrip()
    accepted = tuple(name for name, answer in answers.items() if answer is not Acceptance.NO and name != event.name)
    return EventRejected(
        chart=chart.name, event=event.name, configuration=snapshot.configuration, accepted=accepted, reason=reason
    )


def _said_no(guards: Collection[str]) -> str:
    match len(guards):
        case 0:
            return ""
        case 1:
            return f"Guard {quoted(guards)} says no."
        case _:
            return f"Guards {quoted(guards)} say no."


def end_of_life(chart: Chart, snapshot: Snapshot, token: str | None) -> AfterEnd | None:
    """How to delete the machine, if this delivery is the end of the time after its end; None if it is not."""
    if snapshot.status is Status.DONE and any(timer.token == token for timer in snapshot.timers):
        return chart.hosting.after_end
    return None


def _deliver(chart: Chart, snapshot: Snapshot, event: Event) -> Step:
    """Take a timer, an outcome or a message, if the entry that waits for it still does."""
    delivery = delivery_of(chart, snapshot, event)
    if isinstance(delivery, Stale):
        return Step(snapshot, outcome=Outcome.STALE)
    run = Macrostep.resume(chart, snapshot, event)
    match delivery:
        case StoppedWorkEnded(stopping):
            saga.settled(run, stopping, event)
            return run.follow()
        case StoppedWorkOverdue(stopping, timer):
            saga.overdue(run, stopping, timer)
            return run.follow()
        case EndOfLife(timer):
            del run.timers[timer.token]
            return run.finish(Outcome.TAKEN)
        case MessageDue(timer):
            timers.post(run, timer)
            return run.finish(Outcome.TAKEN)
        case TimerDue(timer):
            if not timers.due(run, timer):
                return run.finish(Outcome.IGNORED)
        case DeadlineMissed(running, timer):
            invocation.deadline_missed(run, running, timer, event.payload)
        case SlotGranted(_, told):
            run.event = told
            outcome = run.take()
            return Step(snapshot, outcome=Outcome.IGNORED) if outcome is None else run.finish(outcome)
        case ActivityEnded(running, told):
            timers.forget(run, running)
            saga.ended(run, running, told)
            run.event = told
            run.mark_finished(running.state, running.id)
            run.detached = running.state is None
        case UndoEnded(running, told):
            if not saga.advance(run, running, told):
                return run.follow()
            run.mark_finished(running.state, running.id)
        case PartEnded(child, part, each):
            if not invocation.part_ended(run, child, part, each):
                return run.finish(Outcome.TAKEN)
        case ChildEnded(child):
            del run.machines[child.token]
            run.heard = child
            invocation.heard_from(run, child)
            if child.name is not None:
                run.event = changed(run.event, name=run.event.name.removesuffix(f".{child.name}"))
        case ChildMessage(child):
            invocation.heard_from(run, child)
        case LateChild():
            pass
        case _:
            assert_never(delivery)
    outcome = run.take()
    if outcome is Outcome.DEFERRED:
        return _deferring(chart, snapshot, event)
    _refuse_unexpected(run, outcome, event)
    return run.finish(outcome or Outcome.IGNORED)
