"""The handlers of a machine: events, creation, reading, repairs, and the deliveries of timers and outcomes."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple, cast

from msgspec import UNSET
from restate import ObjectContext, ObjectSharedContext

from durable_fsm import errors
from durable_fsm.core.activity import stable_id
from durable_fsm.core.chart import Chart, Query
from durable_fsm.core.codec import snapshot_to_json
from durable_fsm.core.effects import Outcome
from durable_fsm.core.events import Event, Origin
from durable_fsm.core.queries import answer_of
from durable_fsm.core.questions import acceptance_of
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.step import active_in, end_of_life, forbidden
from durable_fsm.core.turn import Turn, not_started
from durable_fsm.core.values import Json, changed
from durable_fsm.restate.activities.author_calls import has_steps
from durable_fsm.restate.activities.external_answers import with_callbacks
from durable_fsm.restate.activities.service import log_dropped_failure
from durable_fsm.restate.activities.slots import slots_of
from durable_fsm.restate.clock import instant
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.history import entries_of
from durable_fsm.restate.http.errors import Located, message_of
from durable_fsm.restate.http.requests import BYTES, HistoryRequest, RepairRequest, SendRequest, read
from durable_fsm.restate.machine.beginnings import created_from, life_of, refuse_childs_key
from durable_fsm.restate.machine.defaults import delivery_with_defaults
from durable_fsm.restate.machine.deletion import delete
from durable_fsm.restate.machine.deliveries import keep_parked, load_parked, park
from durable_fsm.restate.machine.repairs import do_repair, paused_by
from durable_fsm.restate.machine.storage import Caller, StoredMachine, load_to_read
from durable_fsm.restate.machine.timing import decision_time, timed
from durable_fsm.restate.machine.transaction import Transaction
from durable_fsm.restate.messages.children import family_of
from durable_fsm.restate.messages.envelope import MailAgain
from durable_fsm.restate.names import Handler, StateKey, answers_name
from durable_fsm.restate.observability import report
from durable_fsm.restate.observability.redaction import seen
from durable_fsm.restate.settings import HostedChart
from durable_fsm.restate.stored.deliveries import Delivery, ParkedDelivery
from durable_fsm.restate.stored.failing import FailingStep, by_token, failing_detached, undoing, with_failing
from durable_fsm.restate.stored.limits import with_slots
from durable_fsm.restate.stored.snapshot import mark_of, shown_deferred, tokens_of


class WorkInProgress(NamedTuple):
    """The work of a machine that is under way: its callbacks, and the steps that fail and the slots of limits by token."""

    callbacks: bytes
    failing: dict[str, list[FailingStep]]
    slots: dict[str, Json]


class MachineHandlers(HostedChart):
    """Handles what callers ask of the machines of one chart, and what arrives for them by itself."""

    # ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def event(self, name: str) -> Callable[[ObjectContext, bytes], Awaitable[bytes]]:
        """The handler of one event."""
        chart = self.name

        async def take(ctx: ObjectContext, body: bytes) -> bytes:
            return await self.take(ctx, name, read(chart, name, body))

        take.__doc__ = f"Send '{name}'; answers with a receipt."
        return take

    async def send(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Send any public event: `{"event": name, "payload": …}`; answers with a receipt."""
        request = SendRequest.decode(self.name, body)
        report.about(request.event)
        report.only_if(request.if_seq)
        return await self.take(ctx, request.event, request.payload)

    async def take(self, ctx: ObjectContext, name: str, payload: Json, origin: Origin = Origin.EXTERNAL) -> bytes:
        """Process an event that came from outside."""
        if origin is Origin.EXTERNAL and name in self.private_spellings:
            raise forbidden(self.chart, name)
        transaction = await Transaction.load(self, ctx, by=Caller.SENDER)
        return await transaction.take(Event(name, payload, origin))

    async def create(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Create the machine with this data; the same data again changes nothing, other data is refused."""
        data = read(self.name, "create", body)
        origin = created_from(data)

        transaction = await Transaction.load(self, ctx)
        initial = await transaction.initial_data(data)

        def act(turn: Turn) -> str:
            if turn.snapshot is None:
                refuse_childs_key(self.chart, ctx.key())
            return "created" if turn.create(initial, life=life_of(ctx), created_from=origin) else "exists"

        return await transaction.run("create", act)

    async def repair(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Change the machine by hand, as one of the verbs says; always with a reason."""
        request = RepairRequest.decode(self.name, body)
        report.only_if(request.if_seq)
        transaction = await Transaction.load(self, ctx, by=Caller.OPERATOR)
        transaction.stored = paused_by(request, transaction.stored, self.settings.stamp())
        transaction.turn.paused = transaction.stored.paused is not None
        if request.verb == "migrate":
            transaction.stored = transaction.stored.because(request.reason.strip())
        if request.verb == "skip" and request.result is not UNSET:
            done = await transaction.completed(Event(f"done.invoke.{request.about}", request.result))
            request = changed(request, result=cast("Json", done.payload))
        parked = await load_parked(ctx, self.chart) if request.verb in ("resend", "resume") else {}
        for token, one in parked.items():
            parked[token] = await delivery_with_defaults(ctx, transaction.chart, one)
        if parked:
            asked = datetime.fromtimestamp(await ctx.time(), UTC)
            transaction.on_their_way = {token: one for token, one in parked.items() if one.is_on_its_way(asked)}
        answer = await transaction.run("repair", lambda turn: do_repair(turn, request, parked))
        if parked:
            await keep_parked(ctx, self.chart, [], tokens_of(transaction.turn.machine))
        if request.verb == "resume" and await ctx.get(StateKey.LETTERS, serde=BYTES) is not None:
            ctx.generic_send(self.name, Handler.MAIL, MailAgain(1).encode(), key=ctx.key())
        return answer

    # ── deliveries ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def deliver(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Take a timer or an outcome. It is parked if it cannot be processed now, and never lost."""
        delivery = Delivery.decode(body)
        seen(delivery.result)
        try:
            with Located(self.name, ctx.key()):
                return await self._take_delivery(ctx, delivery)
        except errors.Gone:
            return dumps({"outcome": Outcome.STALE.value})
        except errors.DurableFSMError as error:
            await keep_parked(ctx, self.chart, [park(ctx, self, delivery, error, tries=delivery.tries)])
            return dumps({"outcome": "parked", "reason": message_of(error)})

    async def _take_delivery(self, ctx: ObjectContext, delivery: Delivery) -> bytes:
        transaction = await Transaction.load(self, ctx, tries=delivery.tries)
        stored, machine, token = transaction.stored, transaction.machine, delivery.token
        if machine is None:
            return dumps({"outcome": Outcome.STALE.value})
        end = end_of_life(transaction.chart, machine, token)
        if end is not None:
            mark = None if end.free else mark_of(transaction.chart)
            return await delete(self, ctx, stored, machine, transaction.waiters, mark=mark, except_timer=token)

        event = await transaction.completed(delivery.event)
        event = await timed(ctx, transaction.stored, event, transaction.turn.time)
        if any(timer.token == token and timer.activity is not None for timer in machine.timers):
            event = await self._with_last_attempt(ctx, machine, event)

        def act(turn: Turn) -> str:
            outcome = turn.deliver(event, again=delivery.tries > 0)
            if outcome is Outcome.IGNORED:
                log_dropped_failure(self.chart, ctx.key(), delivery)
            return "parked" if outcome is None else outcome.value

        return await transaction.run(delivery.event.name, act)

    async def _with_last_attempt(self, ctx: ObjectContext, machine: Snapshot, deadline: Event) -> Event:
        """A deadline, with the last failure of the activity that misses it, if one is known."""
        activity = next(timer.activity for timer in machine.timers if timer.token == deadline.token)
        known = by_token(await ctx.generic_call(answers_name(self.name), "failing", b"", key=ctx.key()))
        steps = known.get(activity or "", ())
        return changed(deadline, payload=max(steps, key=lambda step: step.at).failure) if steps else deadline

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def history(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Read what the machine has done: `{"after": 0, "limit": 100}` in order, or `{"last": 20}`."""
        request = HistoryRequest.decode(self.name, body)
        stored, machine = await load_to_read(ctx, self.chart)
        found = await entries_of(ctx, self.chart, machine.life, stored.history, request)
        return dumps({"chart": self.name, "key": ctx.key(), **found})

    def query(self, name: str, query: Query) -> Callable[[ObjectSharedContext, bytes], Awaitable[bytes]]:
        """The handler of one query."""

        async def ask(ctx: ObjectSharedContext, body: bytes) -> bytes:
            text: bytes | None = await ctx.get(StateKey.SNAPSHOT, serde=BYTES)
            stored = StoredMachine.decode(self.chart, text)
            return dumps(answer_of(stored.chart, name, query, stored.machine))

        ask.__doc__ = inspect.getdoc(query) or f"Answers '{name}' from the machine's data."
        return ask

    async def snapshot(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Read the machine: where it is, its data, what it accepts, its timers and activities."""
        text = await ctx.get(StateKey.SNAPSHOT, serde=BYTES)
        stored, refused = self._upgraded_if_possible(text)
        assert stored.machine is not None
        parked = await load_parked(ctx, self.chart)
        work = await self._work_of(ctx, stored.chart, stored.machine)
        now = await decision_time(ctx, stored.chart)
        return dumps({**self._view(ctx.key(), stored, parked, work, refused, now), **refused})

    async def _work_of(self, ctx: ObjectSharedContext, chart: Chart, machine: Snapshot) -> WorkInProgress:
        """Ask the companion, and the limits, about the machine's activities, if any may be under way."""
        callbacks = failing = b"[]"
        may_wait = any(running.id in self._may_wait_for_callbacks for running in machine.activities)
        if may_wait:
            callbacks = await ctx.generic_call(answers_name(self.name), "pending", b"", key=ctx.key())
        if machine.activities or machine.stopping or machine.undo or any(one.detached for one in self.chart.served):
            failing = await ctx.generic_call(answers_name(self.name), "failing", b"", key=ctx.key())
        return WorkInProgress(callbacks, by_token(failing), await slots_of(ctx, chart, machine))

    def _upgraded_if_possible(self, text: bytes | None) -> tuple[StoredMachine, dict[str, Json]]:
        """The machine, and why no chart here can upgrade it; or from which version the next transaction upgrades it."""
        stored = StoredMachine.decode_any_version(self.chart, text)
        if stored.machine is None:
            raise not_started(self.chart)
        try:
            upgraded = StoredMachine.decode(self.chart, text)
        except (errors.VersionError, errors.MigrationError) as error:
            return stored, {"refused": {"type": type(error).__name__, "message": error.what}}
        if upgraded.upgrade is None:
            return upgraded, {}
        if any(upgraded.upgrade.differences):
            return upgraded, {"reconciles": upgraded.upgrade.differences.note}
        leaves: list[Json] = [*stored.machine.configuration]
        return upgraded, {"stored_version": stored.machine.version, "stored_leaves": leaves}

    @cached_property
    def _may_wait_for_callbacks(self) -> frozenset[str]:
        """Ids of the activities that may wait for an answer from outside."""
        activities = [activity for chart in self.chart.served for activity in chart.activities.values()]
        undos = any(activity.undo is not None and has_steps(activity) for activity in activities)
        return frozenset(one.id for one in activities if has_steps(one) or (undos and one.undoes is not None))

    def _view(
        self,
        key: str,
        stored: StoredMachine,
        parked: dict[str, ParkedDelivery],
        work: WorkInProgress,
        refused: dict[str, Json],
        now: datetime | None,
    ) -> dict[str, Json]:
        machine, chart = stored.machine, stored.chart
        assert machine is not None
        record = snapshot_to_json(machine)
        timers = cast("list[dict[str, Any]]", record.get("timers", []))
        activities, undo, stopping = (
            cast("list[dict[str, Json]]", record.get(name, [])) for name in ("activities", "undo", "stopping")
        )
        live = tokens_of(machine)
        accepts: list[Json] = [
            {"event": event, "accepts": answer, "payload": cast("Json", _payload_schema(chart, event))}
            for event, answer in ({} if "refused" in refused else acceptance_of(chart, machine, now=now)).items()
        ]
        return {
            "chart": self.name,
            "key": key,
            "version": machine.version,
            "life": machine.life,
            "seq": machine.seq,
            "status": machine.status.value,
            "configuration": list(active_in(chart, machine)),
            "leaves": list(machine.configuration),
            "data": machine.data,
            "output": machine.output,
            "failure": record.get("failure"),
            "answer": record.get("answer"),
            "events": accepts,
            "timers": [{**timer, "due": _as_instant(stored.due.get(timer["token"]))} for timer in timers],
            "activities": with_callbacks(
                with_failing(with_slots(activities, work.slots), work.failing), work.callbacks
            ),
            **family_of(machine, key, stored.run_by),
            "deferred": shown_deferred(record),
            "undo": [
                {**shown, "stable_id": stable_id(self.name, key, machine.life, done)}
                for shown, done in zip(with_failing(undo, work.failing, undoing), machine.undo, strict=True)
            ],
            "stopping": cast("Json", with_failing(stopping, work.failing)),
            "detached": cast("Json", failing_detached(work.failing, live)),
            "paused": None if stored.paused is None else stored.paused.view,
            "parked": [delivery.view for token, delivery in parked.items() if token in live],
        }


def _payload_schema(chart: Chart, event: str) -> dict[str, Json] | None:
    payload = chart.events[event].payload
    return payload.schema() if payload else None


def _as_instant(milliseconds: int | None) -> str | None:
    """As people read it: `2030-01-01T12:00:00+00:00`."""
    return None if milliseconds is None else instant(milliseconds)
