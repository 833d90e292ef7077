"""`Rehearsal`: what a test does with a machine in memory, and what it looks at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from durable_fsm.core.activity import stable_id
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical, plain
from durable_fsm.core.effects import Effect, Microstep, Post
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.queries import answer_of
from durable_fsm.core.receipt import Receipt
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.sources import Incoming
from durable_fsm.core.step import active_in
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import Json
from durable_fsm.errors import ActionError
from durable_fsm.frontends import chart_from
from durable_fsm.testing.rehearsal.answers import AnswerFunction
from durable_fsm.testing.rehearsal.machine import RehearsedMachine
from durable_fsm.testing.rehearsal.world import World

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Rehearsal:
    """One machine in memory.

        order = Rehearsal(Order)
        order.send("checkout", {"total_cents": 500})
        order.finish("charging", "receipt-1")
        assert order.configuration == ("paid",)

    The machines that the chart runs as its children are rehearsed too, on the same clock: see `machines`.

    Args:
        definition: A definition that `chart_from` reads.
        key: The machine's key, as errors print it.
        began: The instant at which the clock starts. Timers that are set to an instant count from it.
        snapshot: A machine that a deployment stored, perhaps of an older version: the JSON text under the K/V key
            `snapshot`, or the value of that text. It is migrated at once. Its timers count from now.
        answers: Results of activities by id, as functions of the activity's argument: the data, its `input`, or the
            payload that detached work was started with. An activity with an answer ends as soon as it starts. An error
            that the function raises is the activity's error. The items of a fan-out are answered one by one, in order,
            until their outcomes decide. Every other activity waits for `finish` or `fail`. An undo function is
            answered by its name. Its argument is the result of the activity, or the activity's stable id if there is
            no result yet.
        services: Fakes of the services that activities request by name, see `app`. If all services of an activity are
            given, and it has no answer, the rehearsal runs the activity itself: each step once, without waiting.
        beside: Another rehearsal. The two share a clock, and their machines exchange messages.
    """

    def __init__(
        self,
        definition: object,
        *,
        key: str = "rehearsal",
        began: datetime = EPOCH,
        snapshot: str | Mapping[str, Any] | None = None,
        answers: Mapping[str, AnswerFunction] | None = None,
        services: Mapping[str, object] | None = None,
        beside: Rehearsal | None = None,
    ) -> None:
        world = World[RehearsedMachine](began) if beside is None else beside._machine.world
        self._machine: RehearsedMachine = RehearsedMachine(
            chart_from(definition), key, world, answers or {}, services or {}
        )
        if snapshot is not None:
            self._machine.restore(json.loads(snapshot) if isinstance(snapshot, str) else snapshot)

    @classmethod
    def _of(cls, machine: RehearsedMachine) -> Rehearsal:
        rehearsal = cls.__new__(cls)
        rehearsal._machine = machine
        return rehearsal

    # ── what a test does ──────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, data: object = None) -> Receipt:
        """Create the machine with this data; raise the error that the host answers."""
        text = canonical(plain(data)) if data not in (None, {}) else ""
        life = self._machine.life

        def act(turn: Turn) -> str:
            return "created" if turn.create(plain(data), life=life, created_from=text) else "exists"

        return self._machine.turn("create", act)

    def send(self, event: str, payload: object = None) -> Receipt:
        """Send an event from outside; raise the error that the host answers."""
        return self._take(Event(str(event), plain(payload)))

    def ask(self, query: str) -> Any:  # Any: the JSON that the author's function makes
        """Ask a query of the machine, which need not exist yet; raise the error that the host answers."""
        chart = self._machine.chart
        machine = None if self._machine.stored is None else self._machine.snapshot
        return answer_of(chart, query, chart.hosting.queries[query], machine)

    def receive(self, incoming: Incoming) -> Receipt:
        """Process an event as its decoder made it of a record or a request; raise the error with which it is rejected.

        The key that the decoder returned is ignored: this is its machine.
        """
        hosting = self._machine.chart.hosting
        named = (*(topic.events for topic in hosting.sources), *(webhook.events for webhook in hosting.webhooks))
        is_named = any(incoming.event in events for events in named)
        return self._take(
            Event(incoming.event, plain(incoming.payload), Origin.SOURCE if is_named else Origin.EXTERNAL)
        )

    def _take(self, event: Event) -> Receipt:
        def act(turn: Turn) -> str:
            turn.autostart(life=self._machine.life)
            return turn.take(event).value

        return self._machine.turn(event.name, act)

    def hear(self, event: str, payload: object = None, *, sender: str = "#_parent") -> Receipt:
        """Process an event that another machine sends; raise the error with which it is refused.

        Args:
            sender: `#_parent`, the id of a child that runs, or the address of any machine: `Account/a-1`.

        Raises:
            LookupError: The machine runs no child of this id.
        """
        return self._machine.hear(str(event), plain(payload), sender)

    def advance(self, by: timedelta) -> None:
        """Move the clock; deliver every timer that falls due, in order.

        Timers that start meanwhile count too, if they fall due before the end. Never waits in real time.
        """
        self._machine.world.advance(by)

    def ring(self, event: str, place: int = 0) -> Receipt:
        """Deliver a timer now, before all others: after an outage, timers arrive in any order.

        The clock moves to the time at which it is due, and no other timer is delivered meanwhile. The deadline of an
        activity is called `error.invoke.<id>`.

        Args:
            place: Which of several timers of the same event, in the order in which they started.

        Raises:
            LookupError: There is no such timer.
        """
        return self._machine.ring_now(event, place)

    def lose(self, activity: str) -> Receipt:
        """Lose the exclusive activity that holds the machine, as when its invocation is killed.

        Raises:
            LookupError: No exclusive activity of this id holds the machine.
        """
        return self._machine.lose(activity)

    def bounce(self, event: str, place: int = 0) -> Receipt:
        """Return a message that was sent to a machine that is not rehearsed, as if its receiver had refused it.

        Args:
            event: The event that was sent; see `posted`.
            place: Which of several messages of this event, in the order in which they were sent.

        Raises:
            LookupError: There is no such message, or the chart has no transition for messages that come back.
        """
        return self._machine.bounce(event, place)

    def finish(self, activity: str, result: object = None, *, late: bool = False) -> Receipt:
        """Let a running activity succeed with this result; one that waits for a slot of its limit cannot.

        Args:
            activity: Its id, or that of a child machine, which ends with this output wherever it is.
            result: Its result.
            late: The activity was stopped before; another run of it may be under way.
        """
        if self._machine.runs_child(activity):
            return self._machine.end_child(activity, f"done.invoke.{activity}", plain(result))
        token = self._machine.awaited(activity, late=late).token
        if (limit := self._machine.world.slots.awaited(self._machine, token)) is not None:
            place = f"{self.chart.name}/{self.key}"
            raise LookupError(f"{place}: activity '{activity}' waits for a slot of limit '{limit}'")
        return self._end(activity, f"done.invoke.{activity}", plain(result), late=late)

    def fail(
        self,
        activity: str,
        message: str = "",
        *,
        type: str = "TerminalError",
        code: int | None = None,
        late: bool = False,
    ) -> Receipt:
        """Let a running activity, or a child machine, fail without further attempts; *late* as for `finish`."""
        failure = Failure(type, message or f"activity '{activity}' failed", code)
        if self._machine.runs_child(activity):
            return self._machine.end_child(activity, f"error.invoke.{activity}", failure)
        return self._end(activity, f"error.invoke.{activity}", failure, late=late)

    def _end(self, activity: str, name: str, payload: Json | Failure, *, late: bool) -> Receipt:
        token = self._machine.awaited(activity, late=late).token
        return self._machine.end_activity(Event(name, payload, Origin.PLATFORM, token=token))

    # ── what a test looks at ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def chart(self) -> Chart:
        """The chart of the machine."""
        return self._machine.chart

    @property
    def key(self) -> str:
        """The key of the machine."""
        return self._machine.key

    @property
    def now(self) -> timedelta:
        """The clock of all machines of this rehearsal; it starts at zero."""
        return self._machine.world.now

    @property
    def snapshot(self) -> Snapshot:
        """The machine as it is stored."""
        return self._machine.snapshot

    @property
    def stored(self) -> str | None:
        """The JSON that a deployment would store, and that `snapshot=` accepts; None before the machine exists."""
        return self._machine.stored

    @property
    def configuration(self) -> tuple[str, ...]:
        """Ids of all active states in document order."""
        return active_in(self.chart, self.snapshot)

    @property
    def leaves(self) -> tuple[str, ...]:
        """Ids of the innermost active states in document order, as `snapshot` of a server has them."""
        return self.snapshot.configuration

    @property
    def data(self) -> Any:  # Any: of the type the chart declares
        """A copy of the machine's data."""
        return self.chart.data.load(self.snapshot.data)

    @property
    def status(self) -> Status:
        """Whether the machine runs, is done, or failed."""
        return self.snapshot.status

    @property
    def output(self) -> Json:
        """The output of the final state, or of the state that answers the workflow."""
        return (self.snapshot.answer or self.snapshot).output

    @property
    def failure(self) -> Failure | None:
        """Why the machine failed, or the failure that its final state declares, or the state that answers the workflow."""
        return (self.snapshot.answer or self.snapshot).failure

    @property
    def running(self) -> tuple[str, ...]:
        """Ids of the activities whose outcome the machine awaits."""
        return tuple(running.id for running in self.snapshot.activities)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Ids of the activities that wait for a slot of their limit. Rehearsals beside each other share the slots."""
        slots, machine = self._machine.world.slots, self._machine
        return tuple(one.id for one in self.snapshot.activities if slots.awaited(machine, one.token) is not None)

    @property
    def undo(self) -> tuple[str, ...]:
        """Ids of the activities that can be undone, the latest last."""
        return tuple(done.id for done in self.snapshot.undo)

    @property
    def stopping(self) -> tuple[str, ...]:
        """Ids of the activities that were stopped and have not ended yet; `finish` or `fail` ends them."""
        return tuple(stopping.id for stopping in self.snapshot.stopping)

    @property
    def timers(self) -> dict[str, timedelta]:
        """Events that arrive by a timer, and the time until then; without the timeouts of activities."""
        own = [timer for timer in self.snapshot.timers if timer.activity is None]
        return {timer.event: self.due[timer.token][0] - self.now for timer in own}

    @property
    def due(self) -> dict[str, tuple[timedelta, int]]:
        """When each timer falls due, and the number of its arming, by token."""
        return self._machine.due

    @property
    def trace(self) -> list[Microstep]:
        """Every microstep so far."""
        return self._machine.trace

    @property
    def caught(self) -> list[ActionError]:
        """Every exception of a callback that became `error.execution` so far, handled or not."""
        return self._machine.caught

    @property
    def effects(self) -> list[Effect]:
        """Every effect so far."""
        return self._machine.effects

    @property
    def posted(self) -> list[Post]:
        """Messages to machines that are not rehearsed."""
        return self._machine.posted

    @property
    def machines(self) -> Mapping[str, Rehearsal]:
        """The children that run now, by id, as rehearsals."""
        running = self.snapshot.machines if self.stored is not None else ()
        return {child.id: self._of(self._machine.children[child.token]) for child in running if not child.ended}

    def stable_id(self, activity: str) -> str:
        """The idempotency key that this run of the activity uses."""
        machine, running = self.snapshot, self._machine.awaited(activity)
        for done in machine.undo:
            if done.undoing == running.token:
                return f"{stable_id(self.chart.name, self.key, machine.life, done)}/undo"
        return stable_id(self.chart.name, self.key, machine.life, running)
