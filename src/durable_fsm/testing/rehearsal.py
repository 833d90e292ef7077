"""A machine in memory, with a clock that only the test moves.

A rehearsal runs the same turns as the host, and puts the machine through JSON between any two of them. It is quick, and
it is not a proof of durability: that takes a real server and a `kill -9`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from durable_fsm.core.codec import canonical, plain, snapshot_from_json, snapshot_to_json
from durable_fsm.core.model import (
    Cancel,
    Chart,
    Effect,
    Event,
    Failure,
    Json,
    Microstep,
    Origin,
    Running,
    Send,
    Snapshot,
    StartActivity,
    Status,
    StopActivity,
)
from durable_fsm.core.receipt import Receipt
from durable_fsm.core.step import active_in
from durable_fsm.core.turn import Turn
from durable_fsm.errors import EventRejected, NotStarted, TerminalError, locate
from durable_fsm.frontends import chart_from

__all__ = ["Rehearsal"]

Answer = Callable[[Any], object]  # Any: the data of whatever type the chart declares


class Rehearsal:
    """One machine of a chart, rehearsed.

        order = Rehearsal(Order)
        order.send("checkout", {"total_cents": 500})
        order.finish("charging", "receipt-1")
        assert order.configuration == ("paid",)

    Args:
        definition: whatever `chart_from` reads.
        key: the machine's key, as errors print it.
        answers: results of activities by id, as functions of the data; they are called as soon as the activity starts.
            What one raises is the activity's error. Other activities wait for `finish` or `fail`.

    Attributes:
        now: the clock; it starts at zero.
        trace: every microstep so far.
        effects: everything the machine has asked of the world so far.
    """

    def __init__(self, definition: object, *, key: str = "rehearsal", answers: Mapping[str, Answer] | None = None):
        self.chart: Chart = chart_from(definition)
        self.key = key
        self.now = timedelta(0)
        self.trace: list[Microstep] = []
        self.effects: list[Effect] = []
        self._answers = dict(answers or {})
        self._stored: str | None = None
        self._due: dict[str, timedelta] = {}
        self._turns = 0
        self._held: tuple[Turn, StartActivity] | None = None
        self._started: list[StartActivity] = []

    # ── what a test does ──────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, data: object = None) -> Receipt:
        """Create the machine with this data; raises what the host answers."""
        text = canonical(plain(data)) if data not in (None, {}) else ""

        def act(turn: Turn) -> str:
            return "created" if turn.create(plain(data), life=self._life(), created_from=text) else "exists"

        return self._turn("create", act)

    def send(self, event: str, payload: object = None) -> Receipt:
        """Send an event from outside; raises what the host answers."""
        name = str(event)

        def act(turn: Turn) -> str:
            turn.autostart(life=self._life())
            return turn.take(Event(name, plain(payload))).value

        return self._turn(name, act)

    def advance(self, by: timedelta) -> None:
        """Move the clock; deliver every timer that falls due, in order.

        Timers armed by a delivered one count too, if they fall due before the deadline. Never waits in real time.
        """
        deadline = self.now + by
        while (token := self._next_due(deadline)) is not None:
            self.now = max(self.now, self._due.pop(token))
            self._deliver(Event("timer", origin=Origin.PLATFORM, token=token))
        self.now = deadline

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
    def snapshot(self) -> Snapshot:
        """The machine as it is stored."""
        if self._stored is None:
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
    def running(self) -> tuple[str, ...]:
        """Ids of the activities whose outcome is awaited."""
        return tuple(running.id for running in self.snapshot.activities)

    @property
    def timers(self) -> dict[str, timedelta]:
        """Events that will come by themselves and how long that takes from now; deadlines of activities left out."""
        own = [timer for timer in self.snapshot.timers if timer.activity is None]
        return {timer.event: self._due[timer.token] - self.now for timer in own}

    def stable_id(self, activity: str) -> str:
        """The idempotency key that this run of the activity uses."""
        running = self._running(activity)
        return f"{self.chart.name}/{self.key}/{self.snapshot.life}/{activity}/{running.entry}"

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _turn(self, event: str, act: Callable[[Turn], str]) -> Receipt:
        if self._held is not None:
            holder = self._held[1].id
            reason = f"Activity '{holder}' holds the machine: finish or fail it first."
            raise EventRejected(
                chart=self.chart.name,
                key=self.key,
                event=event,
                configuration=self.snapshot.configuration,
                accepted=(),
                reason=reason,
            )
        self._turns += 1
        turn = Turn(self.chart, None if self._stored is None else self.snapshot, seed=f"{self.key}/{self._turns}")
        with locate(self.key):
            outcome = act(turn)
            self._run_on(turn)
        receipt = self._receipt(event, outcome, turn)
        self._give_answers()
        return receipt

    def _receipt(self, event: str, outcome: str, turn: Turn) -> Receipt:
        return Receipt.of(self.chart, self.key, self.snapshot, event=event, outcome=outcome, reply=turn.reply)

    def _run_on(self, turn: Turn) -> None:
        """Drain the turn; an exclusive activity without an answer holds it until the test gives one."""
        while (call := turn.next_call()) is not None:
            self._save(turn)
            self.effects.append(call)
            if call.id not in self._answers:
                self._held = (turn, call)
                return
            turn.deliver(self._answered(call))
        self._save(turn)
        if turn.parked:
            raise AssertionError(f"{self.chart.name}/{self.key}: parked for ever in a rehearsal: {turn.parked}")

    def _save(self, turn: Turn) -> None:
        self._stored = canonical(snapshot_to_json(turn.machine))
        turn.saved()
        self.trace.extend(turn.trace)
        turn.trace.clear()
        for effect in turn.take_effects():
            self.effects.append(effect)
            match effect:
                case Send():
                    self._due[effect.token] = self.now + effect.after
                case Cancel():
                    self._due.pop(effect.token, None)
                case StartActivity():
                    self._started.append(effect)
                case StopActivity():
                    self._started = [start for start in self._started if start.token != effect.token]
                case _:
                    pass

    def _give_answers(self) -> None:
        while answered := next((start for start in self._started if start.id in self._answers), None):
            self._started.remove(answered)
            self._deliver(self._answered(answered))

    def _answered(self, start: StartActivity) -> Event:
        data = self.chart.data.load(self.snapshot.data)
        try:
            result = plain(self._answers[start.id](data))
        except Exception as error:  # noqa: BLE001 - the test's stand-in may raise anything; it is the activity's error
            message = error.message if isinstance(error, TerminalError) else str(error)
            failure = Failure(type(error).__name__, message, getattr(error, "code", None))
            return Event(f"error.invoke.{start.id}", failure, Origin.PLATFORM, token=start.token)
        return Event(f"done.invoke.{start.id}", result, Origin.PLATFORM, token=start.token)

    def _outcome(self, activity: str, event: Event) -> Receipt:
        event = Event(event.name, event.payload, event.origin, token=self._running(activity).token)
        if self._held is None or self._held[1].id != activity:
            return self._deliver(event)
        turn, self._held = self._held[0], None
        with locate(self.key):
            outcome = str(turn.deliver(event))
            self._run_on(turn)
        receipt = self._receipt(event.name, outcome, turn)
        self._give_answers()
        return receipt

    def _deliver(self, event: Event) -> Receipt:
        return self._turn(event.name, lambda turn: str(turn.deliver(event)))

    def _running(self, activity: str) -> Running:
        for running in self.snapshot.activities:
            if running.id == activity:
                return running
        names = ", ".join(self.running) or "none"
        raise LookupError(f"{self.chart.name}/{self.key}: activity '{activity}' is not running; running: {names}")

    def _next_due(self, deadline: timedelta) -> str | None:
        due = [(when, place, token) for place, (token, when) in enumerate(self._due.items()) if when <= deadline]
        return min(due)[2] if due else None

    def _life(self) -> str:
        return "rehearsed"
