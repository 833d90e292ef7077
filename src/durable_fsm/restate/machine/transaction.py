"""One exclusive invocation's work on its machine: load, turn, save, perform, answer.

Restate runs one exclusive handler per key at a time, and journals what the handler does through its context. An attempt
may end anywhere: the process is killed, the connection breaks, the invocation is suspended. Restate then runs the handler
again from its beginning, and answers from the journal what the context is asked a second time. So the handler must do the
same again, in the same order:

    load      one `ctx.get` of the snapshot. Restate sends the state along with the request.
    turn      pure. `Turn` processes the event and what follows from it, and collects effects as values. No clock, no random
              number: ids derive from the invocation's own id, so that a replay finds the same ones.
    save      one `ctx.set` of the whole snapshot.
    perform   one-way sends, one for each effect. Outside work is never done here, but in a service of its own.
    answer    the receipt, as the handler's output.

Restate does not roll back. A value that was set stays set, even if the handler fails after that. Therefore:

- All that can be refused is refused before the first write: the event, a snapshot that is too long, a message that is too
  long. The error leaves the handler, and the machine is as it was.
- From the first write to the last send there is no `await`. Only at an `await` can an invocation be cancelled or
  suspended, so the snapshot and the sends that it claims go together.
- An exception between them is a mistake of ours. It must not become an answer, which would leave the writes without the
  sends: `ALL_OR_RETRY` has Restate run the handler again.

On a replay Restate compares the commands with the journal: their kind, their order, the names of keys and handlers. It
compares contents too, unless the endpoint has a codec, because time stamps differ (see `Settings.compare_payloads`).

An exclusive activity is the exception to the plan: it holds the key until it is done. The transaction saves, calls the
activity, awaits its outcome, and continues with the turn. If the invocation is killed meanwhile, the snapshot says that the
activity runs; the next transaction finds it there, and tells the machine that it was lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple

import restate
from restate import ObjectContext
from restate import TerminalError as RestateTerminalError
from restate.exceptions import RetryableError

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.effects import (
    Cancel,
    Effect,
    Outcome,
    Post,
    Reply,
    Send,
    StartActivity,
    StartMachine,
    StopActivity,
    StopMachine,
)
from durable_fsm.core.events import UNREACHABLE, Event
from durable_fsm.core.fields import entries_of
from durable_fsm.core.messages import Parent
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.step import admit
from durable_fsm.core.turn import Taken, Turn
from durable_fsm.core.values import Json, changed
from durable_fsm.restate.activities.detached import start_detached
from durable_fsm.restate.activities.failures import interrupted, is_cancellation, not_called
from durable_fsm.restate.activities.job import ActivityJob, handler_of, refuse_too_large, stop_job
from durable_fsm.restate.field_index import tell_index
from durable_fsm.restate.history import recorded, spill
from durable_fsm.restate.http.errors import PLATFORM_ERRORS
from durable_fsm.restate.http.requests import BYTES, receipt
from durable_fsm.restate.invocation_ids import SentInvocation
from durable_fsm.restate.machine.beginnings import life_of, refuse_childs_key
from durable_fsm.restate.machine.defaults import event_with_defaults, with_defaults
from durable_fsm.restate.machine.deliveries import keep_parked, park
from durable_fsm.restate.machine.handles import keep_handles
from durable_fsm.restate.machine.storage import Caller, StoredMachine
from durable_fsm.restate.machine.timing import begins_to_tick, decision_time, delay_of, due_of, next_tick
from durable_fsm.restate.machine.waiters import WaiterAnswer, Waiters, answer_waiters
from durable_fsm.restate.messages.children import ChildLinks
from durable_fsm.restate.messages.envelope import send_back
from durable_fsm.restate.names import Handler, StateKey, activities_name
from durable_fsm.restate.observability import report, tracing
from durable_fsm.restate.observability.logging import log
from durable_fsm.restate.settings import HostedChart
from durable_fsm.restate.stored.deliveries import Delivery, ParkedDelivery
from durable_fsm.restate.stored.history import FullPage
from durable_fsm.restate.stored.snapshot import tokens_of

Act = Callable[[Turn], Outcome | str]


class _AllOrRetry:
    """A block that writes state and sends: if it breaks in between, Restate runs the invocation again."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, PLATFORM_ERRORS):
            raise RetryableError(f"while saving: {error!r}") from error


ALL_OR_RETRY = _AllOrRetry()


class Changes(NamedTuple):
    """By token: what was sent or called and can be cancelled, what has ended, and what had to be parked."""

    sent: dict[str, SentInvocation]
    ended: set[str]
    parked: list[ParkedDelivery]


class Transaction:
    """One exclusive invocation and its machine.

    Attributes:
        hosted: the chart that the key belongs to, and the application.
        stored: what the key held, or holds since the last save.
        turn: what this invocation does to the machine.
        waiters: those who wait for it.
        on_their_way: parked deliveries whose next try is still to come: if they fail now, none is added.
    """

    def __init__(
        self, hosted: HostedChart, ctx: ObjectContext, stored: StoredMachine, waiters: Waiters | None, *, tries: int = 0
    ) -> None:
        self.hosted = hosted
        self.ctx = ctx
        self.key = ctx.key()
        self.stored = stored
        self.turn = Turn(stored.chart, stored.machine, seed=ctx.request().id)
        self.turn.paused = stored.paused is not None
        self._found = stored.machine
        self.on_their_way: dict[str, ParkedDelivery] = {}
        self._waiters = waiters
        self._began: datetime | None = None
        self._tries = tries
        self._logged = 0

    @classmethod
    async def load(
        cls, hosted: HostedChart, ctx: ObjectContext, *, tries: int = 0, by: Caller = Caller.PLATFORM
    ) -> Transaction:
        """Load the machine, if there is one; *tries* is how often the delivery was parked that the transaction takes.

        Raises:
            Paused: an operator has paused the machine, and this caller has to wait.
        """
        text = await ctx.get(StateKey.SNAPSHOT, serde=BYTES)
        stored = StoredMachine.decode(hosted.chart, text)
        stored.refuse_paused(by)
        if stored.machine is not None:  # a field of this build's may be missing from what an earlier one stored
            data = await with_defaults(ctx, stored.chart.data, stored.machine.data)
            if data is not stored.machine.data:
                stored = changed(stored, machine=changed(stored.machine, data=data))
        waiters = await Waiters.load(ctx, stored.chart) if stored.waited_for else None
        transaction = cls(hosted, ctx, stored, waiters, tries=tries)
        if stored.chart.reads_clock:
            transaction.turn.time = await decision_time(ctx, stored.chart)
        return transaction

    @property
    def chart(self) -> Chart:
        """The chart under which the machine lives: the newest, one that is kept for it, or one of its own."""
        return self.turn.chart

    @property
    def machine(self) -> Snapshot | None:
        """The machine as it was found, or as it was last saved."""
        return self.stored.machine

    @property
    def waiters(self) -> Waiters:
        if self._waiters is None:
            self._waiters = Waiters()
        return self._waiters

    @cached_property
    def links(self) -> ChildLinks:
        """The machines that this one runs, and the one that runs it."""
        return ChildLinks(self.hosted, self.chart, self.ctx, self._found)

    # ── turn ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def take(self, event: Event) -> bytes:
        """Process an event of a sender, which starts a machine that does not exist yet; answer with a receipt."""
        taken = await self.completed(event)
        return await self.run(event.name, lambda turn: turn.take(taken), autostart=taken)

    async def completed(self, event: Event) -> Event:
        """The event, with the defaults of its payload that are to be drawn once."""
        return await event_with_defaults(self.ctx, self.turn.chart, event)

    async def initial_data(self, given: Json) -> Json:
        """The data that a machine begins with, unless there is one; with the defaults that are to be drawn once."""
        if self.machine is not None:
            return given
        return await with_defaults(self.ctx, self.chart.data, {} if given is None else given)

    async def run(self, event: str, act: Act, *, autostart: Event | None = None) -> bytes:
        """Act, save, and answer with a receipt."""
        outcome = await self.act(act, autostart=autostart)
        answer = receipt(
            self.turn.chart, self.key, self.turn.machine, event=event, outcome=outcome, reply=self.turn.reply
        )
        if outcome in (Outcome.IGNORED, Outcome.STALE):
            report.unchanged(event, str(outcome))
        await self.commit()
        return answer

    async def act(self, act: Act, *, autostart: Event | None = None) -> Outcome | str:
        """Let the turn act and drain what follows; the caller commits. *autostart* may start the machine.

        Remains of earlier invocations are settled and saved first. That stays so, even if the event is refused.
        """
        turn = self.turn
        if turn.paused and autostart is not None and self.stored.upgrade is None:
            return act(turn)  # the event is only kept: whatever else there is to do has to wait, too
        # A machine in its own version that runs no activity has nothing to settle.
        if self.stored.upgrade is not None or (turn.snapshot is not None and turn.snapshot.activities):
            await self.settle()
        if autostart is not None and turn.snapshot is None:
            refuse_childs_key(self.chart, self.key)
            turn.autostart(life=life_of(self.ctx), data=await self.initial_data(None))
            call = turn.next_call()
            if call is not None:
                # The call saves the new machine first. An event that no state accepts must not start one.
                admit(self.chart, autostart)
                await self._drain(call)
        outcome = act(turn)
        call = turn.next_call()
        if call is not None:
            await self._drain(call)
        return outcome

    async def settle(self) -> None:
        """Bring the machine to its chart, and tell it what was lost with an earlier invocation; save that."""
        again = self.begin()
        if self.turn.changed:
            await self._drain(self.turn.next_call())
            await self.commit(again=again)

    def begin(self) -> Snapshot | None:
        """Settle as far as nothing has to be awaited; return the machine whose sends `commit` is to repeat."""
        turn, found = self.turn, self.machine
        if found is None:
            return None
        if self.stored.upgrade is not None:
            turn.migrate(self.stored.upgrade)
        arrived = turn.snapshot
        turn.begin()
        return found if turn.snapshot is not arrived else None

    async def _drain(self, call: StartActivity | None) -> None:
        """Run the turn to its end, through its exclusive activities, of which *call* is the next."""
        while call is not None:
            outcome = await self._call(call)
            self.turn.time = await decision_time(self.ctx, self.chart)
            self.turn.deliver(await self.completed(outcome))
            call = self.turn.next_call()

    async def _call(self, call: StartActivity) -> Event:
        """Save, call an exclusive activity and await its outcome; to be cancelled or killed is an outcome too."""
        job = self.job(call)
        try:
            refuse_too_large(self.chart, job)
        except errors.TooLarge as error:
            if self.machine is self._found:
                raise
            # The turn was saved before another call, and cannot be refused any more.
            return not_called(call, error)
        await self._look_at_the_clock()
        changes = self._save()
        sent, answer = SentInvocation.called(
            self.ctx, call.token, activities_name(self.chart), handler_of(call), job.encode()
        )
        changes.sent[call.token] = sent
        try:
            try:
                with ALL_OR_RETRY:
                    await self._keep_handles(changes)
                await restate.wait_completed(answer)
            except RestateTerminalError as error:
                # An activity that can be undone must tell whether it was done: wait for its own end.
                if not (is_cancellation(error) and self.chart.activities[call.id].undo is not None):
                    raise
            return Delivery.decode(await answer).event
        except RestateTerminalError as error:
            return interrupted(call, error)

    def job(self, start: StartActivity, *, by: str = "") -> ActivityJob:
        """The job of an activity that starts; *by* names who undoes, where the machine does not wait for that itself."""
        machine = self.turn.machine
        awaited = any(running.token == start.token for running in machine.activities)
        return ActivityJob.of(self.chart, self.key, machine, start, background=awaited and not start.exclusive, by=by)

    # ── save and perform ──────────────────────────────────────────────────────────────────────────────────────────────

    async def commit(self, *, again: Snapshot | None = None) -> None:
        """Save what changed and perform the effects; then keep what is needed to cancel early.

        Args:
            again: a machine whose invocation was killed. That also killed the sends of the invocation, timers included.
                So its timers are sent again, and its children are checked, as far as both still count. If the original
                of a timer did survive, the second is dropped by its token.
        """
        await self._look_at_the_clock()
        changes = self._save(again=again)
        if any(changes) or self._tries:
            # If this invocation is cancelled here, the event was processed all the same, and its sender must hear that.
            with suppress(RestateTerminalError), ALL_OR_RETRY:
                await self._keep_handles(changes)

    async def _look_at_the_clock(self) -> None:
        """Read the time if a recurring timer begins now: all its ticks count from this moment."""
        if begins_to_tick(self.stored, self.turn.snapshot):
            self._began = self.turn.time or datetime.fromtimestamp(await self.ctx.time(), UTC)

    def _save(self, *, again: Snapshot | None = None) -> Changes:
        """Save and perform, without an await in between."""
        turn = self.turn
        effects = turn.take_effects()
        for timer in again.timers if again is not None else ():
            if timer in turn.machine.timers:
                effects.append(Send(timer.token, timer.event, timer.after, timer.at or next_tick(self.stored, timer)))
        failed, turn.parked = turn.parked, []
        bounced, turn.bounced = turn.bounced, []
        parked: list[ParkedDelivery] = []
        moved = turn.changed
        is_changed = moved or (self._waiters is not None and self._waiters.changed)
        entries = self._entries() if turn.snapshot is not None else ()
        save = self._prepare(effects, entries, moved=moved) if is_changed or entries != self.stored.indexed else None
        sent: dict[str, SentInvocation] = {}
        with ALL_OR_RETRY:
            if save is not None:
                before = self.stored.indexed
                self._write(save)
                if entries != before:
                    tell_index(self.ctx, self.hosted.chart, before, entries)
            for event, error in failed:
                known = self.on_their_way.get(event.token or "")
                if known is None:
                    parked.append(park(self.ctx, self.hosted, Delivery.of(event), error, tries=self._tries))
                else:
                    failed_again = ParkedDelivery.of_failed(known, error, at=known.since)
                    parked.append(changed(failed_again, next=known.next))
            for effect in effects:
                sent.update(self._perform(effect))
            for letter, error in bounced:
                error.key = error.key or self.key
                send_back(self.ctx, self.hosted, letter, error)
            if save is not None and save.pages:
                spill(self.ctx, self.chart, turn.machine.life, save.pages)
            if save is not None and save.answers:
                answer_waiters(self.ctx, save.answers)
            for child in again.machines if again is not None else ():
                if child in turn.machine.machines and not child.ended:
                    self.links.check(child)
            if save is not None and save.parent is not None:
                self.links.report(turn.machine, save.parent)
        ended = {effect.token for effect in effects if isinstance(effect, Cancel | StopActivity)}
        return Changes(sent, ended, parked)

    def _entries(self) -> tuple[str, ...]:
        """The entries under which the machine is to be listed; as they are, if the chart has no index."""
        fields = self.hosted.chart.hosting.index
        return entries_of(fields, self.turn.machine.data) if fields else self.stored.indexed

    def _prepare(self, effects: list[Effect], entries: tuple[str, ...], *, moved: bool) -> Save:
        """Compute all that is to be written; what cannot be stored or sent is refused here, before the first write."""
        machine = self.turn.machine
        taken = self.turn.log[self._logged :]
        answers, is_waited_for = dict[str, WaiterAnswer](), False
        if self._waiters is not None:
            answers = self._waiters.answers(self.chart, self.key, machine, taken)
            is_waited_for = bool(self._waiters.known)
        pages: list[FullPage] = []
        at = self.hosted.settings.stamp()  # for people: no decision depends on it
        due = due_of(self.stored, machine, effects, at, self._began) if machine.timers else {}
        stored = changed(self.stored, machine=machine, upgrade=None, due=due, waited_for=is_waited_for, indexed=entries)
        stored = changed(stored, at=at) if moved else stored
        history = self.turn.chart.hosting.history
        if history is not None:
            if history.record or self.hosted.settings.record:
                tail, pages = recorded(self.ctx, stored.history, self.machine, taken, at)
            else:
                tail, pages = stored.history.with_entries(taken, at)
            stored = changed(stored, history=tail)
        text = stored.encode()
        if any(isinstance(effect, Post | StartMachine) for effect in effects):
            self.links.refuse_too_large(effects)
        for effect in effects:
            # A machine's data alone are never too long: they are part of its snapshot.
            if isinstance(effect, StartActivity) and (effect.input is not None or effect.items is not None):
                refuse_too_large(self.chart, self.job(effect))
        # Nothing is written yet, and a report must come before: a replay is silent.
        is_alarming = machine.status is Status.FAILED or any(one.error or one.caught for one in taken)
        if is_alarming or log.isEnabledFor(logging.INFO) or tracing.is_on():
            report.saved(self.machine, taken, machine)
        return Save(stored, text, taken, pages, answers, self._parent_to_tell())

    def _write(self, save: Save) -> None:
        self.ctx.set(StateKey.SNAPSHOT, save.text, serde=BYTES)
        if self._waiters is not None:
            self._waiters.write(self.ctx)
        if self.turn.machine.machines:
            self.links.remember(self.turn.machine)
        self._warn_undeliverable(save.taken)
        self.stored = save.stored
        self._logged = len(self.turn.log)
        self.turn.saved()

    def _parent_to_tell(self) -> Parent | None:
        """The parent of a machine that ends with this save."""
        before, after = self.machine, self.turn.machine
        ends = (before is None or before.status is Status.RUNNING) and after.status is not Status.RUNNING
        return self.stored.run_by if ends else None

    def _warn_undeliverable(self, taken: list[Taken]) -> None:
        """Log a message to a machine that does not exist, if no transition accepts `error.communication`."""
        for one in taken:
            raised = [name for microstep in one.trace for name in microstep.raised]
            if UNREACHABLE in raised and not any(microstep.event == UNREACHABLE for microstep in one.trace):
                log.warning(
                    "%s/%s: '%s' sent a message to a machine that does not exist", self.chart.name, self.key, one.event
                )

    def _perform(self, effect: Effect) -> list[tuple[str, SentInvocation]]:
        """Send what the effect asks for; return the handles that are worth keeping."""
        ctx = self.ctx
        match effect:
            case Send():
                delay, body = delay_of(effect) or None, Delivery(effect.token).encode()
                is_instant = effect.at is not None and not effect.after
                if is_instant or effect.after >= self.chart.hosting.cancel_timers_over:
                    to = (self.chart.name, Handler.DELIVER, body)
                    return [(effect.token, SentInvocation.sent(ctx, effect.token, *to, key=self.key, delay=delay))]
                ctx.generic_send(self.chart.name, Handler.DELIVER, body, key=self.key, send_delay=delay)
                return []
            case StartActivity(detached=True):
                start_detached(ctx, self.chart, effect.id, self.job(effect))
                return []  # no transition stops it
            case StartActivity():
                to = (activities_name(self.chart), handler_of(effect), self.job(effect).encode())
                return [(effect.token, SentInvocation.sent(ctx, effect.token, *to))]
            case StopActivity():
                stop_job(ctx, self.chart, effect.token)
                return []
            case StartMachine():
                self.links.begin(effect, self.turn.machine.session)
                return []
            case StopMachine():
                self.links.stop(effect.token)
                return []
            case Post():
                self.links.post(effect, self.turn.machine, self.stored.run_by)
                return []
            case Cancel() | Reply():
                return []

    async def _keep_handles(self, changes: Changes) -> None:
        """Cancel what has ended, and remember how to cancel what was sent; list what was parked.

        If this is lost, nothing but an early cancellation is: what arrives late is dropped by its token.
        """
        live = tokens_of(self.turn.machine)
        if changes.parked or self._tries:
            await keep_parked(self.ctx, self.chart, changes.parked, live)
        if changes.sent or changes.ended:
            ids = self.hosted.settings.invocation_ids
            await keep_handles(self.ctx, self.chart, ids, ended=changes.ended, sent=changes.sent, live=live)


class Save(NamedTuple):
    """The contents of one save, beside the effects.

    Attributes:
        taken: the changes of the machine since the last save.
        pages: of the history, that have become full.
        answers: to waiters, by their ids.
        parent: who must hear that the machine has ended.
    """

    stored: StoredMachine
    text: bytes
    taken: list[Taken]
    pages: list[FullPage]
    answers: dict[str, WaiterAnswer]
    parent: Parent | None
