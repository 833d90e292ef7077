"""The machine behind a rehearsal: it runs turns as the host does, and carries messages between machines itself."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from durable_fsm.core.address import child_key, is_address, parted
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
from durable_fsm.core.events import Event, Failure, Letter, Origin
from durable_fsm.core.limits import GRANTED
from durable_fsm.core.messages import ChildEnd, Message, Parent, Returned, route
from durable_fsm.core.program import index_of
from durable_fsm.core.receipt import Receipt
from durable_fsm.core.snapshot import PendingSend, Running, Snapshot, Status, Stopping
from durable_fsm.core.step import end_of_life
from durable_fsm.core.turn import Turn, not_started
from durable_fsm.core.upgrade import upgrade
from durable_fsm.core.values import Json, changed
from durable_fsm.errors import ActionError, DurableFSMError, EventRejected, Gone, locate, quoted
from durable_fsm.testing.rehearsal import taken
from durable_fsm.testing.rehearsal.answers import AnswerFunction, Answers
from durable_fsm.testing.rehearsal.slots import LimitedRun
from durable_fsm.testing.rehearsal.world import World


class RehearsedMachine:
    """One machine, as it is stored between turns, and what it asked of the world.

    Attributes:
        stored: The snapshot as JSON; None before the machine exists.
        trace: Every microstep so far.
        caught: Every exception of a callback that became `error.execution` so far.
        effects: Every effect so far.
        posted: Messages to machines that are not rehearsed.
        due: When each timer falls due, and the number of its arming, by token.
        children: The machines that this one started, by token.
    """

    def __init__(
        self,
        chart: Chart,
        key: str,
        world: World[RehearsedMachine],
        answers: Mapping[str, AnswerFunction],
        services: Mapping[str, object],
        *,
        life: str = "rehearsed",
        parent: Parent | None = None,
    ) -> None:
        self.chart = chart
        self.key = key
        self.world = world
        self.life = self._first_life = life
        self._lives = 1
        self.stored: str | None = None
        self.trace: list[Microstep] = []
        self.caught: list[ActionError] = []
        self.effects: list[Effect] = []
        self.posted: list[Post] = []
        self.due: dict[str, tuple[timedelta, int]] = {}
        self.children: dict[str, RehearsedMachine] = {}
        self._answers = Answers(chart, key, answers, services)
        self._parent = parent
        self._turns = 0
        self._gone = False
        # An exclusive activity without an answer holds the machine; what arrives meanwhile waits.
        self._held: tuple[Turn, StartActivity] | None = None
        self._waiting: deque[Callable[[], None]] = deque()
        self._entering: set[str] = set()  # runs whose slot the machine has not heard of yet
        world.machines.append(self)

    @property
    def snapshot(self) -> Snapshot:
        """The machine as it is stored."""
        if self.stored is None:
            self._refuse_gone()
            with locate(self.key):
                raise not_started(self.chart)
        return snapshot_from_json(self.chart, json.loads(self.stored))

    def restore(self, record: Mapping[str, Any]) -> None:
        """Begin with a machine that a deployment stored, perhaps of an older version."""
        with locate(self.key):
            self.chart, machine, upgraded = upgrade(self.chart, snapshot_from_json(self.chart, plain(record)))
        self._answers.chart = self.chart
        self.stored = canonical(snapshot_to_json(machine))
        for timer in machine.timers:
            self._arm(timer)

        def act(turn: Turn) -> str:
            if upgraded is not None:
                turn.migrate(upgraded)
            turn.begin()
            return "taken"

        self.turn("migrated", act)

    # ── turns ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def turn(self, event: str, act: Callable[[Turn], str]) -> Receipt:
        """Load the machine, let *act* change it, drain and save it; then deliver what follows."""
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
        turn = Turn(self.chart, None if self.stored is None else self.snapshot, seed=f"{self.key}/{self._turns}")
        return self._finish_turn(turn, event, act)

    def deliver(self, event: Event) -> Receipt:
        """Deliver a timer or an outcome; the timer that ends the machine's life deletes it."""
        machine = self.snapshot
        if (end := end_of_life(self.chart, machine, event.token)) is not None:
            self.stored, self._gone = None, not end.free
            self._keep_slots()
            self._lives += 1
            self.life = f"{self._first_life}-{self._lives}"  # nothing of this life may touch the next one
            return Receipt.of(self.chart, self.key, machine, event="delete", outcome="deleted", reply=None)
        return self.turn(event.name, lambda turn: str(turn.deliver(event)))

    def ring(self, token: str, due: timedelta) -> None:
        """Deliver the timer with this token, or keep it while an activity holds the machine, as Restate does."""
        if self._held is not None:
            self._waiting.append(partial(self.ring, token, due))
            return
        self.deliver(self._rung(token, due))

    def ring_now(self, event: str, place: int) -> Receipt:
        """Deliver a timer before it is its turn; the clock moves to the moment at which it is due."""
        timers = [timer for timer in self.snapshot.timers if timer.event == event]
        if not 0 <= place < len(timers):
            names = ", ".join(timer.event for timer in self.snapshot.timers) or "none"
            raise LookupError(f"{self.chart.name}/{self.key}: timer '{event}' is not armed; armed: {names}")
        token = timers[place].token
        due = self.due.pop(token)[0]
        self.world.now = max(self.world.now, due)
        return self.deliver(self._rung(token, due))

    def _rung(self, token: str, due: timedelta) -> Event:
        began, now = self.world.began, self.world.now
        return Event("timer", origin=Origin.PLATFORM, token=token, due=began + due, came=began + now)

    def lose(self, activity: str) -> Receipt:
        """Forget the turn that an exclusive activity holds; the next turn finds that it is lost."""
        if self._held is None or self._held[1].id != activity:
            holder = f"'{self._held[1].id}' does" if self._held is not None else "none does"
            place = f"{self.chart.name}/{self.key}"
            raise LookupError(f"{place}: activity '{activity}' does not hold the machine; {holder}")
        self._held = None

        def act(turn: Turn) -> str:
            turn.begin()
            return "taken"

        return self.turn(f"error.invoke.{activity}", act)

    def end_activity(self, event: Event) -> Receipt:
        """Deliver the outcome of an activity; that of the exclusive one lets its turn continue."""
        if self._held is None or self._held[1].token != event.token:
            return self.deliver(event)
        turn, self._held = self._held[0], None
        return self._finish_turn(turn, event.name, lambda turn: str(turn.deliver(event)))

    def _finish_turn(self, turn: Turn, event: str, act: Callable[[Turn], str]) -> Receipt:
        turn.time = self.world.began + self.world.now if self.chart.reads_clock else None
        with locate(self.key):
            outcome = act(turn)
            self.chart = self._answers.chart = turn.chart
            self._drain(turn)
        receipt = Receipt.of(self.chart, self.key, self.snapshot, event=event, outcome=outcome, reply=turn.reply)
        if self._held is None:
            self.world.post.extend(self._waiting)
            self._waiting.clear()
        self._answer()
        self._keep_slots()
        self.world.settle()
        return receipt

    def _answer(self) -> None:
        """Deliver the outcomes of the activities that have answers, and do not wait for a slot."""
        while (start := self._answers.take(self._may_end)) is not None:
            self.deliver(self._answers.outcome(start, self.snapshot))

    def _drain(self, turn: Turn) -> None:
        while (call := turn.next_call()) is not None:
            self._save(turn)
            self.effects.append(call)
            self._ask_for_slot(call)
            if not self._answers.has(call) or not self._may_end(call.token):
                self._held = (turn, call)
                return
            turn.deliver(self._answers.outcome(call, self.snapshot))
        self._save(turn)
        if turn.parked:
            names = quoted(parked.event.name for parked in turn.parked)
            raise AssertionError(f"{names} would be parked until a deployment fixes this: {turn.parked[-1].error}")
        self._tell_parent()

    def _save(self, turn: Turn) -> None:
        self.stored = canonical(snapshot_to_json(turn.machine))
        turn.saved()
        self.trace.extend(turn.trace)
        if taken.listeners:
            taken.tell(self.chart, turn.trace)
        turn.trace.clear()
        self.caught.extend(turn.caught)
        turn.caught.clear()
        for effect in turn.take_effects():
            self.effects.append(effect)
            self._perform(effect)
        bounced, turn.bounced = turn.bounced, []
        for letter, error in bounced:
            if (sender := self.world.find(letter.chart, letter.key)) is not None:
                sender._take_back(letter, error)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Send():
                self._arm(effect)
            case Cancel():
                self.due.pop(effect.token, None)
            case StartActivity():
                self._answers.remember(effect)
                self._ask_for_slot(effect)
            case StopActivity():
                self._stop_activity(effect.token)
            case StartMachine():
                self._start_child(effect)
            case StopMachine():
                self.children.pop(effect.token).stop()
            case Post():
                self._send(effect)
            case _:
                pass

    # ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _ask_for_slot(self, start: StartActivity) -> None:
        run = LimitedRun.of(self.chart, start, self, lambda: self.world.post.append(partial(self._granted, start)))
        if run is not None:
            if not start.exclusive:
                self._entering.add(start.token)
            self.world.slots.ask(run)

    def _may_end(self, token: str) -> bool:
        """Whether a run is under way: it does not wait for a slot, and the machine knows that."""
        return token not in self._entering and self.world.slots.awaited(self, token) is None

    def _keep_slots(self) -> None:
        """Give back the slots of the runs that have ended or were stopped."""
        machine = self.snapshot if self.stored is not None else None
        runs: list[Running | Stopping] = [*machine.activities, *machine.stopping] if machine is not None else []
        self.world.slots.keep(self, {run.token for run in runs} | self._answers.detached)

    def _granted(self, start: StartActivity) -> None:
        """An activity has got its slot: the machine hears of it, and its answer is given."""
        if self._held is not None and self._held[1].token == start.token:
            if self._answers.has(start):
                self.end_activity(self._answers.outcome(start, self.snapshot))
        elif self._held is not None:
            self._waiting.append(partial(self._granted, start))
        elif self.stored is not None:
            self._entering.discard(start.token)
            hears = index_of(self.chart).hears_grant(start.id)
            if hears and any(running.token == start.token for running in self.snapshot.activities):
                self.deliver(Event(f"{GRANTED}{start.id}", origin=Origin.PLATFORM, token=start.token))
            self._answer()

    def _arm(self, timer: Send | PendingSend) -> None:
        self.due[timer.token] = self.world.due_at(timer.after, timer.at)

    def _stop_activity(self, token: str) -> None:
        """Tell the machine that an activity was cancelled, if an answer would have ended it."""
        for start in self._answers.stop(token):
            if any(stopping.token == token for stopping in self.snapshot.stopping):
                failure = Failure("cancelled", "the activity was cancelled.")
                end = Event(f"error.invoke.{start.id}", failure, Origin.PLATFORM, token=token)
                self.world.post.append(partial(self._deliver_later, end))

    def _deliver_later(self, event: Event) -> None:
        self.deliver(event)

    def _refuse_gone(self) -> None:
        if self._gone:
            raise Gone(chart=self.chart.name, key=self.key)

    def _name_of(self, start: StartActivity) -> str:
        """The activity whose outcome the test gives. One that undoes runs under a name of its own."""
        return next((one.id for one in self.snapshot.activities if one.token == start.token), start.id)

    def awaited(self, activity: str, *, late: bool = False) -> Running | Stopping:
        """The run of an activity whose outcome the machine awaits; with *late*, one that was stopped.

        Raises:
            LookupError: The machine awaits none of this id, or cannot take it yet.
        """
        machine = self.snapshot
        awaited: list[Running | Stopping] = [*(() if late else machine.activities), *machine.stopping]
        place = f"{self.chart.name}/{self.key}"
        for running in awaited:
            if running.id == activity:
                if isinstance(running, Running) and running.waiting:
                    stopping = ", ".join(one.id for one in machine.stopping)
                    raise LookupError(f"{place}: activity '{activity}' waits for the end of: {stopping}")
                return running
        names = ", ".join(one.id for one in machine.activities) or "none"
        raise LookupError(f"{place}: activity '{activity}' is not running; running: {names}")

    # ── children and messages ─────────────────────────────────────────────────────────────────────────────────────────

    def _start_child(self, effect: StartMachine) -> None:
        link = Parent(self.chart.name, self.key, effect.token, effect.id)
        key = child_key(self.key, effect.id, effect.token)
        functions, services = self._answers.functions, self._answers.services
        child = RehearsedMachine(effect.chart, key, self.world, functions, services, life=effect.token, parent=link)
        self.children[effect.token] = child
        parent = self.snapshot.session

        def act(turn: Turn) -> str:
            turn.create(effect.data, life=effect.token, created_from="", parent=parent)
            return "created"

        def start() -> None:
            if effect.token not in self.children:
                return
            try:
                child.turn("create", act)
            except DurableFSMError as error:
                self.deliver(ChildEnd.lost(effect.chart.name, link, type(error).__name__, str(error)).for_receiver())

        self.world.post.append(start)

    def runs_child(self, id: str) -> bool:
        """Whether a child of this id runs."""
        return self.stored is not None and any(one.id == id and not one.ended for one in self.snapshot.machines)

    def end_child(self, id: str, name: str, outcome: Json | Failure) -> Receipt:
        """Let a child end, wherever it is."""
        token = next(one.token for one in self.snapshot.machines if one.id == id and not one.ended)
        self.children.pop(token).stop()
        event = Event(name, outcome, Origin.PLATFORM, token=token, invokeid=id)
        return self.turn(name, lambda turn: str(turn.deliver(event)))

    def stop(self) -> None:
        """Remove the machine and its children, and undo their completed work."""
        for child in self.children.values():
            child.stop()
        machine = self.snapshot if self.stored is not None else None
        for done in reversed(machine.undo) if machine is not None and machine.status is not Status.DONE else ():
            start = StartActivity(f"{done.token}.undo", done.id, done.entry, exclusive=True, undo=done)
            if machine is not None and self._answers.has(start):
                self._answers.outcome(start, machine)
        self.children.clear()
        self.world.machines.remove(self)
        self.world.slots.keep(self, ())
        self._parent = None

    def _send(self, effect: Post) -> None:
        """Send a message; record it if its receiver is not rehearsed."""
        machine = self.snapshot
        found = route(effect, machine, self.key, {child.token: child for child in machine.machines}, self._parent)
        receiver = self.world.find(found.chart, found.key) if found is not None else None
        if found is not None and receiver is not None:
            self.world.post.append(partial(receiver._take_message, found.message, self))
        elif is_address(effect.to):
            self.posted.append(effect)

    def _take_message(self, message: Message, sender: RehearsedMachine) -> None:
        """Process a message from another machine; if it is refused, tell the sender."""
        if self._held is not None:
            self._waiting.append(partial(self._take_message, message, sender))
            return
        if message.family and not self._runs():
            return

        def act(turn: Turn) -> str:
            if not message.family:
                turn.autostart(life=self.life)
            return turn.take(message.for_receiver()).value

        try:
            self.turn(message.event, act)
        except DurableFSMError as error:
            sender._take_back(message.letter, error)

    def hear(self, event: str, payload: Json, sender: str) -> Receipt:
        """Process a message of a machine that is not rehearsed, of the parent, or of a child."""
        message = Message(event, payload, family=not is_address(sender), chart=self.chart.name, key=self.key)
        if not message.family:
            chart, key = parted(sender)
            message = changed(message, chart=chart, key=key)
        elif sender != PARENT:
            running = self.snapshot.machines
            child = next((one for one in running if one.id == sender and not one.ended), None)
            if child is None:
                names = ", ".join(one.id for one in running if not one.ended) or "none"
                raise LookupError(f"{self.chart.name}/{self.key}: child '{sender}' is not running; running: {names}")
            message = changed(message, token=child.token)

        def act(turn: Turn) -> str:
            if not message.family:
                turn.autostart(life=self.life)
            return turn.take(message.for_receiver()).value

        return self.turn(event, act)

    def _take_back(self, letter: Letter, error: DurableFSMError) -> None:
        """Hear that a message of this machine was refused, if its chart listens."""
        came_back = Returned.of(letter, type(error).__name__, str(error)).for_receiver(self.chart)
        if came_back is not None and letter.life == self.life:
            self.world.post.append(partial(self._take_news, came_back))

    def bounce(self, event: str, place: int) -> Receipt:
        """Hear that a message to a machine that is not rehearsed was refused."""
        posted = [one for one in self.posted if one.event == event]
        at = f"{self.chart.name}/{self.key}"
        if not 0 <= place < len(posted):
            names = ", ".join(one.event for one in self.posted) or "none"
            raise LookupError(f"{at}: no message '{event}' was sent; sent: {names}")
        sent = posted[place]
        letter = Letter(self.chart.name, self.key, self.life, sent.event, sent.to, sent.sendid)
        news = Returned.of(letter, "EventRejected", f"event '{event}' was refused.").for_receiver(self.chart)
        if news is None:
            raise LookupError(f"{at}: no transition handles a message that comes back; add error_communication")
        self.posted.remove(sent)
        return self.turn(news.name, lambda turn: str(turn.deliver(news)))

    def _take_news(self, event: Event) -> None:
        """Take the end of a child, or a message that came back; a machine that ended needs neither."""
        if self._held is not None:
            self._waiting.append(partial(self._take_news, event))
        elif self._runs():
            self.turn(event.name, lambda turn: str(turn.deliver(event)))

    def _runs(self) -> bool:
        there = self in self.world.machines and self.stored is not None
        return there and self.snapshot.status is Status.RUNNING

    def _tell_parent(self) -> None:
        """Tell the parent, once, that this machine ended."""
        parent, machine = self._parent, self.snapshot
        if parent is None or machine.status is Status.RUNNING:
            return
        self._parent = None
        receiver = self.world.find(parent.chart, parent.key)
        if receiver is not None:
            self.world.post.append(partial(receiver._take_news, ChildEnd.of(machine, parent).for_receiver()))
