"""`start` and `step`: one event in, the next snapshot and a list of effects out.

Run to completion as in SCXML: the event's transitions first, then eventless ones and raised events until nothing is
left, then the activities of the states that stayed. Nothing outside the returned value is changed, and a step that
fails raises: the snapshot it was given is still the machine.

https://www.w3.org/TR/scxml/#AlgorithmforSCXMLInterpretation
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

from durable_fsm.core import select
from durable_fsm.core.ask import Answer, answers_in
from durable_fsm.core.codec import plain
from durable_fsm.core.model import (
    ROOT,
    Armed,
    Callback,
    Cancel,
    Chart,
    Effect,
    Event,
    Failure,
    Guard,
    Json,
    Kind,
    Microstep,
    Misfit,
    Origin,
    Outcome,
    Reply,
    Running,
    Send,
    Snapshot,
    StartActivity,
    State,
    Status,
    Step,
    StopActivity,
    Transition,
    Unexpected,
)
from durable_fsm.core.scope import NOW, Effects, Ids, Scope
from durable_fsm.errors import (
    ActionError,
    EventRejected,
    Finished,
    Forbidden,
    InvalidPayload,
    SnapshotUnreadable,
    UnknownEvent,
    quoted,
)

MICROSTEPS = 1_000
"""A macrostep that has not settled after this many microsteps never will."""

ERROR = "error.execution"

PLATFORM_NAMES = ("done.state.", "done.invoke.", "error.")
"""Names that only the machine and its platform may send, whatever a wildcard would take."""


def start(chart: Chart, *, data: Json = None, life: str = "", seed: str = "", created_from: str = "") -> Step:
    """Enter the initial states of a new machine.

    Args:
        data: input for the chart's data type; None takes its defaults.
        life: names this existence of the machine; part of every token.
        seed: feeds the ids and random numbers of the callbacks.
        created_from: kept in the snapshot, to tell a repeated creation from a different one.

    Raises:
        InvalidPayload: *data* does not fit the chart's data type.
        ActionError: a callback raised and nothing handled it.
    """
    try:
        initial = chart.data.load({} if data is None else data)
    except Misfit as error:
        raise InvalidPayload(
            chart=chart.name, subject="the data", expected=chart.data.name, problem=error.problem, path=error.path
        ) from error
    before = Snapshot(chart.name, chart.version, chart.digest, life, (), None, created_from=created_from)
    run = _Run(chart, before, initial, Event("create", origin=Origin.PLATFORM, seed=seed))
    initial_transition = chart.root.initial
    assert initial_transition is not None
    run.microstep([initial_transition], None)
    run.complete()
    return run.finish(Outcome.TAKEN)


def step(chart: Chart, snapshot: Snapshot, event: Event) -> Step:
    """Take one event.

    Raises:
        EventError: the sender can mend it; the machine has not moved.
        Finished: the machine has ended.
        ActionError: a callback raised and nothing handled it.
        SnapshotUnreadable: the stored data does not fit the chart's data type.
    """
    if event.token is not None:
        return _deliver(chart, snapshot, event)
    if event.origin is Origin.EXTERNAL:
        _admit(chart, event.name)
    if snapshot.status is Status.DONE:
        raise Finished(chart=chart.name, event=event.name, configuration=snapshot.configuration)
    if snapshot.status is Status.FAILED:
        assert snapshot.failure is not None
        reason = f"The machine has failed: {snapshot.failure.message}"
        _reject(chart, snapshot, event.name, accepted=(), reason=reason)
    run = _Run.resume(chart, snapshot, event)
    if run.take(run.typed(event)):
        return run.finish(Outcome.TAKEN)
    if event.origin is Origin.EXTERNAL and chart.policies.unexpected is Unexpected.REJECT:
        accepted = [name for name, answer in answers_in(chart, snapshot).items() if answer is not Answer.NO]
        _reject(chart, snapshot, event.name, accepted=accepted, reason=_said_no(run.refusals))
    return Step(snapshot, outcome=Outcome.IGNORED)


def active_in(chart: Chart, snapshot: Snapshot) -> tuple[str, ...]:
    """Ids of all active states in document order: the leaves and what surrounds them."""
    return tuple(chart.index.in_order(chart.index.with_ancestors(snapshot.configuration)))


def _admit(chart: Chart, name: str) -> None:
    """Refuse what senders outside may not send."""
    declared = chart.events.get(name)
    if name.startswith(PLATFORM_NAMES) or (declared is not None and not declared.public):
        raise Forbidden(chart=chart.name, event=name)
    if not chart.index.knows(name):
        raise UnknownEvent(chart=chart.name, event=name, known=chart.public_events)


def _reject(
    chart: Chart, snapshot: Snapshot, event: str, *, accepted: Iterable[str], reason: str = ""
) -> NoReturn:
    raise EventRejected(
        chart=chart.name, event=event, configuration=snapshot.configuration, accepted=accepted, reason=reason
    )


def _said_no(guards: Iterable[str]) -> str:
    labels = quoted(guards)
    if not labels:
        return ""
    return f"Guards {labels} say no." if "," in labels else f"Guard {labels} says no."


def _deliver(chart: Chart, snapshot: Snapshot, event: Event) -> Step:
    """Take a timer or an outcome, if the entry that waited for it still does."""
    token = event.token
    armed = next((timer for timer in snapshot.timers if timer.token == token), None)
    activity = next((running for running in snapshot.activities if running.token == token), None)
    if armed is None and activity is None:
        return Step(snapshot, outcome=Outcome.STALE)
    run = _Run.resume(chart, snapshot, event)
    if armed is not None:
        event = run.arrived(armed, event)
    else:
        assert activity is not None
        run.forget_activity(activity)
    if run.take(run.typed(event)):
        return run.finish(Outcome.TAKEN)
    return run.finish(Outcome.IGNORED)


class _Run:
    """The mutable middle of one macrostep; discarded when it fails."""

    def __init__(self, chart: Chart, before: Snapshot, data: object, event: Event) -> None:
        self.chart = chart
        self.index = chart.index
        self.before = before
        self.event = event
        self.active = self.index.with_ancestors(before.configuration)
        self.history = dict(before.history)
        self.timers = {timer.token: timer for timer in before.timers}
        self.activities = {running.token: running for running in before.activities}
        self.queue: deque[Event] = deque()
        self.to_invoke: dict[str, None] = {}
        self.effects: list[Effect] = []
        self.trace: list[Microstep] = []
        self.raised: list[str] = []
        self.refusals: dict[str, None] = {}
        self.seq = before.seq + 1
        self.tokens = 0
        self.status = before.status
        self.output: Json = before.output
        self.failure = before.failure
        ids = Ids(f"{event.seed}/{before.life}/{self.seq}")
        self.scope = Scope(chart, event, data, Effects(self), ids, self.active)

    @classmethod
    def resume(cls, chart: Chart, snapshot: Snapshot, event: Event) -> _Run:
        try:
            data = chart.data.load(snapshot.data)
        except Misfit as error:
            problem = f"its data does not fit {chart.data.name}: {error.problem} at {error.path}."
            raise SnapshotUnreadable(chart=chart.name, problem=problem) from error
        return cls(chart, snapshot, data, event)

    # ── what callbacks ask for (scope.Asked) ──────────────────────────────────────────────────────────────────────────

    def send(self, event: str, payload: object, after: timedelta, id: str | None) -> None:
        self.arm(Armed(self.token(), event, max(after, NOW), id=id, payload=plain(payload)))

    def cancel(self, id: str) -> None:
        for timer in [timer for timer in self.timers.values() if timer.id == id]:
            self.disarm(timer)

    def raise_(self, event: str, payload: object) -> None:
        self.enqueue(Event(event, payload, Origin.INTERNAL))

    # ── timers and activities ─────────────────────────────────────────────────────────────────────────────────────────

    def token(self) -> str:
        self.tokens += 1
        return f"{self.before.life}.{self.seq}.{self.tokens}"

    def arm(self, timer: Armed) -> None:
        self.timers[timer.token] = timer
        self.effects.append(Send(timer.token, timer.event, timer.after))

    def disarm(self, timer: Armed) -> None:
        del self.timers[timer.token]
        self.effects.append(Cancel(timer.token))

    def arrived(self, timer: Armed, event: Event) -> Event:
        """The event a timer stands for. A deadline ends its activity and becomes its failure."""
        del self.timers[timer.token]
        late = self.activities.get(timer.activity) if timer.activity else None
        if late is None:
            return replace(event, name=timer.event, payload=timer.payload, origin=Origin.PLATFORM)
        self.stop_activity(late)
        failure = Failure("deadline", f"activity '{late.id}' was not over after {timer.after}.")
        return replace(event, name=timer.event, payload=failure, origin=Origin.PLATFORM)

    def forget_activity(self, running: Running) -> None:
        """Its outcome has come: nothing to stop, no deadline to keep."""
        del self.activities[running.token]
        for timer in [timer for timer in self.timers.values() if timer.activity == running.token]:
            self.disarm(timer)

    def stop_activity(self, running: Running) -> None:
        self.forget_activity(running)
        self.effects.append(StopActivity(running.token))

    def invoke(self) -> None:
        """Start the activities of the states that were entered and are still active."""
        for state in self.index.in_order(self.to_invoke):
            for activity in self.index.states[state].activities:
                running = Running(self.token(), activity.id, state, self.seq)
                self.activities[running.token] = running
                self.effects.append(StartActivity(running.token, activity.id, self.seq, activity.exclusive))
                if activity.deadline is not None and not activity.exclusive:
                    late = f"error.invoke.{activity.id}"
                    self.arm(Armed(self.token(), late, activity.deadline, state, activity=running.token))
        self.to_invoke.clear()

    # ── the algorithm ─────────────────────────────────────────────────────────────────────────────────────────────────

    def typed(self, event: Event) -> Event:
        """The event with its payload as a value of the declared type."""
        declared = self.chart.events.get(event.name)
        if declared is None or declared.payload is None:
            return event
        try:
            return replace(event, payload=declared.payload.load(plain(event.payload)))
        except Misfit as error:
            raise InvalidPayload(
                chart=self.chart.name,
                subject=f"payload of '{event.name}'",
                expected=declared.payload.name,
                problem=error.problem,
                path=error.path,
            ) from error

    def take(self, event: Event) -> bool:
        """Run the macrostep of *event*; False if nothing takes it. An outcome nobody handles may fail the machine."""
        enabled = self.select(event)
        if enabled:
            self.microstep(enabled, event)
        elif self.queue or isinstance(event.payload, Failure):
            self.unhandled(event)
        else:
            return False
        self.complete()
        return True

    def select(self, event: Event | None) -> list[Transition]:
        if event is not None:
            self.scope.event = event
        name = None if event is None else event.name
        enabled = select.select_transitions(self.index, self.active, name, self.passes)
        return select.remove_conflicting_transitions(self.index, self.active, self.history, enabled)

    def complete(self) -> None:
        """Take eventless transitions and raised events until nothing is left, then start activities."""
        while self.status is Status.RUNNING:
            event: Event | None = None
            enabled = self.select(None) if self.index.has_eventless else []
            if not enabled:
                if not self.queue:
                    break
                event = self.queue.popleft()
                enabled = self.select(event)
            if enabled:
                self.microstep(enabled, event)
            elif event is not None:
                self.unhandled(event)
        if self.status is Status.RUNNING:
            self.end_if_regions_are_final()
        if self.status is Status.RUNNING:
            self.invoke()
        else:
            self.exit_interpreter()

    def unhandled(self, event: Event) -> None:
        """An event that nothing takes is dropped, except where that would hide a failure."""
        if event.name == ERROR:
            if event.cause is not None:
                self.fail(event)
            if isinstance(event.payload, Failure):
                self.status = Status.FAILED
                self.failure = event.payload
        elif isinstance(event.payload, Failure):
            self.enqueue(Event(ERROR, event.payload, Origin.INTERNAL))

    def fail(self, error: Event) -> NoReturn:
        assert isinstance(error.payload, Failure)
        assert error.cause is not None
        raise ActionError(
            chart=self.chart.name,
            event=self.event.name,
            callback=error.payload.source,
            problem=error.payload.message,
        ) from error.cause

    def microstep(self, enabled: list[Transition], event: Event | None) -> None:
        if len(self.trace) >= MICROSTEPS:
            self.stuck()
        for transition in enabled:
            self.execute(transition.before, transition=transition)
        exited = self.exit_states(enabled)
        for transition in enabled:
            for value in self.execute(transition.actions, transition=transition):
                self.effects.append(Reply(plain(value)))
        entered = self.enter_states(enabled)
        for transition in enabled:
            self.execute(transition.after, transition=transition)
        keys = tuple(transition.key for transition in enabled if transition.key)
        name = None if event is None else event.name
        self.trace.append(Microstep(name, tuple(exited), keys, tuple(entered), tuple(self.raised)))
        self.raised.clear()

    def stuck(self) -> NoReturn:
        last = self.trace[-1]
        problem = f"it has not come to rest after {MICROSTEPS} microsteps; the last took {', '.join(last.transitions)}."
        raise ActionError(chart=self.chart.name, event=self.event.name, callback="the macrostep", problem=problem)

    def exit_states(self, enabled: list[Transition]) -> list[str]:
        exits = select.compute_exit_set(self.index, self.active, self.history, enabled)
        ordered = self.index.in_order(exits)[::-1]
        for id in ordered:
            self.record_history(id)
        for id in ordered:
            state = self.index.states[id]
            self.execute(state.exit, state=state)
            self.to_invoke.pop(id, None)
            for timer in [timer for timer in self.timers.values() if timer.state == id and timer.activity is None]:
                self.disarm(timer)
            for running in [running for running in self.activities.values() if running.state == id]:
                self.stop_activity(running)
            self.active.discard(id)
        return ordered

    def record_history(self, id: str) -> None:
        for memory in self.index.histories[id]:
            if memory.kind is Kind.DEEP_HISTORY:
                below = (leaf for leaf in self.index.leaves(self.active) if self.index.is_descendant(leaf, id))
            else:
                below = (child for child in self.index.states[id].children if child in self.active)
            self.history[memory.id] = tuple(below)

    def enter_states(self, enabled: list[Transition]) -> list[str]:
        entry = select.compute_entry_set(self.index, self.history, enabled)
        ordered = self.index.in_order(entry.states)
        for id in ordered:
            state = self.index.states[id]
            self.active.add(id)
            if state.activities:
                self.to_invoke[id] = None
            self.execute(state.entry, state=state)
            if id in entry.default and state.initial is not None:
                self.execute(state.initial.actions, transition=state.initial)
            self.execute(entry.history_content.get(id, ()), state=state)
            for timer in state.timers:
                self.arm(Armed(self.token(), timer.event, timer.after, id))
            if state.kind is Kind.FINAL:
                self.enter_final(state)
        return ordered

    def enter_final(self, state: State) -> None:
        """Raise the done events; a final child of the root ends the machine."""
        output = self.done_data(state)
        parent = state.parent
        if parent == ROOT or parent is None:
            self.status = Status.DONE
            self.output = output
            return
        self.enqueue(Event(f"done.state.{parent}", output, Origin.INTERNAL))
        above = self.index.ancestors[parent][0]
        if self.index.states[above].kind is Kind.PARALLEL and self.is_in_final_state(above):
            self.enqueue(Event(f"done.state.{above}", output, Origin.INTERNAL))

    def done_data(self, state: State) -> Json:
        values = [plain(value) for value in self.execute(state.done, state=state)]
        merged: dict[str, Json] = {}
        for value in values:
            if not isinstance(value, dict):
                return values[-1]
            merged.update(value)
        return merged or None

    def is_in_final_state(self, id: str) -> bool:
        state = self.index.states[id]
        if state.kind is Kind.PARALLEL:
            regions = [child for child in state.children if not self.index.states[child].kind.is_history]
            return all(self.is_in_final_state(child) for child in regions)
        finals = (child for child in state.children if self.index.states[child].kind is Kind.FINAL)
        return any(child in self.active for child in finals)

    def end_if_regions_are_final(self) -> None:
        """A parallel state at the top whose regions are all final ends the machine, as a final state there does."""
        for child in self.chart.root.children:
            if child in self.active and self.index.states[child].kind is Kind.PARALLEL:
                self.status = Status.DONE if self.is_in_final_state(child) else self.status

    def exit_interpreter(self) -> None:
        """The machine is over: nothing of it may arrive, run or be waited for any more."""
        for running in list(self.activities.values()):
            self.stop_activity(running)
        for timer in list(self.timers.values()):
            self.disarm(timer)

    # ── callbacks ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def enqueue(self, event: Event) -> None:
        self.queue.append(event)
        self.raised.append(event.name)

    def passes(self, transition: Transition) -> bool:
        return all(self.answer(guard, transition) for guard in transition.guards)

    def answer(self, guard: Guard, transition: Transition) -> bool:
        self.scope.transition, self.scope.state = transition, None
        try:
            answer = bool(guard.call(self.scope)) is not guard.negated
        except Exception as error:  # noqa: BLE001 - the author's code may raise anything; it becomes error.execution
            self.failed(guard, error)
            return False
        if not answer:
            self.refusals[guard.label] = None
        return answer

    def execute(
        self,
        callbacks: tuple[Callback, ...],
        *,
        transition: Transition | None = None,
        state: State | None = None,
    ) -> list[object]:
        """Run the callbacks in order; each is a block of its own. Returns what they returned, without None."""
        values: list[object] = []
        for callback in callbacks:
            self.scope.transition, self.scope.state = transition, state
            try:
                value = callback.call(self.scope)
            except Exception as error:  # noqa: BLE001 - the author's code may raise anything; it becomes error.execution
                self.failed(callback, error)
            else:
                if value is not None:
                    values.append(value)
        return values

    def failed(self, callback: Callback, error: Exception) -> None:
        failure = Failure(type(error).__name__, _sentence(error), source=callback.name)
        event = Event(ERROR, failure, Origin.INTERNAL, cause=error)
        if not self.chart.policies.catch_errors:
            self.fail(event)
        self.enqueue(event)

    def finish(self, outcome: Outcome) -> Step:
        try:
            data = self.chart.data.dump(self.scope.data)
        except Misfit as error:
            raise ActionError(
                chart=self.chart.name,
                event=self.event.name,
                callback="a callback",
                problem=f"it left data that does not fit {self.chart.data.name}: {error.problem} at {error.path}.",
            ) from error
        snapshot = replace(
            self.before,
            version=self.chart.version,
            digest=self.chart.digest,
            configuration=self.index.leaves(self.active),
            data=data,
            history=_sorted(self.history),
            timers=tuple(self.timers.values()),
            activities=tuple(self.activities.values()),
            seq=self.seq,
            status=self.status,
            output=self.output,
            failure=self.failure,
        )
        return Step(snapshot, tuple(self.effects), tuple(self.trace), outcome)


def _sorted(history: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    return dict(sorted(history.items()))


def _sentence(error: Exception) -> str:
    """`ValueError: too few.`: the exception as one sentence of a message."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
