"""A turn: the decisions of one exclusive invocation. The host acts on them.

The turn takes the caller's event first. Then it drains what follows: outcomes of exclusive activities and events that the
machine sent itself without delay, in order, and then deferred events that can be processed now. Each is a macrostep of its
own. The host drives the turn: it calls the exclusive activity that `next_call` returns, saves `snapshot`, performs
`take_effects()`, and answers the caller.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from durable_fsm.core.chart import Chart
from durable_fsm.core.deliveries import recorded_failure, recorded_name
from durable_fsm.core.effects import (
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
from durable_fsm.core.events import Event, Failure, Letter, Origin
from durable_fsm.core.index import Stance
from durable_fsm.core.limits import GRANTED
from durable_fsm.core.program import index_of
from durable_fsm.core.saga import undone_between
from durable_fsm.core.scope import NOW
from durable_fsm.core.snapshot import Deferred, Running, Snapshot, Status
from durable_fsm.core.step import chart_for, defer, dropped, expired, limits_of, recall, refusal, start, step
from durable_fsm.core.upgrade import Upgrade, settle
from durable_fsm.core.values import Json, Misfit, TypeRaised, changed
from durable_fsm.core.working import not_loaded
from durable_fsm.errors import ActionError, AlreadyStarted, DeferredTooLong, DurableFSMError, NotStarted

DRAINED = 1_000
"""After this many drained events the rest travel as ordinary sends, so that a turn always ends."""


class Taken(NamedTuple):
    """One change of the machine, for its history.

    Attributes:
        seq: of the snapshot that it led to.
        outcome: `deferred` where the event was kept, `rejected` where a deferred one could not be processed after all,
            `parked` where a delivery failed.
        token: of the deferred event that was processed or dropped; empty for others.
        error: why it was dropped or parked.
        note: other facts: who repaired the machine, and why.
        configuration: the leaves that were active afterwards.
        failure: the outcome that was processed, if it is one.
        caught: exceptions of callbacks that became `error.execution`.
        took: the event itself; None for a deferred one that was dropped.
        data: the machine's data afterwards.
    """

    seq: int
    event: str
    outcome: str
    trace: tuple[Microstep, ...] = ()
    reply: Json = None
    token: str = ""
    error: DurableFSMError | None = None
    note: Json = None
    configuration: tuple[str, ...] = ()
    failure: Failure | None = None
    caught: tuple[ActionError, ...] = ()
    took: Event | None = None
    data: Json = None


class Parked(NamedTuple):
    """A delivery that could not be processed, and why."""

    event: Event
    error: DurableFSMError


class Bounced(NamedTuple):
    """A deferred message that was dropped, and why."""

    letter: Letter
    error: DurableFSMError


class Turn:
    """One exclusive invocation on one machine.

    Attributes:
        chart: that of the machine. As long as there is none, it may still be one among those that its machine can have.
        snapshot: the machine as it is now; None as long as there is none.
        trace: the microsteps taken so far.
        log: the changes of the machine so far, one a macrostep.
        reply: the last reply of any macrostep.
        caught: exceptions of callbacks that became `error.execution`, also those that no transition took.
        parked: deliveries that failed, and that the host must send again later: a new deployment may take them.
        paused: whether an operator has paused the machine: then it keeps events for later, and asks for none of them.
        bounced: deferred messages that were dropped, and whose senders the host must tell.
        time: what callbacks find in `event.at`; the host sets it again after each wait. None without `clock=True`.
    """

    def __init__(self, chart: Chart, snapshot: Snapshot | None, *, seed: str, now: datetime | None = None) -> None:
        self.chart = chart
        self.snapshot = snapshot
        self.trace: list[Microstep] = []
        self.log: list[Taken] = []
        self.reply: Json = None
        self.caught: list[ActionError] = []
        self.parked: list[Parked] = []
        self.bounced: list[Bounced] = []
        self.paused = False
        self.time = now
        self._loaded = snapshot
        self._seed = seed
        self._effects: list[Effect] = []
        self._pending: deque[Send | StartActivity] = deque()
        self._kept: set[str] = set()
        self._drained = 0
        self._asked: Snapshot | None = snapshot

    @property
    def changed(self) -> bool:
        """Whether there is anything to save that was not loaded or saved before."""
        return self.snapshot is not self._loaded

    @property
    def machine(self) -> Snapshot:
        """The snapshot, where there must be one."""
        if self.snapshot is None:
            raise not_started(self.chart)
        return self.snapshot

    def saved(self) -> None:
        """Tell the turn that its snapshot is stored."""
        self._loaded = self.snapshot

    def take_effects(self) -> list[Effect]:
        """The effects since the last call, without those that cancel each other out."""
        effects, self._effects = self._effects, []
        if not effects:
            return effects
        begun = {effect.token for effect in effects if isinstance(effect, Send | StartActivity | StartMachine)}
        ended = {effect.token for effect in effects if isinstance(effect, Cancel | StopActivity | StopMachine)}
        stopping = {stopping.token for stopping in self.snapshot.stopping} if self.snapshot else set[str]()
        void = (begun & ended - stopping) | self._kept
        return [
            effect
            for effect in effects
            if not isinstance(effect, Reply) and (effect.to if isinstance(effect, Post) else effect.token) not in void
        ]

    # ── what may happen in a turn ─────────────────────────────────────────────────────────────────────────────────────

    def migrate(self, upgrade: Upgrade) -> None:
        """Settle a machine that was upgraded from another version; raises MigrationError."""
        self.change(
            "migrated",
            lambda at: settle(self.chart, at, upgrade, seed=self._seed, now=self.time),
            note=upgrade.note,
            payload=upgrade.names,
        )

    def begin(self) -> None:
        """Fail the exclusive activity that an earlier turn left running: it was lost with that turn."""
        for running in self.snapshot.activities if self.snapshot else ():
            if self._is_lost(running):
                failure = Failure("lost", f"activity '{running.id}' was interrupted and did not answer.")
                self.deliver(Event(f"error.invoke.{running.id}", failure, Origin.PLATFORM, token=running.token))

    def create(self, data: Json, *, life: str, created_from: str, parent: str = "") -> bool:
        """Start the machine; False if it exists and was created from the same input.

        Raises:
            AlreadyStarted: it exists and was created from another input.
        """
        if self.snapshot is None:
            self.chart = chart_for(self.chart, data)
            begun = start(
                self.chart,
                data=data,
                life=life,
                seed=self._seed,
                now=self.time,
                created_from=created_from,
                parent=parent,
            )
            self._absorb("create", begun, Event("create", data, seed=self._seed, at=self.time))
            return True
        if self.snapshot.created_from != created_from:
            raise AlreadyStarted(chart=self.chart.name, configuration=self.snapshot.configuration)
        return False

    def autostart(self, *, life: str, data: Json = None) -> None:
        """Start a machine that was not created, if its chart allows that.

        Args:
            data: its defaults, if the host has drawn them.

        Raises:
            NotStarted: the chart wants `create` first, or its data has no defaults.
        """
        if self.snapshot is not None:
            return
        fault = None if self.chart.hosting.create_first else _fault_of_defaults(self.chart, data)
        if isinstance(fault, TypeRaised):
            raise not_loaded(self.chart, "create", "the data", self.chart.data, fault) from fault
        if self.chart.hosting.create_first or fault is not None:
            raise not_started(self.chart) from fault
        self.chart = chart_for(self.chart, data)
        begun = start(self.chart, data=data, life=life, seed=self._seed, now=self.time)
        self._absorb("create", begun, Event("create", data, Origin.PLATFORM, self._seed, self.time))

    def take(self, event: Event, *, note: Json = None) -> Outcome:
        """Take the caller's event, or keep it if the machine is paused; raises what `step` raises."""
        before = self.machine
        keeps = self.paused and event.origin is Origin.EXTERNAL
        taken = changed(event, seed=self._seed, at=self.time)
        result = (defer if keeps else step)(self.chart, before, taken)
        if result.snapshot.undo is not before.undo:
            note = note or undone_between(before, result.snapshot)
        if isinstance(event.payload, Failure) and event.payload.machine:
            note = note or {"machine": event.payload.machine}
        name = event.name if event.token is None else recorded_name(before, event)
        self._absorb(name, result, taken, note=note, failure=recorded_failure(before, event))
        return result.outcome

    def change(self, name: str, act: Callable[[Snapshot], Step], *, note: Json = None, payload: Json = None) -> None:
        """Change the machine by other means than an event; raises what *act* raises. The *payload* is for the history."""
        self._absorb(name, act(self.machine), Event(name, payload, Origin.PLATFORM, self._seed, self.time), note=note)

    def deliver(self, event: Event, *, note: Json = None, again: bool = False) -> Outcome | None:
        """Take a timer or an outcome. One that fails is parked, and does not fail the turn: None.

        The history says so, unless it is tried *again*: every failed try would be an entry.
        """
        if self.snapshot is None:
            return Outcome.STALE
        kept = expired(self.snapshot, event.token)
        if kept is not None:
            after = str(self.chart.hosting.defer_for)
            self._drop(kept, DeferredTooLong(chart=self.chart.name, event=kept.event, after=after))
            return Outcome.TAKEN
        try:
            return self.take(event, note=note)
        except DurableFSMError as error:
            self._park(event, error)
            if not again:
                machine = self.machine
                name, leaves = recorded_name(machine, event), machine.configuration
                told = Taken(machine.seq, name, "parked", error=error, note=note, configuration=leaves)
                self.log.append(told._replace(took=event, data=machine.data))
                self.snapshot = changed(machine)  # another value, so that it is saved with its history
            return None

    def next_call(self) -> StartActivity | None:
        """Drain what the turn has caused so far, up to an exclusive activity that the host must call now.

        None means the turn is over.
        """
        while self._pending or (not self.paused and self._recall()):
            if not self._pending:
                continue
            item = self._pending.popleft()
            if isinstance(item, StartActivity):
                if any(running.token == item.token for running in self.machine.activities):
                    return item
            elif self._drained >= DRAINED:
                self._kept.discard(item.token)
                self._effects.append(item)
            else:
                self._drained += 1
                self.deliver(Event(item.event, origin=Origin.PLATFORM, token=item.token))
        return None

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _is_lost(self, running: Running) -> bool:
        """Whether its outcome can never arrive. One with a deadline was begun in the background, by another build."""
        settled = running.parked or running.failed or running.waiting
        if settled or not self.chart.activities[running.id].exclusive:
            return False
        return all(timer.activity != running.token for timer in self.machine.timers)

    def _recall(self) -> bool:
        """Take the first deferred event that need not wait any longer; False if there is none.

        One that cannot be processed any more is dropped: its sender gets an error, and the turn continues.
        """
        machine = self.snapshot
        if machine is None or machine is self._asked or machine.status is Status.FAILED:
            return False
        for kept in machine.deferred:
            candidates, stances = index_of(self.chart).stances[machine.configuration, kept.event]
            if Stance.DEFER in stances and not any(candidates):
                continue
            try:
                seed = f"{self._seed}/{kept.token}"
                result = recall(self.chart, machine, kept, seed=seed, now=self.time)
            except DurableFSMError as error:
                self._effects += limits_of(machine, kept)
                self._drop(kept, error)
                return True
            if result.outcome is not Outcome.DEFERRED:
                took = Event(kept.event, kept.payload, seed=seed, at=self.time)
                self._absorb(kept.event, result, took, token=kept.token)
                return True
        self._asked = machine
        return False

    def _drop(self, kept: Deferred, error: DurableFSMError) -> None:
        """Forget a deferred event; its sender learns why."""
        self.snapshot = dropped(self.machine, kept)
        if kept.letter is not None:
            self.bounced.append(Bounced(kept.letter, error))
        told = Taken(self.snapshot.seq, kept.event, "rejected", token=kept.token, error=error)
        self.log.append(told._replace(configuration=self.snapshot.configuration, data=self.snapshot.data))

    def _absorb(
        self,
        event: str,
        result: Step,
        took: Event,
        token: str = "",
        note: Json = None,
        failure: Failure | None = None,
    ) -> None:
        reply: Json = None
        for effect in result.effects:
            match effect:
                case Reply():
                    reply = self.reply = effect.value
                case Send(after=after, at=None) if after == NOW:
                    self._keep(effect)
                case StartActivity(exclusive=True):
                    self._keep(effect)
                case _:
                    self._effects.append(effect)
        if result.snapshot is not self.snapshot:
            led_to, outcome = result.snapshot, result.outcome.value
            told = (led_to.seq, event, outcome, result.trace, reply, token, None, note, led_to.configuration, failure)
            self.log.append(Taken(*told, result.caught, took, led_to.data))
        self.snapshot = result.snapshot
        self.trace.extend(result.trace)
        self.caught.extend(result.caught)
        reasons = dict(result.refused)
        for kept in self.snapshot.deferred if reasons else ():
            if kept.token in reasons:
                self._effects += limits_of(self.snapshot, kept)
                self._drop(kept, refusal(self.chart, self.snapshot, kept, reasons[kept.token]))

    def _keep(self, effect: Send | StartActivity) -> None:
        self._kept.add(effect.token)
        self._pending.append(effect)

    def _park(self, event: Event, error: DurableFSMError) -> None:
        self.parked.append(Parked(event, error))
        if event.name.startswith(GRANTED):
            return  # the outcome is still to come
        machine = self.machine
        activities = tuple(
            changed(running, parked=True) if running.token == event.token else running for running in machine.activities
        )
        if activities != machine.activities:
            self.snapshot = changed(machine, activities=activities)


def not_started(chart: Chart) -> NotStarted:
    """The answer where no machine has a key, with the way to start one."""
    fault = None if chart.hosting.create_first else _fault_of_defaults(chart)
    if fault is not None:
        remedy = f"Start it with 'create': its data has no defaults ({fault.problem} at {fault.path})."
    elif chart.hosting.create_first:
        remedy = "Start it with 'create'."
    else:
        remedy = "Its first event starts it, or 'create'."
    return NotStarted(chart=chart.name, remedy=remedy)


def _fault_of_defaults(chart: Chart, drawn: Json = None) -> Misfit | None:
    """Why a machine cannot begin with the defaults of its data, of which some may have been *drawn* before."""
    try:
        chart.data.load({} if drawn is None else drawn)
    except Misfit as fault:
        return fault
    return None
