"""One exclusive invocation's transaction to its machine: load, let a turn run, save, perform the effects, answer.

Between a save and the last send that follows it there is no await, so that no cancellation can part them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple, cast

import restate
from restate import ObjectContext, ObjectSharedContext
from restate import TerminalError as RestateTerminalError

from durable_fsm import errors
from durable_fsm.core.activity import stable_id
from durable_fsm.core.address import is_child_key
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import milliseconds
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
from durable_fsm.core.events import Event, Origin
from durable_fsm.core.run import UNREACHABLE
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.step import admit
from durable_fsm.core.turn import Taken, Turn
from durable_fsm.core.values import Json, changed
from durable_fsm.restate.activities.detached import start_detached
from durable_fsm.restate.activities.failures import interruption, is_cancellation
from durable_fsm.restate.activities.job import ActivityJob, RunToUndo
from durable_fsm.restate.clock import decision_time, now, stamp
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.history import FullPage, spill, with_entries
from durable_fsm.restate.http.errors import ALL_OR_RETRY
from durable_fsm.restate.http.requests import BYTES, MAX_SNAPSHOT, Delivery, receipt
from durable_fsm.restate.machine.storage import StoredMachine, members_of, tokens_of
from durable_fsm.restate.machine.waiting import ENDED, Waiter, Waiters, tell
from durable_fsm.restate.messages.children import ChildLinks
from durable_fsm.restate.messages.envelope import Parent, Peers
from durable_fsm.restate.names import Handler, StateKey, activities_name, digest_of, handler_name, undo_handler_name
from durable_fsm.restate.observability import report
from durable_fsm.restate.observability.logging import log

PARK_FIRST = timedelta(seconds=float(os.environ.get("DURABLE_FSM_PARK_FIRST_SECONDS", "30")))
"""How long a delivery is parked the first time; each further time is twice as long, up to `PARK_LONGEST`."""

PARK_LONGEST = timedelta(hours=1)

Handle = restate.SendHandle | restate.RestateDurableCallFuture[bytes]
Act = Callable[[Turn], Outcome | str]


class Changes(NamedTuple):
    """By token: what was sent or called and can be cancelled, what has ended, and what had to be parked."""

    sent: dict[str, Handle]
    ended: set[str]
    parked: list[Delivery]


class Transaction:
    """One machine in the hands of one exclusive invocation.

    Attributes:
        chart: under which the machine lives.
        stored: what the key held.
        turn: what this invocation does to the machine.
        waiters: those who wait for it.
        links: the machines that it runs, and the one that runs it.
    """

    def __init__(
        self, ctx: ObjectContext, stored: StoredMachine, waiters: Waiters, peers: Peers, *, tries: int
    ) -> None:
        self.chart = stored.chart
        self.ctx = ctx
        self.stored = stored
        self.waiters = waiters
        self.links = ChildLinks(stored.chart, ctx, peers)
        self.links.remember(stored.machine)
        self.turn = Turn(stored.chart, stored.machine, seed=report.invocation_id(ctx))
        self._tries = tries
        self._logged = 0

    @classmethod
    async def enter(cls, chart: Chart, ctx: ObjectContext, peers: Peers, *, tries: int = 0) -> Transaction:
        """Load the machine, if there is one.

        Args:
            peers: the charts that are served beside this one.
            tries: how often the delivery that comes with this transaction was parked.
        """
        text = await ctx.get(StateKey.SNAPSHOT, serde=BYTES)
        stored = StoredMachine.decode(chart, text)
        waiters = await Waiters.load(ctx) if stored.waited_for else Waiters({})
        transaction = cls(ctx, stored, waiters, peers, tries=tries)
        transaction.turn.now = await decision_time(ctx, stored.chart)
        return transaction

    @property
    def machine(self) -> Snapshot | None:
        """The machine as it was found."""
        return self.stored.machine

    async def run(self, event: str, act: Act, *, autostart: Event | None = None) -> bytes:
        """Settle what was left behind, act, drain, save; the answer is a receipt.

        What is settled stays so, whatever becomes of the event.
        """
        outcome = await self._run(act, autostart)
        answer = receipt(
            self.chart, self.ctx.key(), self.turn.machine, event=event, outcome=outcome, reply=self.turn.reply
        )
        if outcome in (Outcome.IGNORED, Outcome.STALE):
            report.unchanged(event, str(outcome))
        await self.commit()
        return answer

    async def wait(self, until: dict[str, Json], awakeable: str, event: Event | None) -> Json:
        """Register somebody who waits, after their event if they bring one; the answer is what they are told.

        None means that they have to wait for their awakeable.
        """
        waiter = Waiter(until)

        def act(turn: Turn) -> str:
            nonlocal waiter
            machine = turn.machine
            if event is not None:
                outcome = turn.take(event)
                token = turn.machine.deferred[-1].token if outcome is Outcome.DEFERRED else ""
                waiter = Waiter(until, event.name, outcome.value, token=token)
            return machine.status

        await self._run(act, event)
        if not waiter.token and event is not None:
            waiter = replace(waiter, reply=self.turn.reply)
        waiter, answer = waiter.answer(self.chart, self.ctx.key(), self.turn.machine, self.turn.log)
        if answer is None:
            self.waiters.add(self.chart, awakeable, waiter)
        await self.commit()
        return answer

    async def wait_for_end(self, act: Act, awakeable: str) -> Json:
        """Act, and register somebody who waits for the machine's end; the answer is as for `wait`."""
        await self._run(act, None)
        waiter, answer = Waiter(ENDED).answer(self.chart, self.ctx.key(), self.turn.machine)
        if answer is None:
            self.waiters.add(self.chart, awakeable, waiter)
        await self.commit()
        return answer

    async def leave(self, awakeable: str) -> None:
        """Forget somebody who waits."""
        await self._settle()
        self.waiters.remove(awakeable)
        await self.commit()

    async def _run(self, act: Act, autostart: Event | None) -> Outcome | str:
        turn = self.turn
        if self._is_unsettled:
            await self._settle()
        if autostart is not None and turn.snapshot is None:
            refuse_childs_key(self.chart, self.ctx.key())
            turn.autostart(life=life_of(self.ctx))
            call = turn.next_call()
            if call is not None:
                # The call saves the new machine first. An event that no state takes must not start one.
                admit(self.chart, autostart)
            await self._drain(call)
        outcome = act(turn)
        call = turn.next_call()
        if call is not None:
            await self._drain(call)
        return outcome

    @property
    def _is_unsettled(self) -> bool:
        """Whether there may be anything to settle: a machine at rest, in its own version, has nothing."""
        return self.stored.upgrade is not None or (self.machine is not None and bool(self.machine.activities))

    async def _settle(self) -> None:
        """Do what is due before anything else: bring the machine to its chart, and see to what was lost with its turn."""
        again = self.begin()
        if self.turn.changed:
            call = self.turn.next_call()
            await self._drain(call)
            await self.commit(again=again)

    def begin(self) -> Snapshot | None:
        """Settle what was left behind, as far as nothing has to be waited for; what `commit` is to send again."""
        turn, found = self.turn, self.machine
        if found is None:
            return None
        if self.stored.upgrade is not None:
            turn.migrate(self.stored.upgrade)
        arrived = turn.snapshot
        turn.begin()
        return found if turn.snapshot is not arrived else None

    async def _drain(self, call: StartActivity | None) -> None:
        """Let the turn run on, through its exclusive activities, of which *call* is the next."""
        while call is not None:
            outcome = await self._call(call)
            self.turn.now = await decision_time(self.ctx, self.chart)
            self.turn.deliver(outcome)
            call = self.turn.next_call()

    async def _call(self, call: StartActivity) -> Event:
        """Save, call an exclusive activity and wait for its outcome; being cancelled or killed is one too."""
        job = self.job(call).encode()
        changes = self._save()
        answer = self.ctx.generic_call(activities_name(self.chart), worker_of(call), job)
        changes.sent[call.token] = answer
        try:
            try:
                await self._keep_handles(changes)
                await restate.wait_completed(answer)
            except RestateTerminalError as error:
                if not (is_cancellation(error) and self.chart.activities[call.id].undo is not None):
                    raise
            return Delivery.decode(await answer).event  # what can be undone ends with its own outcome
        except RestateTerminalError as error:
            return Event(
                f"error.invoke.{call.id}",
                interruption(f"activity '{call.id}'", error, lost=f"could not be called: {error.message}"),
                Origin.PLATFORM,
                token=call.token,
            )

    def job(self, start: StartActivity, *, by: str = "") -> ActivityJob:
        """The order of what is to be started, *by* what undoes where the machine itself does not wait for it."""
        machine = self.turn.machine
        awaited = any(running.token == start.token for running in machine.activities)
        return job_of(self.chart, self.ctx.key(), machine, start, background=awaited and not start.exclusive, by=by)

    # ── saving ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def commit(self, *, again: Snapshot | None = None) -> None:
        """Save, and keep what is needed to cancel early.

        The timers of *again* are sent once more, and its children looked after, where they still count: to kill a turn is
        to kill whatever it has sent, timers too. One that had survived makes the other stale.
        """
        changes = self._save(again=again)
        if any(changes):
            # If this invocation is cancelled here, the event was taken all the same, and its sender is told so.
            with suppress(RestateTerminalError), ALL_OR_RETRY:
                await self._keep_handles(changes)

    def _save(self, *, again: Snapshot | None = None) -> Changes:
        """Save what changed, then perform the effects: no await in between, nothing can part them."""
        turn, ctx = self.turn, self.ctx
        effects = turn.take_effects()
        if again is not None:
            left = (timer for timer in again.timers if timer in turn.machine.timers)
            effects += [Send(timer.token, timer.event, timer.after, timer.at) for timer in left]
        ended: Parent | None = None
        parked: list[Delivery] = []
        if turn.parked:
            parked, turn.parked = [Delivery.of(event) for event in turn.parked], []
        answers: dict[str, Json] = {}
        pages: list[FullPage] = []
        taken: list[Taken] = []
        stored, text = None, b""
        if turn.changed or self.waiters.changed:
            taken = turn.log[self._logged :]
            answers = self.waiters.answers(self.chart, ctx.key(), turn.machine, taken)
            stored, pages = self._next(effects, taken)
            text = stored.encode()
            if effects:
                self.links.refuse_too_large(effects)
            report.saved(self.machine, taken, turn.machine)
        sent: dict[str, Handle] = {}
        with ALL_OR_RETRY:
            if stored is not None:
                ctx.set(StateKey.SNAPSHOT, text, serde=BYTES)
                if self.waiters.changed:
                    self.waiters.write(ctx)
                ended = self._ended()
                self.links.remember(turn.machine)
                self._say_what_nobody_gets(taken)
                self.stored = stored
                self._logged = len(turn.log)
                turn.saved()
            for delivery in parked:
                report.parked(delivery.event.name, turn.trouble.what if turn.trouble else "", self._tries)
                park(ctx, self.chart, delivery, tries=self._tries)
            for effect in effects:
                sent.update(self._perform(effect))
            if pages:
                spill(ctx, self.chart, turn.machine.life, pages)
            if answers:
                tell(ctx, answers)
            for child in again.machines if again is not None else ():
                if child in turn.machine.machines and not child.ended:
                    self.links.check(child)
            if ended is not None:
                self.links.report(turn.machine, ended)
        over = {effect.token for effect in effects if isinstance(effect, Cancel | StopActivity)}
        return Changes(sent, over, parked)

    def _next(self, effects: list[Effect], taken: list[Taken]) -> tuple[StoredMachine, list[FullPage]]:
        """What to store now, and the pages of the record that have become full with what was taken."""
        machine, history = self.turn.machine, self.chart.hosting.history
        at = stamp() if history is not None or machine.timers else 0
        due: dict[str, int] = {}
        if machine.timers:
            known = {**self.stored.due, **{sent.token: _due(sent, at) for sent in effects if isinstance(sent, Send)}}
            armed = {timer.token for timer in machine.timers}
            due = {token: moment for token, moment in known.items() if token in armed}
        stored = changed(self.stored, machine=machine, upgrade=None, due=due, waited_for=bool(self.waiters.known))
        if history is None:
            return stored, []
        return with_entries(stored, taken, at)

    def _perform(self, effect: Effect) -> list[tuple[str, restate.context.SendHandle]]:
        """Send what the effect asks for; the handles are those worth keeping."""
        ctx = self.ctx
        match effect:
            case Send():
                delay = delay_of(effect) or None
                body = Delivery(effect.token).encode()
                handle = ctx.generic_send(self.chart.name, Handler.DELIVER, body, key=ctx.key(), send_delay=delay)
                long = effect.at is not None or effect.after >= self.chart.hosting.cancel_timers_over
                return [(effect.token, handle)] if long else []
            case StartActivity(detached=True):
                start_detached(ctx, self.chart, effect.id, self.job(effect))
                return []  # nothing stops it
            case StartActivity():
                handle = ctx.generic_send(activities_name(self.chart), worker_of(effect), self.job(effect).encode())
                return [(effect.token, handle)]
            case StopActivity():
                stop(ctx, self.chart, effect.token)
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

    def _ended(self) -> Parent | None:
        """Who is to be told that this machine is over now."""
        before, now_ = self.stored.machine, self.turn.machine
        was_running = before is None or before.status is Status.RUNNING
        return self.stored.run_by if was_running and now_.status is not Status.RUNNING else None

    def _say_what_nobody_gets(self, taken: list[Taken]) -> None:
        """A message for a machine that is not there, where no transition takes that, is seen in the log only."""
        for one in taken:
            raised = [name for microstep in one.trace for name in microstep.raised]
            if UNREACHABLE in raised and not any(microstep.event == UNREACHABLE for microstep in one.trace):
                log.warning("%s/%s: '%s' sent a message to nobody", self.chart.name, self.ctx.key(), one.event)

    async def _keep_handles(self, changes: Changes) -> None:
        """Cancel what has ended, and remember how to cancel what was sent and what was parked.

        Losing this costs an early cancellation, nothing else: what arrives late is dropped by its token.
        """
        if changes.parked:
            await keep_parked(self.ctx, changes.parked, tokens_of(self.turn.machine))
        if not changes.sent and not changes.ended:
            return
        handles = await load_handles(self.ctx)
        before = dict(handles)
        for token in sorted(changes.ended & handles.keys()):
            self.ctx.cancel_invocation(handles[token])
        for token, handle in changes.sent.items():
            handles[token] = await handle.invocation_id()
        live = tokens_of(self.turn.machine)
        handles = {token: handle for token, handle in handles.items() if token in live}
        if handles != before:
            self.ctx.set(StateKey.HANDLES, dumps(cast("Json", handles)), serde=BYTES)


def job_of(
    chart: Chart, key: str, machine: Snapshot, start: StartActivity, *, background: bool, by: str = ""
) -> ActivityJob:
    """The job of running an activity, or of undoing a run of it."""
    given = start.detached or chart.activities[start.id].input is not None
    undo: RunToUndo | None = None
    if start.undo is not None:
        asked = next((running.id for running in machine.activities if running.token == start.token), "")
        original = stable_id(chart.name, key, machine.life, start.undo)
        undo = RunToUndo(by or asked, original, start.undo.result)
    return ActivityJob(
        key,
        start.token,
        stable_id(chart.name, key, machine.life, start),
        start.input if given and start.undo is None else machine.data,
        background=background,
        given=given,
        detached=start.detached,
        items=None if start.items is None else list(start.items),
        undo=undo,
    )


def life_of(ctx: ObjectContext) -> str:
    """The name of a life that begins in this invocation."""
    return digest_of(report.invocation_id(ctx))


async def load_handles(ctx: ObjectContext | ObjectSharedContext) -> dict[str, str]:
    """How to cancel what was sent, by token."""
    return await members_of(ctx, StateKey.HANDLES)


async def load_parked(ctx: ObjectContext | ObjectSharedContext) -> dict[str, Delivery]:
    """Deliveries that could not be taken, by token."""
    record = await members_of(ctx, StateKey.PARKED)
    return {token: Delivery.decode(dumps(delivery)) for token, delivery in record.items()}


async def keep_parked(ctx: ObjectContext, parked: list[Delivery], live: set[str] | None = None) -> None:
    """Remember what was parked, for operators; what is not *live* any more is forgotten.

    What would be too much to be stored is not remembered either: it comes again all the same.
    """
    known = {**{delivery.token: delivery for delivery in parked}, **await load_parked(ctx)}
    known |= {delivery.token: delivery for delivery in parked}
    record: dict[str, Json] = {}
    room = MAX_SNAPSHOT
    for token, delivery in known.items():
        text = delivery.encode()
        if (live is None or token in live) and len(text) <= room:
            room -= len(text)
            record[token] = loads(text)
    ctx.set(StateKey.PARKED, dumps(record), serde=BYTES)


def park(ctx: ObjectContext, chart: Chart, delivery: Delivery, *, tries: int) -> None:
    """Send a delivery to ourselves again later."""
    later = replace(delivery, tries=tries + 1)
    ctx.generic_send(chart.name, Handler.PARKED, later.encode(), key=ctx.key(), send_delay=parked_for(tries))


def parked_for(tries: int) -> timedelta:
    """How long something is parked that was parked so often before."""
    return min(PARK_FIRST * (1 << min(tries, 10)), PARK_LONGEST)


def stop(ctx: restate.Context | ObjectContext | ObjectSharedContext, chart: Chart, token: str) -> None:
    """Tell the runner at once; its invocation is cancelled besides, as soon as its id is at hand.

    What was begun under another version runs elsewhere, and is only cancelled.
    """
    if not chart.activities:
        return
    ctx.generic_send(activities_name(chart), Handler.STOP, token.encode())


def refuse_childs_key(chart: Chart, key: str) -> None:
    """Refuse to begin a machine where only its parent may: what was left must not come back by a late event."""
    if is_child_key(key):
        raise errors.NotStarted(chart=chart.name, remedy="This is the key of a child, which only its parent begins.")


def worker_of(start: StartActivity) -> str:
    """Name of the handler that runs it: the work of the activity, or its undo."""
    return handler_name(start.id) if start.undo is None else undo_handler_name(start.id)


def delay_of(send: Send) -> timedelta:
    """How long from now; an instant that is past is at once."""
    if send.at is None:
        return timedelta(milliseconds=milliseconds(send.after))
    return max(timedelta(milliseconds=send.at.timestamp() * 1_000 - now()), timedelta(0))


def _due(send: Send, at: int) -> int:
    """When it will be delivered, in milliseconds since 1970."""
    return int(send.at.timestamp() * 1_000) if send.at is not None else at + milliseconds(send.after)
