"""A machine in memory, with a clock that only the test moves; and the machines it runs as its children.

A rehearsal runs the same turns as the host, and puts the machine through JSON between any two of them. It is quick, and
it is not a proof of durability: that takes a real server and a `kill -9`.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from durable_fsm.core.activity import stable_id
from durable_fsm.core.address import address, child_key, is_address, parted
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical, plain, snapshot_from_json, snapshot_to_json
from durable_fsm.core.effects import (
    PARENT,
    Cancel,
    Effect,
    Microstep,
    Post,
    Send,
    StartActivity,
    StartMachine,
    StopActivity,
    StopMachine,
)
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.mail import came_back_as, refusal
from durable_fsm.core.receipt import Receipt
from durable_fsm.core.snapshot import PendingSend, Running, Snapshot, Status, Stopping
from durable_fsm.core.step import active_in, end_of_life
from durable_fsm.core.turn import Turn
from durable_fsm.core.upgrade import upgrade
from durable_fsm.core.values import Json, changed
from durable_fsm.errors import DurableFSMError, EventRejected, Gone, NotStarted, TerminalError, locate, quoted
from durable_fsm.frontends import chart_from

__all__ = ["Rehearsal"]

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

Answer = Callable[[Any], object]  # Any: the data of whatever type the chart declares


@dataclass(slots=True)
class _System:
    """The machines of one rehearsal: one clock, and the post between them, in order."""

    began: datetime
    now: timedelta = timedelta(0)
    machines: list[Rehearsal] = field(default_factory=list["Rehearsal"])
    post: deque[Callable[[], None]] = field(default_factory=deque[Callable[[], None]])
    armed: int = 0
    settling: bool = False

    def settle(self) -> None:
        """Deliver until nothing is under way."""
        if self.settling:
            return
        self.settling = True
        try:
            while self.post:
                self.post.popleft()()
        finally:
            self.settling = False

    def find(self, chart: str, key: str) -> Rehearsal | None:
        """The machine with this address, if it is rehearsed here."""
        return next((one for one in self.machines if (one.chart.name, one.key) == (chart, key)), None)

    def next_due(self, deadline: timedelta) -> tuple[timedelta, int, str, Rehearsal] | None:
        due = [
            (when, number, token, machine)
            for machine in self.machines
            for token, (when, number) in machine.due.items()
            if when <= deadline
        ]
        return min(due, key=lambda found: found[:2]) if due else None


@dataclass(frozen=True, slots=True)
class _Parent:
    """Who runs a child, and under which names."""

    machine: Rehearsal
    token: str
    id: str


class Rehearsal:
    """One machine of a chart, rehearsed.

        order = Rehearsal(Order)
        order.send("checkout", {"total_cents": 500})
        order.finish("charging", "receipt-1")
        assert order.configuration == ("paid",)

    Args:
        definition: whatever `chart_from` reads.
        key: the machine's key, as errors print it.
        began: the instant at which the clock stands in the beginning; timers that are set to an instant count from it.
        snapshot: the machine as a deployment has stored it, perhaps of an older version: the JSON text under the K/V key
            `snapshot`, or what that stands for. It is migrated at once; its timers count from now.
        answers: results of activities by id, as functions of what the activity receives: the data, its `input`, or the
            payload that detached work was started with. They are called as soon as the activity starts. What one raises
            is the activity's error. Other activities wait for `finish` or `fail`. What undoes is answered by the name of
            its function, which receives the result of the work; or its stable id, if there is no result yet.

        beside: another rehearsal, whose clock this one shares, and with whose machine its own exchanges messages.

    Machines that the chart runs as its children are rehearsed along, on the same clock: see `machines`.

    Attributes:
        trace: every microstep so far.
        effects: everything the machine has asked of the world so far.
        machines: the children that run now, by id; rehearsals themselves.
        due: when each timer will be over, and the number of its arming, by token.
        posted: messages to machines that are not rehearsed here.
    """

    def __init__(
        self,
        definition: object,
        *,
        key: str = "rehearsal",
        began: datetime = EPOCH,
        snapshot: str | Mapping[str, Any] | None = None,
        answers: Mapping[str, Answer] | None = None,
        beside: Rehearsal | None = None,
    ) -> None:
        self.chart: Chart = chart_from(definition)
        self.key = key
        self.trace: list[Microstep] = []
        self.effects: list[Effect] = []
        self.posted: list[Post] = []
        self._answers = dict(answers or {})
        self._stored: str | None = None
        self.due: dict[str, tuple[timedelta, int]] = {}
        self._turns = 0
        self._held: tuple[Turn, StartActivity] | None = None
        self._started: list[StartActivity] = []
        self._life = "rehearsed"
        self._gone = False
        self._parent: _Parent | None = None
        self._children: dict[str, Rehearsal] = {}
        self._waiting: deque[Callable[[], None]] = deque()
        self._system: _System = _System(began) if beside is None else beside._system
        self._system.machines.append(self)
        if snapshot is not None:
            self._take_up(snapshot)

    # ── what a test does ──────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, data: object = None) -> Receipt:
        """Create the machine with this data; raises what the host answers."""
        text = canonical(plain(data)) if data not in (None, {}) else ""

        def act(turn: Turn) -> str:
            return "created" if turn.create(plain(data), life=self._life, created_from=text) else "exists"

        return self._turn("create", act)

    def send(self, event: str, payload: object = None) -> Receipt:
        """Send an event from outside; raises what the host answers."""
        name = str(event)

        def act(turn: Turn) -> str:
            turn.autostart(life=self._life)
            return turn.take(Event(name, plain(payload))).value

        return self._turn(name, act)

    def advance(self, by: timedelta) -> None:
        """Move the clock; deliver every timer that falls due, in order.

        Timers armed by a delivered one count too, if they fall due before the deadline. Never waits in real time.
        """
        system = self._system
        deadline = system.now + by
        while (found := system.next_due(deadline)) is not None:
            when, _, token, machine = found
            system.now = max(system.now, when)
            del machine.due[token]
            machine._deliver(Event("timer", origin=Origin.PLATFORM, token=token))
        system.now = deadline

    def finish(self, activity: str, result: object = None) -> Receipt:
        """Let a running activity succeed with this result."""
        return self._outcome(activity, Event(f"done.invoke.{activity}", plain(result), Origin.PLATFORM))

    def fail(
        self, activity: str, message: str = "", *, type: str = "TerminalError", code: int | None = None
    ) -> Receipt:
        """Let a running activity fail for good."""
        failure = Failure(type, message or f"activity '{activity}' failed", code)
        return self._outcome(activity, Event(f"error.invoke.{activity}", failure, Origin.PLATFORM))

    # ── what a test looks at ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def now(self) -> timedelta:
        """The clock of all machines of this rehearsal; it starts at zero."""
        return self._system.now

    @property
    def machines(self) -> Mapping[str, Rehearsal]:
        """The children that run now, by id."""
        running = self.snapshot.machines if self._stored is not None else ()
        return {child.id: self._children[child.token] for child in running if not child.ended}

    @property
    def snapshot(self) -> Snapshot:
        """The machine as it is stored."""
        if self._stored is None:
            self._refuse_gone()
            raise NotStarted(chart=self.chart.name, key=self.key)
        return snapshot_from_json(self.chart, json.loads(self._stored))

    @property
    def configuration(self) -> tuple[str, ...]:
        """Ids of all active states in document order."""
        return active_in(self.chart, self.snapshot)

    @property
    def data(self) -> Any:  # Any: of the type the chart declares
        """A copy of the machine's data."""
        return self.chart.data.load(self.snapshot.data)

    @property
    def status(self) -> Status:
        return self.snapshot.status

    @property
    def output(self) -> Json:
        """What the final state left behind."""
        return self.snapshot.output

    @property
    def stored(self) -> str | None:
        """The machine as a deployment would store it, which is what `snapshot=` takes; None before it has begun."""
        return self._stored

    @property
    def failure(self) -> Failure | None:
        """Why the machine has failed, or in what it has, if it ended in a final state that says so."""
        return self.snapshot.failure

    @property
    def running(self) -> tuple[str, ...]:
        """Ids of the activities whose outcome is awaited."""
        return tuple(running.id for running in self.snapshot.activities)

    @property
    def undo(self) -> tuple[str, ...]:
        """Ids of the activities that can be undone, the latest last."""
        return tuple(done.id for done in self.snapshot.undo)

    @property
    def stopping(self) -> tuple[str, ...]:
        """Ids of the activities that were stopped and have not said how they ended; `finish` or `fail` does."""
        return tuple(stopping.id for stopping in self.snapshot.stopping)

    @property
    def timers(self) -> dict[str, timedelta]:
        """Events that will come by themselves and how long that takes from now; deadlines of activities left out."""
        own = [timer for timer in self.snapshot.timers if timer.activity is None]
        return {timer.event: self.due[timer.token][0] - self.now for timer in own}

    def stable_id(self, activity: str) -> str:
        """The idempotency key that this run of the activity uses."""
        machine, running = self.snapshot, self._running(activity)
        for done in machine.undo:
            if done.undoing == running.token:
                return f"{stable_id(self.chart.name, self.key, machine.life, done)}/undo"
        return stable_id(self.chart.name, self.key, machine.life, running)

    # ── a machine that was stored elsewhere ───────────────────────────────────────────────────────────────────────────

    def _take_up(self, stored: str | Mapping[str, Any]) -> None:
        record = json.loads(stored) if isinstance(stored, str) else stored
        with locate(self.key):
            self.chart, machine, upgraded = upgrade(self.chart, snapshot_from_json(self.chart, plain(record)))
        self._stored = canonical(snapshot_to_json(machine))
        for timer in machine.timers:
            self._arm(timer)

        def act(turn: Turn) -> str:
            if upgraded is not None:
                turn.migrate(upgraded)
            turn.begin()
            return "taken"

        self._turn("migrated", act)

    def _arm(self, timer: Send | PendingSend) -> None:
        self._system.armed += 1
        due = self.now + timer.after if timer.at is None else timer.at - self._system.began
        self.due[timer.token] = (due, self._system.armed)

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _turn(self, event: str, act: Callable[[Turn], str]) -> Receipt:
        if self._held is not None:
            holder = self._name_of(self._held[1])
            reason = f"Activity '{holder}' holds the machine: finish or fail it first."
            raise EventRejected(
                chart=self.chart.name,
                key=self.key,
                event=event,
                configuration=self.snapshot.configuration,
                accepted=(),
                reason=reason,
            )
        self._refuse_gone()
        self._turns += 1
        turn = Turn(self.chart, None if self._stored is None else self.snapshot, seed=f"{self.key}/{self._turns}")
        with locate(self.key):
            outcome = act(turn)
            self._run_on(turn)
        receipt = self._receipt(event, outcome, turn)
        self._give_answers()
        self._system.settle()
        return receipt

    def _receipt(self, event: str, outcome: str, turn: Turn) -> Receipt:
        return Receipt.of(self.chart, self.key, self.snapshot, event=event, outcome=outcome, reply=turn.reply)

    def _run_on(self, turn: Turn) -> None:
        """Drain the turn; an exclusive activity without an answer holds it until the test gives one."""
        while (call := turn.next_call()) is not None:
            self._save(turn)
            self.effects.append(call)
            if self._answer_to(call) is None:
                self._held = (turn, call)
                return
            turn.deliver(self._answered(call))
        self._save(turn)
        if turn.parked:
            names = quoted(event.name for event in turn.parked)
            raise AssertionError(f"{names} would be parked until a deployment mends this: {turn.trouble}")
        self._end()

    def _save(self, turn: Turn) -> None:
        self._stored = canonical(snapshot_to_json(turn.machine))
        turn.saved()
        self.trace.extend(turn.trace)
        turn.trace.clear()
        for effect in turn.take_effects():
            self.effects.append(effect)
            match effect:
                case Send():
                    self._arm(effect)
                case Cancel():
                    self.due.pop(effect.token, None)
                case StartActivity():
                    self._started.append(effect)
                case StopActivity():
                    self._stop_activity(effect.token)
                case StartMachine():
                    self._begin(effect)
                case StopMachine():
                    self._children.pop(effect.token)._stop()
                case Post():
                    self._post(effect)
                case _:
                    pass

    # ── the machines of a system ──────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, effect: StartMachine) -> None:
        key = child_key(self.key, effect.id, effect.token)
        child = Rehearsal(effect.chart, key=key, answers=self._answers, beside=self)
        child._life = effect.token
        child._parent = _Parent(self, effect.token, effect.id)
        self._children[effect.token] = child
        parent = self.snapshot.session

        def act(turn: Turn) -> str:
            turn.create(effect.data, life=effect.token, created_from="", parent=parent)
            return "created"

        def start() -> None:
            if effect.token not in self._children:
                return
            try:
                child._turn("create", act)
            except DurableFSMError as error:
                failure = Failure(type(error).__name__, str(error), source=effect.id)
                self._deliver(Event(f"error.invoke.{effect.id}", failure, Origin.PLATFORM, token=effect.token))

        self._system.post.append(start)

    def _stop(self) -> None:
        """This machine is not wanted any more, nor are its own children: what they have done is undone."""
        for child in self._children.values():
            child._stop()
        machine = self.snapshot if self._stored is not None else None
        for done in reversed(machine.undo) if machine is not None and machine.status is not Status.DONE else ():
            start = StartActivity(f"{done.token}.undo", done.id, done.entry, exclusive=True, undo=done)
            if self._answer_to(start) is not None:
                self._answered(start)
        self._children.clear()
        self._system.machines.remove(self)
        self._parent = None

    def _post(self, effect: Post) -> None:
        """Bring a message on its way; one to a machine that is not rehearsed is recorded."""
        event = Event(effect.event, effect.payload, Origin.MACHINE, sendid=effect.sendid, sender=self.snapshot.session)
        to = effect.to
        if is_address(effect.to):
            event = changed(event, origin=Origin.EXTERNAL, sender=address(self.chart.name, self.key))
            receiver = self._system.find(*parted(effect.to))
            if receiver is None:
                self.posted.append(effect)
        elif effect.to != PARENT:
            receiver = self._children.get(effect.to)
            to = f"#_{receiver._parent.id}" if receiver is not None and receiver._parent is not None else to
        elif self._parent is not None:
            receiver = self._parent.machine
            event = changed(event, token=self._parent.token)
        else:
            receiver = None
        if receiver is not None:
            self._system.post.append(lambda: receiver._take_message(event, self, to))

    def _take_message(self, event: Event, sender: Rehearsal, to: str) -> None:
        """Take what another machine says; what is not taken goes back."""
        if self._held is not None:
            self._waiting.append(lambda: self._take_message(event, sender, to))
            return
        from_outside = event.origin is Origin.EXTERNAL
        there = self in self._system.machines and (self._stored is not None and self.status is Status.RUNNING)
        if not there and not from_outside:
            return

        def act(turn: Turn) -> str:
            if from_outside:
                turn.autostart(life=self._life)
            return turn.take(event).value

        try:
            self._turn(event.name, act)
        except DurableFSMError as error:
            came_back = came_back_as(sender.chart, refusal(error, event=event.name, to=to, sendid=event.sendid))
            if came_back is not None:
                self._system.post.append(lambda: sender._receive(came_back))

    def _receive(self, event: Event) -> None:
        if self._held is not None:
            self._waiting.append(lambda: self._receive(event))
        elif self in self._system.machines and self.status is Status.RUNNING:
            self._turn(event.name, lambda turn: str(turn.deliver(event)))

    def _end(self) -> None:
        """Tell the parent that this machine is over, once."""
        parent, machine = self._parent, self.snapshot
        if parent is None or machine.status is Status.RUNNING:
            return
        self._parent = None
        if machine.failure is None:
            end = Event(f"done.invoke.{parent.id}", machine.output, Origin.PLATFORM)
        else:
            end = Event(f"error.invoke.{parent.id}", machine.failure, Origin.PLATFORM)
        end = changed(end, token=parent.token, invokeid=parent.id)
        self._system.post.append(lambda: parent.machine._receive(end))

    # ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _give_answers(self) -> None:
        while answered := next((start for start in self._started if self._answer_to(start) is not None), None):
            self._started.remove(answered)
            self._deliver(self._answered(answered))

    def _answer_to(self, start: StartActivity) -> Answer | None:
        undo = self.chart.activities[start.id].undo
        return self._answers.get(start.id if start.undo is None or undo is None else undo.name)

    def _name_of(self, start: StartActivity) -> str:
        """The activity whose outcome a test gives; one that undoes runs what is declared elsewhere."""
        return next((one.id for one in self.snapshot.activities if one.token == start.token), start.id)

    def _stop_activity(self, token: str) -> None:
        """What was to be answered and has been stopped before was cancelled."""
        stopped = [start for start in self._started if start.token == token]
        self._started = [start for start in self._started if start.token != token]
        for start in stopped:
            if self._answer_to(start) is not None and any(
                stopping.token == token for stopping in self.snapshot.stopping
            ):
                failure = Failure("cancelled", "the activity was cancelled.")
                end = Event(f"error.invoke.{start.id}", failure, Origin.PLATFORM, token=token)
                self._system.post.append(partial(self._settle, end))

    def _settle(self, end: Event) -> None:
        self._deliver(end)

    def _received(self, start: StartActivity) -> object:
        """What the work is given, or what undoes it."""
        if start.undo is not None:
            undo = self.chart.activities[start.id].undo
            original = stable_id(self.chart.name, self.key, self.snapshot.life, start.undo)
            return original if undo is not None and undo.first else start.undo.result
        given = start.detached or self.chart.activities[start.id].input is not None
        return start.input if given else self.chart.data.load(self.snapshot.data)

    def _answered(self, start: StartActivity) -> Event:
        answer = self._answer_to(start)
        assert answer is not None
        received = self._received(start)
        try:
            result = plain(answer(received))
        except Exception as error:  # noqa: BLE001 - the test's stand-in may raise anything; it is the activity's error
            message = error.message if isinstance(error, TerminalError) else str(error)
            failure = Failure(type(error).__name__, message, getattr(error, "code", None))
            return Event(f"error.invoke.{start.id}", failure, Origin.PLATFORM, token=start.token)
        return Event(f"done.invoke.{start.id}", result, Origin.PLATFORM, token=start.token)

    def _outcome(self, activity: str, event: Event) -> Receipt:
        event = Event(event.name, event.payload, event.origin, token=self._running(activity).token)
        if self._held is None or self._held[1].token != event.token:
            return self._deliver(event)
        turn, self._held = self._held[0], None
        with locate(self.key):
            outcome = str(turn.deliver(event))
            self._run_on(turn)
        receipt = self._receipt(event.name, outcome, turn)
        self._system.post.extend(self._waiting)
        self._waiting.clear()
        self._give_answers()
        self._system.settle()
        return receipt

    def _refuse_gone(self) -> None:
        if self._gone:
            raise Gone(chart=self.chart.name, key=self.key)

    def _deliver(self, event: Event) -> Receipt:
        machine = self.snapshot
        if (end := end_of_life(self.chart, machine, event.token)) is not None:
            self._stored, self._gone = None, not end.free
            return Receipt.of(self.chart, self.key, machine, event="delete", outcome="deleted", reply=None)
        return self._turn(event.name, lambda turn: str(turn.deliver(event)))

    def _running(self, activity: str) -> Running | Stopping:
        machine = self.snapshot
        awaited: list[Running | Stopping] = [*machine.activities, *machine.stopping]
        for running in awaited:
            if running.id == activity:
                if isinstance(running, Running) and running.waiting:
                    what = f"activity '{activity}' waits for the end of: {', '.join(self.stopping)}"
                    raise LookupError(f"{self.chart.name}/{self.key}: {what}")
                return running
        names = ", ".join(self.running) or "none"
        raise LookupError(f"{self.chart.name}/{self.key}: activity '{activity}' is not running; running: {names}")
