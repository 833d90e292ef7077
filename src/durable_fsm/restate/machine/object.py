"""The host: one chart as a virtual object, one machine per key.

Every exclusive handler does the same: load the snapshot, run a turn, save once, perform the effects, answer (see
`visit`). Outside work is never done here (see `runner`), and no exception of ours is ever retried by the platform.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, cast

import restate
from restate import ObjectContext, ObjectSharedContext
from restate import TerminalError as RestateTerminalError

from durable_fsm import errors
from durable_fsm.core.activity import stable_id
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical, snapshot_to_json
from durable_fsm.core.condition import meets
from durable_fsm.core.effects import Outcome
from durable_fsm.core.events import Event
from durable_fsm.core.questions import acceptance_of
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.step import active_in, end_of_life
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import Json
from durable_fsm.restate.activities.author_calls import has_steps
from durable_fsm.restate.activities.external_answers import with_callbacks
from durable_fsm.restate.activities.service import log_dropped_failure
from durable_fsm.restate.clock import decision_time
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.history import Range, entries_of, forget
from durable_fsm.restate.http.errors import ALL_OR_RETRY, Located, message_of
from durable_fsm.restate.http.requests import BYTES, FOR_EVER, Delivery, name_of_event, read, receipt, told
from durable_fsm.restate.http.schemas import (
    CANCEL_SCHEMA,
    DELETE_SCHEMA,
    HISTORY_SCHEMA,
    REPAIR_SCHEMA,
    SEND_SCHEMA,
    wait_schema,
)
from durable_fsm.restate.machine.cancelling import Cancelling
from durable_fsm.restate.machine.deletion import DeleteMode, compensate, refuse_unclean
from durable_fsm.restate.machine.repairs import RepairRequest
from durable_fsm.restate.machine.storage import StoredMachine, mark_of, tokens_of
from durable_fsm.restate.machine.transaction import (
    Act,
    Transaction,
    keep_parked,
    life_of,
    load_handles,
    load_parked,
    park,
    refuse_childs_key,
    stop,
)
from durable_fsm.restate.machine.waiting import Waiters, WaitRequest, refusal, tell
from durable_fsm.restate.messages.child_handlers import ChildHandlers
from durable_fsm.restate.messages.children import ChildLinks, shown
from durable_fsm.restate.messages.envelope import Peers, relay
from durable_fsm.restate.messages.inbox import Inbox
from durable_fsm.restate.names import BUILT_IN, Handler, StateKey, answers_name, digest_of, is_handler_name
from durable_fsm.restate.observability import report
from durable_fsm.restate.observability.redaction import seen
from durable_fsm.restate.registration import Handle, register
from durable_fsm.restate.sources.ingestion import REMEMBERED, EventIngestion
from durable_fsm.restate.sources.kafka import Topics


class MachineObject:
    """Hosts one chart."""

    def __init__(self, chart: Chart, peers: Peers) -> None:
        self.chart = chart
        self.name = chart.name
        self.peers = peers
        self._cancelling = Cancelling(chart, self._read)
        self._child = ChildHandlers(chart, peers, self._enter, self._remove, self._cancelling.cut_short)
        self._inbox = Inbox(chart, peers, self._enter)

    # ── the virtual object ────────────────────────────────────────────────────────────────────────────────────────────

    def virtual_object(self) -> restate.VirtualObject:
        """The object with all its handlers; schemas and docstrings go to discovery, and so into OpenAPI."""
        service = restate.VirtualObject(self.name, description=self.chart.doc or None, invocation_retry_policy=FOR_EVER)
        for handler, event in handlers_of(self.chart).items():
            declared = next(one.events[event] for one in self.chart.served if event in one.events)
            schema = declared.payload.schema() if declared.payload else None
            self._add(service, handler, self._event_handler(event), schema=schema, doc=declared.doc, takes=event)
        self._add(service, Handler.CREATE, self._create, schema=self.chart.data.schema(), takes="create")
        self._add(service, Handler.SEND, self._send, schema=SEND_SCHEMA, takes="send")
        self._add(service, Handler.DELETE, self._delete, schema=DELETE_SCHEMA, takes="delete")
        self._add(service, Handler.REPAIR, self._repair, schema=REPAIR_SCHEMA, takes="repair")
        self._add(service, Handler.SNAPSHOT, self._snapshot, kind="shared")
        self._add(service, Handler.WAIT_FOR, self._wait_for, kind="shared", schema=wait_schema(self.chart))
        self._add(service, Handler.HISTORY, self._history, kind="shared", schema=HISTORY_SCHEMA)
        if any(chart.activities for chart in self.chart.served):
            self._add(service, Handler.CANCEL, self._cancelling.cancel, kind="shared", schema=CANCEL_SCHEMA)
            self._add(service, Handler.CANCEL_LATER, self._cancelling.later, kind="shared", private=True)
        self._add(service, Handler.WAIT, self._wait, private=True)
        self._add(service, Handler.UNWAIT, self._unwait, private=True)
        if self.chart.hosting.workflow:
            self._add(service, Handler.RUN_TO_END, self._run, private=True)
        self._add(service, Handler.DELIVER, self._deliver, private=True)
        self._add(service, Handler.PARKED, self._deliver, private=True)
        self._add(service, Handler.MAIL, self._inbox.mail, private=True)
        self._add(service, Handler.RELAY, relay, private=True)
        self._add(service, Handler.BEGIN, self._child.begin, private=True)
        self._add(service, Handler.CHECK, self._child.check, private=True)
        self._add(service, Handler.END, self._child.end, private=True)
        if any(activity.exclusive for chart in self.chart.served for activity in chart.activities.values()):
            self._add(service, Handler.HALT, self._child.halt, kind="shared", private=True)
        if self.chart.hosting.sources or self.chart.hosting.webhooks:
            intake = EventIngestion(self.chart, self._take)
            self._add(service, Handler.INCOMING, intake.incoming, private=True, remembered=REMEMBERED)
            self._add(service, Handler.KAFKA_RECORD, Topics(self.chart, intake).record, private=True)
        return service

    def _add(
        self,
        service: restate.VirtualObject,
        name: str,
        handle: Handle,
        *,
        kind: str = "exclusive",
        private: bool = False,
        remembered: timedelta | None = None,
        **options: Any,
    ) -> None:
        private = private or name in self.chart.hosting.operators_only
        register(
            service,
            name,
            handle,
            chart=self.chart,
            private=private,
            kind=kind,
            idempotency_retention=remembered,
            **options,
        )

    # ── handlers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _event_handler(self, event: str) -> Callable[[ObjectContext, bytes], Awaitable[bytes]]:
        async def take(ctx: ObjectContext, body: bytes) -> bytes:
            payload = read(self.name, event, body)
            return await self._take(ctx, event, payload)

        take.__doc__ = f"Send '{event}'; answers with a receipt."
        return take

    async def _send(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Send any public event: `{"event": name, "payload": …}`; answers with a receipt."""
        event, payload = self._read_send(body)
        return await self._take(ctx, event, payload)

    def _read_send(self, body: bytes) -> tuple[str, Json]:
        request = read(self.name, "send", body)
        if not isinstance(request, dict) or not isinstance(event := request.get("event"), str):
            problem = 'expected {"event": name, "payload": …}.'
            raise errors.MalformedInput(chart=self.name, handler="send", problem=problem)
        if unknown := sorted(request.keys() - {"event", "payload"}):
            problem = f'expected {{"event": name, "payload": …}}, got {errors.quoted(unknown)} too.'
            raise errors.MalformedInput(chart=self.name, handler="send", problem=problem)
        return name_of_event(self.name, "send", event), request.get("payload")

    def _enter(self, ctx: ObjectContext, *, tries: int = 0) -> Awaitable[Transaction]:
        return Transaction.enter(self.chart, ctx, self.peers, tries=tries)

    async def _take(self, ctx: ObjectContext, name: str, payload: Json) -> bytes:
        event = Event(name, payload)

        def act(turn: Turn) -> Outcome:
            return turn.take(event)

        report.about(name)
        self._refuse_private(name)
        transaction = await self._enter(ctx)
        return await transaction.run(name, act, autostart=event)

    def _refuse_private(self, name: str | None) -> None:
        if name in self._private_spellings:
            raise errors.Forbidden(chart=self.name, event=name)

    @cached_property
    def _private_spellings(self) -> frozenset[str]:
        """Private events as their authors spell them: `done_invoke_charging`."""
        declared = [event for chart in self.chart.served for event in chart.events.values()]
        public = {event.name for event in declared if event.public}
        return frozenset(event.name.replace(".", "_") for event in declared if not event.public) - public

    async def _create(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Create the machine with this data; the same data again changes nothing, other data is refused."""
        data = read(self.name, "create", body)
        origin = "" if data in (None, {}) else digest_of(canonical(data))

        def act(turn: Turn) -> str:
            if turn.snapshot is None:
                refuse_childs_key(self.chart, ctx.key())
            return "created" if turn.create(data, life=life_of(ctx), created_from=origin) else "exists"

        transaction = await self._enter(ctx)
        return await transaction.run("create", act)

    async def _delete(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Delete the machine: its timers, activities and children are stopped, its key is free for a new life.

        What it has done is undone first with `{"compensate": true}`, and stays as it is with `{"abandon": true}`.
        """
        how = DeleteMode.decode(self.name, body)
        if how is DeleteMode.COMPENSATE:
            transaction = await self._enter(ctx)
            undone = await compensate(transaction) if transaction.machine is not None else []
            stored, waiters = transaction.stored, transaction.waiters
        else:
            text = await ctx.get(StateKey.SNAPSHOT, serde=BYTES)
            try:
                stored = StoredMachine.decode_any_version(self.chart, text)  # also one that no chart here takes up
            except errors.Gone:
                ctx.clear_all()
                return dumps({"chart": self.name, "key": ctx.key(), "outcome": "deleted"})
            if how is DeleteMode.CLEAN and stored.machine is not None:
                refuse_unclean(self.chart.of(stored.machine.version), stored.machine)
            undone, waiters = None, await Waiters.load(ctx) if stored.waited_for else Waiters({})
        if stored.machine is None:
            raise errors.NotStarted(chart=self.name, remedy="There is nothing to delete.")
        answer = await self._remove(ctx, stored, stored.machine, waiters, undone=undone)
        parent = stored.run_by
        if parent is not None and stored.machine.status is Status.RUNNING:
            links = ChildLinks(self.chart, ctx, self.peers)
            links.report_lost(parent, "deleted", f"machine '{parent.id}' was deleted.")
        return answer

    async def _remove(
        self,
        ctx: ObjectContext,
        stored: StoredMachine,
        machine: Snapshot,
        waiters: Waiters,
        *,
        mark: bytes | None = None,
        by: str = "",
        undone: list[Json] | None = None,
    ) -> bytes:
        """Stop everything that the machine has begun, but the timer whose doing this is *by*, and forget it.

        What is left of it is a *mark*, if there is one.
        """
        answer = receipt(self.chart, ctx.key(), machine, event="delete", outcome="deleted", reply=undone)
        waiting = sorted(waiters.known.items())
        answers = {id: refusal(waiter.in_vain(self.chart, "deleted"), ctx.key()) for id, waiter in waiting}
        handles = await load_handles(ctx)
        report.deleted(machine)
        with ALL_OR_RETRY:
            ctx.clear_all()
            if mark is not None:
                ctx.set(StateKey.SNAPSHOT, mark, serde=BYTES)
            for token in [*(one.token for one in machine.activities), *(one.token for one in machine.stopping)]:
                stop(ctx, self.chart, token)
            links = ChildLinks(self.chart, ctx, self.peers)
            links.remember(machine)
            for child in machine.machines:
                if not child.ended:
                    links.stop(child.token)
            if self._with_steps:
                ctx.generic_send(answers_name(self.chart), "clear", b"", key=ctx.key())
            for token, invocation in handles.items():
                if token != by:
                    ctx.cancel_invocation(invocation)
            forget(ctx, self.chart, stored)
            tell(ctx, answers)
        return answer

    async def _snapshot(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Read the machine: where it is, its data, what it accepts, its timers and activities."""
        text = await ctx.get(StateKey.SNAPSHOT, serde=BYTES)
        stored, refused = self._as_far_as_possible(text)
        parked = await load_parked(ctx)
        callbacks = b"[]"
        if stored.machine is not None and any(one.id in self._with_steps for one in stored.machine.activities):
            callbacks = await ctx.generic_call(answers_name(self.chart), "pending", b"", key=ctx.key())
        now = await decision_time(ctx, stored.chart)
        return dumps({**self._view(ctx.key(), stored, parked, callbacks, refused, now), **refused})

    def _as_far_as_possible(self, text: bytes | None) -> tuple[StoredMachine, dict[str, Json]]:
        """What the key holds, and why no chart takes it up, if that is so; or from which version it is about to come."""
        stored = StoredMachine.decode_any_version(self.chart, text)
        if stored.machine is None:
            raise errors.NotStarted(chart=self.name)
        try:
            taken = StoredMachine.decode(self.chart, text)
        except (errors.VersionError, errors.MigrationError) as error:
            return stored, {"refused": {"type": type(error).__name__, "message": error.what}}
        return taken, {"stored_version": stored.machine.version} if taken.upgrade is not None else {}

    @cached_property
    def _with_steps(self) -> frozenset[str]:
        """Ids of the activities that may wait for somebody outside."""
        activities = [activity for chart in self.chart.served for activity in chart.activities.values()]
        undos = any(activity.undo is not None and has_steps(activity) for activity in activities)
        return frozenset(one.id for one in activities if has_steps(one) or (undos and one.undoes is not None))

    def _view(
        self,
        key: str,
        stored: StoredMachine,
        parked: dict[str, Delivery],
        callbacks: bytes,
        refused: dict[str, Json],
        now: datetime | None,
    ) -> dict[str, Json]:
        machine, chart = stored.machine, stored.chart
        assert machine is not None
        record = snapshot_to_json(machine)
        timers = cast("list[dict[str, Any]]", record.get("timers", []))
        waiting = tokens_of(machine)
        accepts: list[Json] = [
            {"event": event, "accepts": answer, "payload": cast("Json", schema_of(chart, event))}
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
            "events": accepts,
            "timers": [{**timer, "due": _instant(stored.due.get(timer["token"]))} for timer in timers],
            "activities": with_callbacks(cast("list[dict[str, Json]]", record.get("activities", [])), callbacks),
            **shown(machine, key, stored.run_by),
            "deferred": record.get("deferred", []),
            "undo": [
                {**shown, "stable_id": stable_id(self.name, key, machine.life, done)}
                for shown, done in zip(cast("list[dict[str, Any]]", record.get("undo", [])), machine.undo, strict=True)
            ],
            "stopping": record.get("stopping", []),
            "parked": [loads(delivery.encode()) for token, delivery in parked.items() if token in waiting],
        }

    async def _history(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Read what the machine has done: `{"after": 0, "limit": 100}` in order, or `{"last": 20}`."""
        wanted = Range.decode(self.name, body)
        stored = await self._read(ctx)
        found = await entries_of(ctx, self.chart, stored, wanted)
        return dumps({"chart": self.name, "key": ctx.key(), **found})

    async def _read(self, ctx: ObjectSharedContext) -> StoredMachine:
        """What the key holds, for a handler that only reads."""
        text = await ctx.get(StateKey.SNAPSHOT, serde=BYTES)
        stored = StoredMachine.decode(self.chart, text)
        if stored.machine is None:
            raise errors.NotStarted(chart=self.name)
        return stored

    # ── waiting ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _wait_for(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Wait until the machine is somewhere, after an event if one comes along; answers with a receipt."""
        request = WaitRequest.decode(self.chart, body)
        self._refuse_private(request.event)
        if request.event is None:
            stored = await self._read(ctx)
            assert stored.machine is not None
            if meets(stored.chart, stored.machine, request.until):
                return receipt(stored.chart, ctx.key(), stored.machine, event="wait_for", outcome="met", reply=None)
        awakeable, called = ctx.awakeable(serde=BYTES)
        asked = ctx.generic_call(self.name, Handler.WAIT, request.encode(awakeable), key=ctx.key())
        clock = ctx.sleep(request.timeout)
        try:
            who, answer = await restate.select(asked=asked, clock=clock)
            if who == "asked" and answer == b"null":
                who, answer = await restate.select(called=called, clock=clock)
        except RestateTerminalError as error:
            if error.message == "cancelled":
                self._stop_waiting(ctx, awakeable)
            raise
        if who == "clock":
            await asked.cancel_invocation()  # as long as it has not begun, its event is not taken
            self._stop_waiting(ctx, awakeable)
            raise self._timed_out(ctx.key(), request)
        return dumps(told(answer)["receipt"])

    def _stop_waiting(self, ctx: ObjectSharedContext, awakeable: str) -> None:
        ctx.generic_send(self.name, Handler.UNWAIT, awakeable.encode(), key=ctx.key())

    def _timed_out(self, key: str, request: WaitRequest) -> errors.WaitTimedOut:
        until = canonical(request.until)
        return errors.WaitTimedOut(chart=self.name, key=key, condition=until, after=str(request.timeout))

    async def _wait(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Take the event of somebody who waits, and register them."""
        request = loads(body)
        event = Event(request["event"], request["payload"]) if request["event"] is not None else None
        if event is not None:
            report.about(event.name)
            seen(request["payload"])
        transaction = await self._enter(ctx)
        return dumps(await transaction.wait(request["until"], request["awakeable"], event))

    async def _run(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Create the machine for a workflow that waits for its end; null means that it has to wait."""
        request = loads(body)
        data = request["data"]
        origin = "" if data in (None, {}) else digest_of(canonical(data))

        def act(turn: Turn) -> str:
            return "created" if turn.create(data, life=life_of(ctx), created_from=origin) else "exists"

        transaction = await self._enter(ctx)
        return dumps(await transaction.wait_for_end(act, request["awakeable"]))

    async def _unwait(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Forget somebody who does not wait any longer."""
        transaction = await self._enter(ctx)
        if transaction.machine is not None:
            await transaction.leave(body.decode())
        return b""

    # ── by hand ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _repair(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Retry or skip an activity, resend what is parked, move the machine, or migrate it; always with a reason."""
        repair = RepairRequest.decode(self.name, body)
        transaction = await self._enter(ctx)
        parked = await load_parked(ctx) if repair.verb == "resend" else {}
        return await transaction.run("repair", lambda turn: repair.act(turn, parked))

    # ── what arrives by itself ────────────────────────────────────────────────────────────────────────────────────────

    async def _deliver(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Take a timer or an outcome. What cannot be taken now is sent again later, never lost."""
        delivery = Delivery.decode(body)
        seen(delivery.result)

        def act(turn: Turn) -> str:
            outcome = turn.deliver(delivery.event)
            if outcome is Outcome.IGNORED:
                log_dropped_failure(self.chart, ctx.key(), delivery)
            return "parked" if outcome is None else outcome.value

        try:
            with Located(self.name, ctx.key()):
                return await self._take_delivery(ctx, delivery, act)
        except errors.Gone:
            return dumps({"outcome": Outcome.STALE.value})
        except errors.DurableFSMError as error:
            reason = message_of(error)
            report.parked(delivery.event.name, reason, delivery.tries)
            park(ctx, self.chart, delivery, tries=delivery.tries)
            await keep_parked(ctx, [delivery])
            return dumps({"outcome": "parked", "reason": reason})

    async def _take_delivery(self, ctx: ObjectContext, delivery: Delivery, act: Act) -> bytes:
        transaction = await self._enter(ctx, tries=delivery.tries)
        if transaction.machine is None:
            return dumps({"outcome": Outcome.STALE.value})
        end = end_of_life(transaction.chart, transaction.machine, delivery.token)
        if end is not None:
            mark = None if end.free else mark_of(transaction.chart)
            return await self._remove(
                ctx, transaction.stored, transaction.machine, transaction.waiters, mark=mark, by=delivery.token
            )
        return await transaction.run(delivery.event.name, act)


def handlers_of(chart: Chart) -> dict[str, str]:
    """Public handler names and the events they take; events that cannot be handlers are left to `send`.

    Those of the charts that are kept beside it are among them.
    """
    found: dict[str, str] = {}
    for one in reversed(chart.served):
        found |= {event: event for event in one.public_events if is_handler_name(event) and event not in BUILT_IN}
        found |= one.hosting.handlers
    return found


def schema_of(chart: Chart, event: str) -> dict[str, Json] | None:
    payload = chart.events[event].payload
    return payload.schema() if payload else None


def _instant(milliseconds: int | None) -> str | None:
    """As people read it: `2030-01-01T12:00:00+00:00`."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat(timespec="milliseconds")
