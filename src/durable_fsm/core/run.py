"""One macrostep under way: the mutable middle of `start` and `step`.

Function names are those of the SCXML algorithm: https://www.w3.org/TR/scxml/#AlgorithmforSCXMLInterpretation
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NoReturn, TypeVar

from durable_fsm.core import undo
from durable_fsm.core.address import Receiver, is_address, written
from durable_fsm.core.chart import (
    ROOT,
    Activity,
    Callback,
    Chart,
    Child,
    Each,
    Guard,
    Kind,
    Spawn,
    State,
    Timer,
    Transition,
    Unexpected,
)
from durable_fsm.core.codec import failure_to_json, milliseconds, plain
from durable_fsm.core.effects import (
    PARENT,
    Cancel,
    Effect,
    Microstep,
    Outcome,
    Post,
    Reply,
    Send,
    StartActivity,
    StartMachine,
    Step,
    StopActivity,
    StopMachine,
)
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.fan_out import MOST_ITEMS, MOST_MACHINES, at_index, excess, items_in
from durable_fsm.core.index import Candidates, Stance
from durable_fsm.core.plan import Plan
from durable_fsm.core.program import index_of, program_of
from durable_fsm.core.scope import NOW, Scope
from durable_fsm.core.selection import select_transitions
from durable_fsm.core.snapshot import ChildMachine, PendingSend, Running, Snapshot, Status
from durable_fsm.core.values import Json, Misfit, changed
from durable_fsm.errors import (
    ActionError,
    DurableFSMError,
    InvalidPayload,
    SnapshotUnreadable,
    UnknownEvent,
    UnknownWork,
)

MICROSTEPS = 1_000
"""A macrostep that has not come to rest after this many microsteps never will."""

ERROR = "error.execution"
UNREACHABLE = "error.communication"

OTHERS = (Origin.EXTERNAL, Origin.MACHINE)
"""Who may be told that an event is not taken."""

AFTER_END = "after_end"
"""How the only timer of a machine that has ended is shown."""

NONE: frozenset[Stance] = frozenset()

T = TypeVar("T")


class Refused(Exception):
    """A validator does not let an event from outside in; the text is its reason."""


def typed(chart: Chart, event: Event) -> Event:
    """The event with its payload as a value of the declared type; failures have a type of their own.

    Raises:
        InvalidPayload: the payload does not fit that type.
    """
    declared = chart.events.get(event.name)
    if declared is None or declared.payload is None or isinstance(event.payload, Failure):
        return event
    try:
        return changed(event, payload=declared.payload.load(plain(event.payload)))
    except Misfit as error:
        raise InvalidPayload(
            chart=chart.name,
            subject=f"payload of '{event.name}'",
            expected=declared.payload.name,
            problem=error.problem,
            path=error.path,
        ) from error


class Run:
    """One macrostep. Discarded when it fails: the snapshot it began with is still the machine."""

    def __init__(self, chart: Chart, before: Snapshot, data: object, event: Event) -> None:
        self.chart = chart
        self.index = index_of(chart)
        self.before = before
        self.event = event
        self.leaves = before.configuration
        self.active = set(self.index.active(self.leaves))
        self.history = before.history
        self.timers = {timer.token: timer for timer in before.timers} if before.timers else {}
        self.activities = {running.token: running for running in before.activities} if before.activities else {}
        self.machines = {child.token: child for child in before.machines} if before.machines else {}
        self.undo = before.undo
        self.stopping = {stopping.token: stopping for stopping in before.stopping} if before.stopping else {}
        self.detached = False
        self.queue: deque[Event] = deque()
        self.to_invoke: set[str] = set()
        self.effects: list[Effect] = []
        self.trace: list[Microstep] = []
        self.raised: list[str] = []
        self.refusals: dict[str, None] = {}
        self.seq = before.seq + 1
        self.tokens = 0
        self.status = before.status
        self.output = before.output
        self.failure = before.failure
        self.answered: Running | None = None
        self.deferred = before.deferred
        self.finished = before.finished
        self.scope = Scope(chart, event, data, self, before, self.active)

    @classmethod
    def resume(cls, chart: Chart, snapshot: Snapshot, event: Event) -> Run:
        """Pick up a machine where its snapshot left it."""
        try:
            data = chart.data.load(snapshot.data)
        except Misfit as error:
            problem = f"its data does not fit {chart.data.name}: {error.problem} at {error.path}."
            raise SnapshotUnreadable(chart=chart.name, problem=problem) from error
        return cls(chart, snapshot, data, event)

    def finish(self, outcome: Outcome) -> Step:
        """The result, as values."""
        try:
            data = self.chart.data.dump(self.scope.data)
        except Misfit as error:
            problem = f"it left data that does not fit {self.chart.data.name}: {error.problem} at {error.path}."
            raise self.action_error("a callback", problem) from error
        snapshot = changed(
            self.before,
            version=self.chart.version,
            digest=self.chart.digest,
            configuration=self.leaves,
            data=data,
            history=self.history,
            timers=tuple(self.timers.values()) if self.timers else (),
            activities=tuple(self.activities.values()) if self.activities else (),
            machines=tuple(self.machines.values()) if self.machines else (),
            seq=self.seq,
            status=self.status,
            output=self.output,
            failure=self.failure,
            deferred=self.deferred,
            finished=self.finished,
            undo=self.undo,
            stopping=tuple(self.stopping.values()) if self.stopping else (),
        )
        return Step(snapshot, tuple(self.effects), tuple(self.trace), outcome)

    # ── what callbacks ask for (scope.Asked) ──────────────────────────────────────────────────────────────────────────

    def send(self, event: str, payload: object, after: timedelta, id: str | None, to: Receiver | None) -> None:
        content = plain(payload)
        if to is None or to == f"#_scxml_{self.before.session}":
            if self.chart.policies.unexpected is Unexpected.REJECT and not self.index.knows(event):
                raise UnknownEvent(chart=self.chart.name, event=event, known=tuple(sorted(self.chart.events)))
            self.typed(Event(event, content))
            self.arm(PendingSend(self.token(), event, milliseconds(max(after, NOW)), id=id, payload=content))
            return
        address = self.address(written(to))
        if address is None:
            sendid = id or ""
            facts: Json = {"event": event, "to": written(to), "sendid": sendid}
            failure = Failure("Unreachable", f"there is no machine '{to}'.", metadata=facts)
            self.enqueue(Event(UNREACHABLE, failure, Origin.INTERNAL, sendid=sendid))
        elif after > NOW:
            self.arm(PendingSend(self.token(), event, milliseconds(after), id=id, payload=content, to=address))
        else:
            self.effects.append(Post(address, event, content, id or ""))

    def address(self, to: str) -> str | None:
        """`PARENT`, the token of the child that is meant, or the address itself; None if there is no such machine."""
        if is_address(to):
            return to
        if self.before.parent and to in (PARENT, f"#_scxml_{self.before.parent}"):
            return PARENT
        for child in self.machines.values():
            if not child.ended and to in (f"#_{child.id}", f"#_scxml_{child.chart}.{child.token}"):
                return child.token
        return None

    def cancel(self, id: str) -> None:
        for timer in [timer for timer in self.timers.values() if timer.id == id]:
            self.disarm(timer)

    def renew(self, name: str) -> None:
        for timer in [timer for timer in self.timers.values() if _is_called(timer, name)]:
            self.disarm(timer)
            declared = self.declared(timer)
            if declared is not None and timer.state is not None:
                self.start_timer(timer.state, declared)
            else:
                self.arm(changed(timer, token=self.token()))

    def raise_(self, event: str, payload: object) -> None:
        self.enqueue(self.typed(Event(event, payload, Origin.INTERNAL)))

    def reply(self, value: object) -> None:
        self.effects.append(Reply(plain(value)))

    # ── timers and activities ─────────────────────────────────────────────────────────────────────────────────────────

    def token(self) -> str:
        self.tokens += 1
        return f"{self.before.life}.{self.seq}.{self.tokens}"

    def arm(self, timer: PendingSend) -> None:
        self.timers[timer.token] = timer
        self.effects.append(Send(timer.token, timer.event, timer.after, timer.at))

    def start_timer(self, state: str, timer: Timer) -> None:
        """Arm a timer of a state; one that is computed may decide that there is none this time."""
        self.mark_unfinished(state, timer.event)
        moment: timedelta | datetime | None = timer.after
        if timer.when is not None:
            self.scope.state = self.index.states[state]
            moment = self.attempt(timer.when, _moment)
        if isinstance(moment, datetime):
            self.arm(PendingSend(self.token(), timer.event, 0, state, at_text=moment.astimezone(UTC).isoformat()))
        elif moment is not None:
            self.arm(PendingSend(self.token(), timer.event, milliseconds(max(moment, NOW)), state))

    def declared(self, armed: PendingSend) -> Timer | None:
        """The timer of a state that this one is, if its chart still has it."""
        timers = self.index.states[armed.state].timers if armed.state is not None else ()
        return next((timer for timer in timers if timer.event == armed.event and armed.activity is None), None)

    def disarm(self, timer: PendingSend) -> None:
        del self.timers[timer.token]
        self.effects.append(Cancel(timer.token))

    def arrived(self, timer: PendingSend) -> None:
        """A timer is over, and the event of this run is what it stands for.

        A deadline stops its activity and becomes its failure. A message that has waited is sent. A recurring timer
        starts again; if its state is left now, it ends with that.
        """
        del self.timers[timer.token]
        if timer.to is not None:
            self.effects.append(Post(timer.to, timer.event, timer.payload, timer.id or ""))
            return
        payload: object = timer.payload
        if timer.activity is not None:
            late = self.activities[timer.activity]
            facts = None if self.chart.activities[late.id].undoes is None else undo.progress(self, late)
            self.stop_activity(late)
            self.mark_finished(late.state, late.id)
            payload = Failure("deadline", f"activity '{late.id}' was not over after {timer.after}.", metadata=facts)
        declared = self.declared(timer)
        if declared is not None and timer.state is not None:
            if declared.recurring:
                self.start_timer(timer.state, declared)
            else:
                self.mark_finished(timer.state, timer.event)
        sendid = timer.id or ""
        self.event = changed(
            self.event,
            name=timer.event,
            payload=payload,
            origin=Origin.PLATFORM,
            sendid=sendid,
            sender=self.before.session,
        )

    def forget_activity(self, running: Running) -> None:
        """Its outcome has come: nothing to stop, no deadline to keep."""
        self.answered = running
        del self.activities[running.token]
        if running.token not in self.stopping:
            self.disarm_deadline(running.token)

    def disarm_deadline(self, token: str) -> None:
        """There is nothing any more that could be late."""
        for timer in [timer for timer in self.timers.values() if timer.activity == token]:
            self.disarm(timer)

    def stop_activity(self, running: Running) -> None:
        """Its outcome is not wanted any more; but for what can be undone it still counts whether it succeeds."""
        stopping = undo.stopped(self, running)
        self.forget_activity(running)
        if not (stopping or running.waiting):
            self.effects.append(StopActivity(running.token))

    def mark_finished(self, state: str | None, name: str) -> None:
        """An activity or a timer has come to its end; that counts as long as its state stays active."""
        if state is not None and name not in self.finished.get(state, ()):
            self.finished = dict(sorted({**self.finished, state: (*self.finished.get(state, ()), name)}.items()))

    def mark_unfinished(self, state: str, name: str) -> None:
        """An activity or a timer begins, perhaps again."""
        if name in self.finished.get(state, ()):
            names = tuple(other for other in self.finished[state] if other != name)
            others = {id: known for id, known in self.finished.items() if id != state}
            self.finished = dict(sorted({**others, state: names}.items())) if names else others

    def invoke(self) -> None:
        """Start the activities and machines of the states that were entered and are still active."""
        for id in self.index.in_order(self.to_invoke):
            state = self.index.states[id]
            for activity in state.activities:
                self.start_activity(state, activity)
            for place, child in enumerate(state.machines):
                self.start_machine(state, place, child)
        self.to_invoke.clear()

    def start_activity(self, state: State, activity: Activity, entry: int | None = None) -> None:
        """Begin an activity; if its input fails that is an `error.execution`, and nothing is begun.

        *entry* is that of an earlier run which this one repeats under the same stable id.
        """
        self.scope.state = state
        self.mark_unfinished(state.id, activity.id)
        given: Json = None
        if activity.input is not None:
            made = self.attempt(activity.input, _boxed)
            if made is None:
                return
            (given,) = made
        items = None
        if activity.each is not None:
            found_in = self.scope.data if activity.input is None else given
            items = self.items(f"activity '{activity.id}'", activity.id, activity.each, found_in, MOST_ITEMS)
            if not items:
                self.mark_finished(state.id, activity.id)
                return
        running = Running(self.token(), activity.id, state.id, self.seq if entry is None else entry)
        self.activities[running.token] = running
        if activity.undoes is None:
            start = StartActivity(running.token, activity.id, running.entry, activity.exclusive, given, items)
            self.effects.append(start)
            undo.began(self, activity, running)
        self.arm_deadline(running, activity)
        if activity.undoes is not None:
            undo.go_on(self, running)

    def resume_work(self, *, machines_of: Collection[str] | None = None) -> None:
        """Begin what the active states declare and what neither runs nor is over.

        Machines only of the states *machines_of*, if that is given: of those that have ended nothing is known.
        """
        for id in self.index.in_order(self.active):
            state = self.index.states[id]
            waiting = {timer.event for timer in self.timers.values() if timer.state == id and timer.activity is None}
            waiting.update(self.finished.get(id, ()))
            for timer in state.timers:
                if timer.event not in waiting:
                    self.start_timer(id, timer)
            running = {*self.finished.get(id, ()), *(running.id for running in self.activities.values())}
            for activity in state.activities:
                if activity.id not in running:
                    self.start_activity(state, activity)
            if machines_of is not None and id not in machines_of:
                continue
            if not any(child.state == id for child in self.machines.values()):
                for place, child in enumerate(state.machines):
                    self.start_machine(state, place, child)

    def resume_deadlines(self) -> None:
        """Give a deadline to each activity that is to have one by now, and has none."""
        kept = {timer.activity for timer in self.timers.values()}
        for running in self.activities.values():
            activity = self.chart.activities[running.id]
            if running.state is not None and running.token not in kept:
                self.arm_deadline(running, activity)

    def arm_deadline(self, running: Running, activity: Activity) -> None:
        if activity.deadline is not None and not activity.exclusive:
            late = f"error.invoke.{activity.id}"
            self.arm(
                PendingSend(self.token(), late, milliseconds(activity.deadline), running.state, activity=running.token)
            )

    def items(self, what: str, id: str, each: Each, found_in: object, most: int) -> tuple[Json, ...] | None:
        """The items of a fan-out. Without any, or with too many, it is over where it would begin."""
        items = self.attempt(Callback(each.name, lambda _: each.items(found_in)), items_in)
        if items is None:
            return None
        problem = excess(items, most)
        if problem is not None:
            failure = Failure("TooManyItems", f"{what} was not begun: {problem}", source=id)
            self.enqueue(Event(f"error.invoke.{id}", failure, Origin.PLATFORM))
            return None
        if not items:
            self.enqueue(self.typed(Event(f"done.invoke.{id}", [], Origin.PLATFORM)))
        return items

    # ── detached work ─────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, work: str, payload: object) -> None:
        activity = self.chart.detached.get(work)
        if activity is None:
            raise UnknownWork(chart=self.chart.name, work=work, known=tuple(self.chart.detached))
        awaited = any(self.index.knows(f"{outcome}.invoke.{work}") for outcome in ("done", "error"))
        given = plain(payload)
        items = None
        if activity.each is not None:
            items = items_in(activity.each.items(given))
            if problem := excess(items):
                raise ValueError(f"work '{work}' was not begun: {problem}")
            if not items:
                if awaited:
                    self.enqueue(self.typed(Event(f"done.invoke.{work}", [], Origin.PLATFORM)))
                return
        token = self.token()
        if awaited:
            self.activities[token] = Running(token, work, None, self.seq)
        self.effects.append(StartActivity(token, work, self.seq, False, given, items, detached=True))  # noqa: FBT003

    # ── machines ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def start_machine(self, state: State, place: int, child: Child) -> None:
        """Begin a child; what fails on the way there is an `error.execution`, and nothing is begun."""
        self.scope.state = state
        spawn = self.attempt(child, _spawn)
        if spawn is None:
            return
        if child.each is None:
            self.spawn(state, place, spawn)
            return
        items = self.items(f"machine '{spawn.id}'", spawn.id, child.each, self.scope.data, MOST_MACHINES)
        for part, item in enumerate(items or ()):
            self.spawn(state, place, replace(spawn, id=f"{spawn.id}.{part}", data=item), part)

    def spawn(self, state: State, place: int, spawn: Spawn, part: int | None = None) -> None:
        token = self.token()
        id = spawn.id or f"{state.id}.{token}"
        self.machines[token] = ChildMachine(token, id, spawn.chart.name, state.id, place, part)
        self.effects.append(StartMachine(token, id, spawn.chart, spawn.data))

    def stop_machine(self, child: ChildMachine) -> None:
        del self.machines[child.token]
        if not child.ended:
            self.effects.append(StopMachine(child.token))

    def part_ended(self, child: ChildMachine, each: Each) -> bool:
        """One of several machines is over; whether they all are now, and the event of this run says so.

        The first failure is that of all, and the others are stopped, unless they are to settle.
        """
        assert child.part is not None
        failure = self.event.payload if isinstance(self.event.payload, Failure) else None
        result = plain(self.event.payload) if failure is None else None
        if each.settle and failure is None:
            result = {"status": "done", "result": result}
        elif each.settle and failure is not None:
            result, failure = {"status": "failed", "error": failure_to_json(failure)}, None
        self.machines[child.token] = changed(child, result=result)
        parts = [one for one in self.machines.values() if (one.state, one.place) == (child.state, child.place)]
        if failure is None and not all(one.ended for one in parts):
            return False
        for one in parts:
            self.stop_machine(one)
        outcome: object = [one.result for one in parts] if failure is None else at_index(child.part, failure)
        id = child.id.removesuffix(f".{child.part}")
        name = f"{'done' if failure is None else 'error'}.invoke.{id}"
        self.event = changed(self.event, name=name, payload=outcome, invokeid=id)
        return True

    def came_from(self, child: ChildMachine) -> None:
        """The event of this run is a message of a child, or its end."""
        if self.event.origin is Origin.PLATFORM:
            del self.machines[child.token]
        self.event = changed(self.event, invokeid=child.id, sender=f"{child.chart}.{child.token}")
        self.scope.event = self.event
        self.scope.state = self.index.states[child.state]
        self.execute(self.index.states[child.state].machines[child.place].finalize)

    def forward(self) -> bool:
        """Hand the event on to the children that want to see all of them; False if there are none."""
        if not self.machines:
            return False
        keen = [
            child
            for child in self.machines.values()
            if self.index.states[child.state].machines[child.place].autoforward
        ]
        for child in keen:
            self.effects.append(Post(child.token, self.event.name, plain(self.event.payload), self.event.sendid))
        return bool(keen)

    # ── the algorithm ─────────────────────────────────────────────────────────────────────────────────────────────────

    def typed(self, event: Event) -> Event:
        """See `typed`."""
        return typed(self.chart, event)

    def take(self) -> Outcome | None:
        """Run the macrostep of the event; None if nothing takes it, and nobody has said what then.

        Raises:
            Refused: a validator does not let it in.
        """
        forwarded = self.forward()
        event = self.event = self.typed(self.event)
        candidates, stances = None, NONE
        if self.index.has_stances and event.origin in OTHERS:
            candidates, stances = self.index.stances(self.leaves, event.name)
        enabled = self.select(event, candidates)
        if enabled is not None:
            self.microstep(enabled, event)
        elif self.queue or (isinstance(event.payload, Failure) and not self.detached and event.name != UNREACHABLE):
            self.unhandled(event)
        elif Stance.DEFER in stances:
            return Outcome.DEFERRED
        elif Stance.IGNORE in stances:
            return Outcome.IGNORED
        elif not forwarded:
            return None
        self.complete()
        return Outcome.TAKEN

    def select(self, event: Event | None, candidates: Candidates | None = None) -> Plan | None:
        """What to do now for an event, or without one; None if no transition is enabled.

        *candidates* are those of the index, unless the caller has found them.
        """
        if event is not None:
            self.scope.event = event
        if candidates is None:
            candidates = self.index.candidates(self.leaves, None if event is None else event.name)
        enabled = select_transitions(candidates, self.passes)
        return program_of(self.chart).plans.of(self.leaves, self.history, enabled) if enabled else None

    def begin(self) -> None:
        """Enter the initial states."""
        initial = self.index.initial[self.chart.root.id]
        self.microstep(program_of(self.chart).plans.of((), self.history, [initial]), None)
        self.complete()

    def follow(self) -> None:
        """Take what has been raised without an event of the run's own, if anything was."""
        if self.queue:
            self.complete()

    def complete(self) -> None:
        """Take eventless transitions and raised events until nothing is left, then begin activities and machines."""
        rounds = 0
        while self.status is Status.RUNNING:
            while self.status is Status.RUNNING and self.advance():
                rounds += 1
                if rounds >= MICROSTEPS:
                    self.stuck()
            if self.status is Status.RUNNING and self.regions_are_final():
                self.status = Status.DONE
            if self.status is Status.RUNNING:
                if self.to_invoke:
                    self.invoke()
                if not self.queue:
                    return
        if self.chart.policies.scxml:
            self.leave_last_states()
        while self.queue:  # the machine is over before it could take them; a failure is not hidden by that
            self.unhandled(self.queue.popleft())
        self.exit_interpreter()
        self.arm_end()

    def arm_end(self) -> None:
        """Let a machine that has ended be deleted in time, if its chart says so. It has no other timer.

        What is due at once would be drained by this very turn, which is the machine's and not its host's.
        """
        end = self.chart.hosting.after_end
        if self.status is Status.DONE and end is not None and not self.timers:
            self.arm(PendingSend(self.token(), AFTER_END, max(milliseconds(end.after), 1)))

    def advance(self) -> bool:
        """Take eventless transitions, or else one raised event; False if there is neither."""
        enabled = self.select(None) if self.index.has_eventless else None
        if enabled is not None:
            self.microstep(enabled, None)
            return True
        if not self.queue:
            return False
        event = self.queue.popleft()
        enabled = self.select(event)
        if enabled is not None:
            self.microstep(enabled, event)
        else:
            self.unhandled(event)
        return True

    def unhandled(self, event: Event) -> None:
        """An event that nothing takes is dropped, except where that would hide a failure.

        That a message could not be delivered is none of this machine.
        """
        if not isinstance(event.payload, Failure) or self.chart.policies.scxml or event.name == UNREACHABLE:
            return
        if event.name != ERROR:
            self.enqueue(Event(ERROR, event.payload, Origin.INTERNAL))
        elif event.cause is not None:
            raise self.action_error(event.payload.source, event.payload.message) from event.cause
        else:
            self.status = Status.FAILED
            self.failure = event.payload
            if self.answered is not None and self.event.payload is event.payload:
                self.activities[self.answered.token] = changed(self.answered, parked=False, failed=True)

    def stuck(self) -> NoReturn:
        taken = ", ".join(key for microstep in self.trace[-1:] for key in microstep.transitions)
        last = f"; the last took {taken}" if taken else ""
        raise self.action_error("the macrostep", f"it has not come to rest after {MICROSTEPS} microsteps{last}.")

    def microstep(self, plan: Plan, event: Event | None) -> None:
        """Leave, act, enter. A failure before anything was left stops the transitions."""
        name = None if event is None else event.name
        if self.prepare(plan):
            scope = self.scope
            scope.previous, scope.coming = plan.before, plan.after
            self.exit_states(plan)
            self.execute_transition_content(plan)
            self.enter_states(plan)
            scope.previous = scope.coming
            self.conclude(plan)
            microstep = Microstep(name, plan.exited, plan.keys, plan.entered, tuple(self.raised))
        else:
            microstep = Microstep(name, raised=tuple(self.raised))
        self.trace.append(microstep)
        self.raised.clear()

    def prepare(self, plan: Plan) -> bool:
        """Run what precedes the transitions; False as soon as some of it fails."""
        for transition in plan.transitions:
            if transition.before:
                self.scope.on(transition)
                if not all(self.attempt(callback, _succeeded) for callback in transition.before):
                    return False
        return True

    def execute_transition_content(self, plan: Plan) -> None:
        """Run the actions; what they return is for the sender."""
        for transition in plan.transitions:
            if transition.actions:
                self.scope.on(transition)
                for value in self.values(transition.actions):
                    self.effects.append(Reply(value))

    def conclude(self, plan: Plan) -> None:
        """Run what follows when everything has been entered."""
        for transition in plan.transitions:
            if transition.after:
                if transition.targets:
                    self.scope.entering(self.index.states[transition.targets[0]], transition)
                else:
                    self.scope.on(transition)
                self.execute(transition.after)

    def exit_states(self, plan: Plan) -> None:
        if plan.memories:
            self.history = dict(sorted({**self.history, **dict(plan.memories)}.items()))
        for departure in plan.departures:
            state = departure.state
            if state.exit:
                self.scope.leaving(state, departure.cause)
                self.execute(state.exit)
            if self.timers or self.activities or self.machines or self.to_invoke or self.finished:
                self.end_of(state.id)
            self.active.discard(state.id)
        self.leaves = plan.leaves

    def end_of(self, id: str) -> None:
        """Nothing that began with a state goes on without it."""
        self.to_invoke.discard(id)
        if id in self.finished:
            self.finished = {other: names for other, names in self.finished.items() if other != id}
        for timer in [timer for timer in self.timers.values() if timer.state == id and timer.activity is None]:
            self.disarm(timer)
        for running in [running for running in self.activities.values() if running.state == id]:
            self.stop_activity(running)
        for child in [child for child in self.machines.values() if child.state == id]:
            self.stop_machine(child)

    def enter_states(self, plan: Plan) -> None:
        for arrival in plan.arrivals:
            state = arrival.state
            self.active.add(state.id)
            if state.activities or state.machines:
                self.to_invoke.add(state.id)
            if state.entry:
                self.scope.entering(state, arrival.cause)
                self.execute(state.entry)
            for default in arrival.defaults:
                if default.actions:
                    self.scope.on(default)
                    self.execute(default.actions)
            for timer in state.timers:
                self.start_timer(state.id, timer)
            if state.kind is Kind.FINAL:
                self.scope.entering(state, arrival.cause)
                self.enter_final(state)

    def enter_final(self, state: State) -> None:
        """Raise the done events; a final child of the root ends the machine."""
        parent, *above = self.index.ancestors[state.id]
        if parent == ROOT:
            ends = [self.attempt(callback, _end) for callback in state.done]
            self.status = Status.DONE
            self.failure = next((end for end in ends if isinstance(end, Failure)), None)
            if self.failure is None:
                self.output = _merged([end for end in ends if end is not None and not isinstance(end, Failure)])
            return
        output = _merged(self.values(state.done))
        self.enqueue(Event(f"done.state.{parent}", output, Origin.INTERNAL))
        if self.index.states[above[0]].kind is Kind.PARALLEL and self.is_in_final_state(above[0]):
            self.enqueue(Event(f"done.state.{above[0]}", output, Origin.INTERNAL))

    def is_in_final_state(self, id: str) -> bool:
        regions = self.index.regions[id]
        if self.index.states[id].kind is Kind.PARALLEL:
            return all(self.is_in_final_state(region) for region in regions)
        return any(child in self.active and self.index.states[child].kind is Kind.FINAL for child in regions)

    def regions_are_final(self) -> bool:
        """A parallel state at the top ends the machine when all its regions are final, as a final state does."""
        parallels = self.index.parallels_at_top
        return bool(parallels) and any(id in self.active and self.is_in_final_state(id) for id in parallels)

    def leave_last_states(self) -> None:
        """Run the exit actions of a machine that ends; its states stay in the configuration, to be seen."""
        for id in self.index.in_order(self.active)[::-1]:
            state = self.index.states[id]
            self.scope.leaving(state, Transition("", id))
            self.execute(state.exit)

    def exit_interpreter(self) -> None:
        """The machine is over: nothing of it may arrive, run or be waited for any more."""
        for child in list(self.machines.values()):
            self.stop_machine(child)
        for running in [running for running in self.activities.values() if not running.failed]:
            if running.state is None:
                self.forget_activity(running)
            else:
                self.stop_activity(running)
        for timer in list(self.timers.values()):
            if self.status is Status.DONE or timer.activity not in self.stopping:
                self.disarm(timer)

    # ── callbacks ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def enqueue(self, event: Event) -> None:
        self.queue.append(event)
        self.raised.append(event.name)

    def passes(self, transition: Transition) -> bool:
        if not transition.guards and not transition.validators:
            return True
        self.scope.on(transition)
        return all(map(self.admits, transition.validators)) and all(map(self.says_yes, transition.guards))

    def admits(self, validator: Callback) -> bool:
        """Whether a validator has no objection; it rejects what came from outside and is still to be begun."""
        if self.event.origin is not Origin.EXTERNAL or self.trace:
            return self.attempt(validator, _succeeded) is True
        try:
            validator.call(self.scope)
        except Exception as error:
            raise Refused(_reason(error)) from error
        return True

    def says_yes(self, guard: Guard) -> bool:
        answer = self.attempt(guard, bool)
        if answer is guard.negated:
            self.refusals[guard.label] = None
        return answer is (not guard.negated)

    def execute(self, callbacks: Iterable[Callback]) -> None:
        """Run the callbacks in order; each is a block of its own."""
        for callback in callbacks:
            self.attempt(callback, _succeeded)

    def values(self, callbacks: Iterable[Callback]) -> list[Json]:
        """Run the callbacks in order; what they return, without None."""
        values = [self.attempt(callback, plain) for callback in callbacks]
        return [value for value in values if value is not None]

    def attempt(self, callback: Callback, read: Callable[[object], T]) -> T | None:
        """What *read* makes of the callback's result; None if either fails, which raises `error.execution`."""
        try:
            return read(callback.call(self.scope))
        except Exception as error:  # noqa: BLE001 - the author's code may raise anything; it becomes error.execution
            self.failed(callback, error)
            return None

    def failed(self, callback: Callback, error: Exception) -> None:
        failure = Failure(type(error).__name__, _named(error), metadata=_metadata(error), source=callback.name)
        if not self.chart.policies.catch_errors:
            raise self.action_error(failure.source, failure.message) from error
        self.enqueue(Event(ERROR, failure, Origin.INTERNAL, cause=error))

    def action_error(self, callback: str, problem: str) -> ActionError:
        return ActionError(chart=self.chart.name, event=self.event.name, callback=callback, problem=problem)


def _succeeded(_: object) -> bool:
    return True


def _is_called(timer: PendingSend, name: str) -> bool:
    """Whether an author means this timer: by the id of the send, or by the event of a state's timer."""
    return timer.activity is None and name in (timer.id, timer.event if timer.state is not None else None)


def _moment(value: object) -> timedelta | datetime | None:
    """What a computed timer may return."""
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError("an instant needs a time zone: datetime(..., tzinfo=UTC)")
    if value is None or isinstance(value, timedelta | datetime):
        return value
    raise TypeError(f"expected a timedelta, a datetime or None, got {type(value).__name__}")


def _boxed(value: object) -> tuple[Json]:
    """A value that may be None, told apart from a failure."""
    return (plain(value),)


def _spawn(value: object) -> Spawn:
    if not isinstance(value, Spawn):
        raise TypeError(f"expected a Spawn, got {type(value).__name__}")
    return value


def _end(value: object) -> Json | Failure:
    """What the final state of a machine leaves behind: its output, or why it has failed at what it was for."""
    return changed(value, metadata=plain(value.metadata)) if isinstance(value, Failure) else plain(value)


def _merged(values: list[Json]) -> Json:
    """What a final state leaves behind: the members of all objects, or the last value if one is no object."""
    merged: dict[str, Json] = {}
    for value in values:
        if not isinstance(value, dict):
            return values[-1]
        merged.update(value)
    return merged or None


def _metadata(error: Exception) -> Json:
    """What the exception carries for its reader, if that is plain."""
    try:
        return plain(getattr(error, "metadata", None))
    except Exception:  # noqa: BLE001 - its author's code too
        return None


def _text(error: Exception) -> str:
    """The exception's own words, if it finds any."""
    try:
        return error.what if isinstance(error, DurableFSMError) else str(error)
    except Exception:  # noqa: BLE001 - its author's code too
        return ""


def _reason(error: Exception) -> str:
    """`Too few.`: the exception's words as a sentence of their own."""
    text = _text(error) or type(error).__name__
    return _ended(text[:1].upper() + text[1:])


def _named(error: Exception) -> str:
    """`ValueError: too few.`: the exception as part of a message."""
    text = _text(error)
    return _ended(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
