"""The host: one chart as a virtual object, one machine per key.

Every exclusive handler does the same: load the snapshot, run a turn, save once, perform the effects, answer. Between
the save and the last send there is no await, so that no cancellation can part them. Outside work is never done here
(see `runner`), and no exception of ours is ever retried by the platform.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, cast

import restate
from restate import ObjectContext, ObjectSharedContext
from restate import TerminalError as RestateTerminalError
from restate.handler import TypeHint
from restate.serde import BytesSerde

from durable_fsm import errors
from durable_fsm.core.activity import stable_id
from durable_fsm.core.ask import answers_in
from durable_fsm.core.codec import canonical, milliseconds, snapshot_from_json, snapshot_to_json
from durable_fsm.core.fits import misfit
from durable_fsm.core.model import (
    Armed,
    Cancel,
    Chart,
    Effect,
    Event,
    Failure,
    Json,
    Origin,
    Outcome,
    Post,
    Reply,
    Send,
    Snapshot,
    StartActivity,
    StartMachine,
    StopActivity,
    StopMachine,
)
from durable_fsm.core.step import active_in, step
from durable_fsm.core.turn import Turn
from durable_fsm.restate.detached import start_detached
from durable_fsm.restate.runner import Job, dropped, handler_name, runner_name
from durable_fsm.restate.wire import FOR_EVER, MAX_SNAPSHOT, Delivery, read, receipt, terminal_errors

SNAPSHOT = "snapshot"
"""K/V key of the machine: one readable JSON text."""

HANDLES = "handles"
"""K/V key of what can still be cancelled: `{token: invocation id}`."""

BUILT_IN = ("create", "send", "snapshot", "delete", "wait_for", "history", "cancel", "_deliver", "_parked")
"""Handler names that no event can have; such an event is reachable through `send`."""

BYTES = BytesSerde()

PARK_FIRST = timedelta(seconds=float(os.environ.get("DURABLE_FSM_PARK_FIRST_SECONDS", "30")))
"""How long a delivery is parked the first time; each further time is twice as long, up to `PARK_LONGEST`."""

PARK_LONGEST = timedelta(hours=1)

CANCELLED = 409
"""Status of Restate's own error in an invocation that is being cancelled; none of ours that meets a delivery has it."""

Act = Callable[[Turn], Outcome | str]


@dataclass(frozen=True, slots=True)
class Changes:
    """By token: what was sent and can be cancelled, and what has ended."""

    sent: dict[str, restate.context.SendHandle]
    ended: set[str]


class Host:
    """Hosts one chart."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.name = chart.name

    # ── the virtual object ────────────────────────────────────────────────────────────────────────────────────────────

    def virtual_object(self) -> restate.VirtualObject:
        """The object with all its handlers; schemas and docstrings go to discovery, and so into OpenAPI."""
        service = restate.VirtualObject(self.name, description=self.chart.doc or None, invocation_retry_policy=FOR_EVER)
        for handler, event in handlers_of(self.chart).items():
            declared = self.chart.events[event]
            schema = declared.payload.schema() if declared.payload else None
            self._add(service, handler, self._event_handler(event), schema=schema, doc=declared.doc)
        self._add(service, "create", self._create, schema=self.chart.data.schema())
        self._add(service, "send", self._send, schema=SEND_SCHEMA)
        self._add(service, "delete", self._delete)
        self._add(service, "snapshot", self._snapshot, kind="shared")
        self._add(service, "_deliver", self._deliver, private=True)
        self._add(service, "_parked", self._deliver, private=True)
        return service

    def _add(
        self,
        service: restate.VirtualObject,
        name: str,
        handle: Callable[[Any, bytes], Awaitable[bytes]],  # Any: exclusive and shared contexts differ by handler
        *,
        schema: dict[str, Json] | None = None,
        doc: str = "",
        kind: str = "exclusive",
        private: bool = False,
    ) -> None:
        async def handler(ctx: Any, body: bytes) -> bytes:
            return await handle(ctx, body)

        handler.__doc__ = doc or handle.__doc__
        register = service.handler(
            name,
            kind="shared" if kind == "shared" else "exclusive",
            accept="*/*",
            input_serde=BYTES,
            output_serde=BYTES,
            ingress_private=private or None,
        )
        register(handler)
        published = schema
        if published is not None:
            hint = TypeHint[Any](annotation=object, generate_json_schema=lambda: cast("dict[str, Any]", published))
            service.handlers[name].handler_io.input_type = hint

    # ── handlers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _event_handler(self, event: str) -> Callable[[ObjectContext, bytes], Awaitable[bytes]]:
        async def take(ctx: ObjectContext, body: bytes) -> bytes:
            with terminal_errors(self.name, ctx.key()):
                payload = read(self.name, event, body)
            return await self._take(ctx, event, payload)

        take.__doc__ = f"Send '{event}'; answers with a receipt."
        return take

    async def _send(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Send any public event: `{"event": name, "payload": …}`; answers with a receipt."""
        with terminal_errors(self.name, ctx.key()):
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
        return event, request.get("payload")

    async def _take(self, ctx: ObjectContext, name: str, payload: Json) -> bytes:
        event = Event(name, payload)

        def act(turn: Turn) -> Outcome:
            return turn.take(event)

        with terminal_errors(self.name, ctx.key()):
            if name in self._private_spellings:
                raise errors.Forbidden(chart=self.name, event=name)
        return await self._turn(ctx, name, act, autostart=event)

    @cached_property
    def _private_spellings(self) -> frozenset[str]:
        """Private events as their authors spell them: `done_invoke_charging`."""
        return frozenset(event.name.replace(".", "_") for event in self.chart.events.values() if not event.public)

    async def _create(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Create the machine with this data; the same data again changes nothing, other data is refused."""
        with terminal_errors(self.name, ctx.key()):
            data = read(self.name, "create", body)
            origin = "" if data in (None, {}) else _digest(canonical(data))

        def act(turn: Turn) -> str:
            return "created" if turn.create(data, life=life_of(ctx), created_from=origin) else "exists"

        return await self._turn(ctx, "create", act)

    async def _delete(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Delete the machine: its timers and activities are stopped, its key is free for a new life."""
        machine = await self._load(ctx)
        with terminal_errors(self.name, ctx.key()):
            if machine is None:
                raise errors.NotStarted(chart=self.name, remedy="There is nothing to delete.")
            answer = receipt(self.chart, ctx.key(), machine, event="delete", outcome="deleted", reply=None)
        handles = await self._load_handles(ctx)
        ctx.clear_all()
        for invocation in handles.values():
            ctx.cancel_invocation(invocation)
        return answer

    async def _snapshot(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Read the machine: where it is, its data, what it accepts, its timers and activities."""
        stored = await ctx.get(SNAPSHOT, serde=BYTES)
        with terminal_errors(self.name, ctx.key()):
            machine = self._decode(stored)
            if machine is None:
                raise errors.NotStarted(chart=self.name)
            return canonical(self._view(ctx.key(), machine)).encode()

    def _view(self, key: str, machine: Snapshot) -> dict[str, Json]:
        record = snapshot_to_json(machine)
        accepts: list[Json] = [
            {"event": event, "accepts": answer, "payload": cast("Json", self._schema(event))}
            for event, answer in answers_in(self.chart, machine).items()
        ]
        return {
            "machine": self.name,
            "key": key,
            "version": machine.version,
            "life": machine.life,
            "seq": machine.seq,
            "status": machine.status.value,
            "configuration": list(active_in(self.chart, machine)),
            "leaves": list(machine.configuration),
            "data": machine.data,
            "output": machine.output,
            "failure": record.get("failure"),
            "events": accepts,
            "timers": record.get("timers", []),
            "activities": record.get("activities", []),
        }

    def _schema(self, event: str) -> dict[str, Json] | None:
        payload = self.chart.events[event].payload
        return payload.schema() if payload else None

    async def _deliver(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Take a timer or an outcome. What cannot be taken now is sent again later, never lost."""
        with terminal_errors(self.name, ctx.key()):
            delivery = Delivery.decode(body)

        def act(turn: Turn) -> str:
            outcome = turn.deliver(delivery.event)
            if outcome is Outcome.IGNORED:
                dropped(self.chart, ctx.key(), delivery)
            return "parked" if outcome is None else outcome.value

        try:
            machine = await self._load(ctx)
            if machine is None:
                return canonical({"outcome": Outcome.STALE.value}).encode()
            return await self._turn(ctx, delivery.event.name, act, loaded=machine, tries=delivery.tries)
        except RestateTerminalError as error:
            if error.status_code == CANCELLED:
                raise
            self._park(ctx, delivery)
            return canonical({"outcome": "parked", "reason": error.message}).encode()

    # ── the turn ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _turn(
        self,
        ctx: ObjectContext,
        event: str,
        act: Act,
        *,
        autostart: Event | None = None,
        loaded: Snapshot | None = None,
        tries: int = 0,
    ) -> bytes:
        """Load, settle what was left behind, act, drain, save, answer.

        What is settled stays so, whatever becomes of the event.
        """
        machine = loaded if loaded is not None else await self._load(ctx)
        turn = Turn(self.chart, machine, seed=ctx.request().id)
        with terminal_errors(self.name, ctx.key()):
            turn.begin()
        if machine is not None and turn.changed:
            await self._drain(ctx, turn, tries=tries)
            await self._commit(ctx, turn, tries=tries, again=machine.timers)
        if autostart is not None and turn.snapshot is None:
            with terminal_errors(self.name, ctx.key()):
                turn.autostart(life=life_of(ctx))
                self._refuse_early(turn.machine, autostart)
            await self._drain(ctx, turn, tries=tries)
        with terminal_errors(self.name, ctx.key()):
            outcome = act(turn)
        await self._drain(ctx, turn, tries=tries)
        with terminal_errors(self.name, ctx.key()):
            answer = receipt(self.chart, ctx.key(), turn.machine, event=event, outcome=outcome, reply=turn.reply)
        await self._commit(ctx, turn, tries=tries)
        return answer

    def _refuse_early(self, machine: Snapshot, event: Event) -> None:
        """Raise what no state of the machine would change: for such an event no machine starts its work."""
        with suppress(errors.EventRejected, errors.Finished, errors.ActionError):
            step(self.chart, machine, event)

    async def _drain(self, ctx: ObjectContext, turn: Turn, *, tries: int) -> None:
        """Let the turn run on, through its exclusive activities."""
        while True:
            with terminal_errors(self.name, ctx.key()):
                call = turn.next_call()
            if call is None:
                return
            outcome = await self._call(ctx, turn, call, tries=tries)
            with terminal_errors(self.name, ctx.key()):
                turn.deliver(outcome)

    async def _call(self, ctx: ObjectContext, turn: Turn, call: StartActivity, *, tries: int) -> Event:
        """Save, call an exclusive activity and wait for its outcome; being cancelled or killed is one too."""
        changes = self._save(ctx, turn, tries=tries)
        job = self._job(ctx.key(), turn.machine, call)
        answer = ctx.generic_call(runner_name(self.chart), handler_name(call.id), job.encode())
        try:
            await self._keep_handles(ctx, turn.machine, changes)
            return Delivery.decode(await answer).event
        except RestateTerminalError as error:
            return Event(f"error.invoke.{call.id}", _interruption(call, error), Origin.PLATFORM, token=call.token)

    def _job(self, key: str, machine: Snapshot, start: StartActivity) -> Job:
        awaited = any(running.token == start.token for running in machine.activities)
        return Job(
            key,
            start.token,
            stable_id(self.name, key, machine.life, start),
            start.payload if start.detached else machine.data,
            background=awaited and not start.exclusive,
            detached=start.detached,
            items=None if start.items is None else list(start.items),
        )

    # ── loading and saving ────────────────────────────────────────────────────────────────────────────────────────────

    async def _load(self, ctx: ObjectContext | ObjectSharedContext) -> Snapshot | None:
        stored = await ctx.get(SNAPSHOT, serde=BYTES)
        with terminal_errors(self.name, ctx.key()):
            return self._decode(stored)

    def _decode(self, stored: bytes | None) -> Snapshot | None:
        if stored is None:
            return None
        try:
            record = json.loads(stored)
        except ValueError as error:
            raise errors.SnapshotUnreadable(chart=self.name, problem=f"it is no JSON: {error}.") from error
        machine = snapshot_from_json(self.chart, record)
        problem = misfit(self.chart, machine)
        if problem is not None:
            served = (self.chart.version,)
            raise errors.VersionError(chart=self.name, stored=machine.version, served=served, problem=problem)
        return machine

    async def _commit(self, ctx: ObjectContext, turn: Turn, *, tries: int, again: tuple[Armed, ...] = ()) -> None:
        """Save, and keep what is needed to cancel early.

        *again* are timers to send once more, where they still count: to kill a turn is to kill whatever it has sent,
        timers too. One that had survived makes the other stale.
        """
        changes = self._save(ctx, turn, tries=tries, again=again)
        with suppress(RestateTerminalError):  # cancelled, but the event has been taken: its sender is told so
            await self._keep_handles(ctx, turn.machine, changes)

    def _save(self, ctx: ObjectContext, turn: Turn, *, tries: int, again: tuple[Armed, ...] = ()) -> Changes:
        """Save what changed, then perform the effects: no await in between, nothing can part them."""
        effects = turn.take_effects()
        effects += [Send(timer.token, timer.event, timer.after) for timer in again if timer in turn.machine.timers]
        parked, turn.parked = turn.parked, []
        if turn.changed:
            with terminal_errors(self.name, ctx.key()):
                text = self._encode(turn.machine)
            ctx.set(SNAPSHOT, text, serde=BYTES)
            turn.saved()
        for event in parked:
            self._park(ctx, Delivery.of(event), tries=tries)
        sent = {token: handle for effect in effects for token, handle in self._perform(ctx, turn.machine, effect)}
        ended = {effect.token for effect in effects if isinstance(effect, Cancel | StopActivity)}
        return Changes(sent, ended)

    def _encode(self, machine: Snapshot) -> bytes:
        text = canonical(snapshot_to_json(machine)).encode()
        if len(text) > MAX_SNAPSHOT:
            raise errors.TooLarge(chart=self.name, size=len(text), limit=MAX_SNAPSHOT)
        return text

    def _perform(
        self, ctx: ObjectContext, machine: Snapshot, effect: Effect
    ) -> list[tuple[str, restate.context.SendHandle]]:
        """Send what the effect asks for; the handles are those worth keeping."""
        match effect:
            case Send():
                delay = timedelta(milliseconds=milliseconds(effect.after)) or None
                body = Delivery(effect.token).encode()
                handle = ctx.generic_send(self.name, "_deliver", body, key=ctx.key(), send_delay=delay)
                return [(effect.token, handle)] if effect.after >= self.chart.policies.cancel_timers_over else []
            case StartActivity(detached=True):
                start_detached(ctx, self.chart, effect.id, self._job(ctx.key(), machine, effect))
                return []  # nothing stops it
            case StartActivity():
                job = self._job(ctx.key(), machine, effect)
                handle = ctx.generic_send(runner_name(self.chart), handler_name(effect.id), job.encode())
                return [(effect.token, handle)]
            case Cancel() | StopActivity() | Reply() | StartMachine() | StopMachine() | Post():
                return []  # charts with machines of their own are not hosted yet: services() refuses them

    async def _keep_handles(self, ctx: ObjectContext, machine: Snapshot, changes: Changes) -> None:
        """Cancel what has ended and remember how to cancel what was sent.

        Losing this costs an early cancellation, nothing else: what arrives late is dropped by its token.
        """
        if not changes.sent and not changes.ended:
            return
        handles = await self._load_handles(ctx)
        before = dict(handles)
        for token in sorted(changes.ended & handles.keys()):
            ctx.cancel_invocation(handles[token])
        for token, handle in changes.sent.items():
            handles[token] = await handle.invocation_id()
        live = {timer.token for timer in machine.timers} | {running.token for running in machine.activities}
        handles = {token: handle for token, handle in handles.items() if token in live}
        if handles != before:
            ctx.set(HANDLES, canonical(cast("Json", handles)).encode(), serde=BYTES)

    async def _load_handles(self, ctx: ObjectContext) -> dict[str, str]:
        stored = await ctx.get(HANDLES, serde=BYTES)
        handles: dict[str, str] = json.loads(stored or b"{}")
        return handles

    def _park(self, ctx: ObjectContext, delivery: Delivery, *, tries: int | None = None) -> None:
        """Send a delivery to ourselves again later."""
        done = delivery.tries if tries is None else tries
        delay = min(PARK_FIRST * 2 ** min(done, 10), PARK_LONGEST)
        later = Delivery(delivery.token, delivery.activity, delivery.result, delivery.error, done + 1)
        ctx.generic_send(self.name, "_parked", later.encode(), key=ctx.key(), send_delay=delay)


SEND_SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {"event": {"type": "string"}, "payload": {}},
    "required": ["event"],
    "additionalProperties": False,
}


def handlers_of(chart: Chart) -> dict[str, str]:
    """Public handler names and the events they take; events that cannot be handlers are left to `send`."""
    names = {event: event for event in chart.public_events if is_handler_name(event) and event not in BUILT_IN}
    return {**names, **chart.handlers}


def is_handler_name(name: str) -> bool:
    """Whether Restate accepts *name*; one that it does not would fail the whole registration."""
    return name.isascii() and name.isidentifier() and (name[0] != "_" or (len(name) > 1 and name[1] != "_"))


def life_of(ctx: ObjectContext) -> str:
    """The name of a life that begins in this invocation."""
    return _digest(ctx.request().id)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _interruption(call: StartActivity, error: RestateTerminalError) -> Failure:
    """What becomes of an exclusive activity whose call brought no outcome."""
    if error.message in ("cancelled", "killed"):
        return Failure(error.message, f"activity '{call.id}' was {error.message}.", error.status_code)
    return Failure("lost", f"activity '{call.id}' could not be called: {error.message}", error.status_code)
