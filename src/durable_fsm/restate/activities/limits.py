"""Limits: how many runs are under way at once, over all machines of a chart, or over everything that shares the limit.

Each limit has an object of its own, which lets runs in: the lowest priority number first, and among equals first come first
served. A run is in until its invocation ends: a *watcher* is attached to the invocation and reports its end, however it
ended (done, failed, cancelled, killed). So a run that dies gives its slot back, and no lease can expire under a run that is
still at work, however long the service is down.

An operator may kill what carries these messages. So a run that waits asks again from time to time, and each time one of
the runs that are inside is watched again. An operator may also damage what is stored: see `stored.limits`.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
import restate
from restate import ObjectContext, ObjectSharedContext

from durable_fsm.core.chart import Activity, Chart
from durable_fsm.core.durations import Backoff
from durable_fsm.core.limits import Limit
from durable_fsm.core.values import Json
from durable_fsm.restate.attaching import end_of
from durable_fsm.restate.fastjson import WireRecord, dumps, loads
from durable_fsm.restate.http.requests import FOR_EVER
from durable_fsm.restate.names import NAMED_LIMITS, Handler, StateKey, limits_name
from durable_fsm.restate.observability.logging import log
from durable_fsm.restate.registration import BYTES, SUSPENDED_AFTER, register
from durable_fsm.restate.stored.limits import RUN, LimitState, Place, QueuedRun, place_in, queued_in, slot_status

ASKING = Backoff(timedelta(seconds=10), longest=timedelta(hours=1))
"""When a run that waits asks again."""

LISTED = 100
"""Runs that `status` lists, at most: of those that hold a slot, and of those that wait. Places given up count too."""


class EntryRequest(WireRecord, frozen=True):
    """A run that asks to be let in, the ticket by which it is let in, and the limit that its deployment declares."""

    run: str
    ticket: str
    limit: int
    again: bool = False
    machine: str = ""
    activity: str = ""
    priority: int = 0

    @property
    def queued(self) -> QueuedRun:
        return QueuedRun(self.run, self.ticket, self.machine, self.activity, self.priority)


class LimitAddress(NamedTuple):
    """Where a limit is kept, and how many slots it has."""

    service: str
    key: str
    slots: int

    @classmethod
    def of(cls, chart: Chart, activity: Activity) -> LimitAddress:
        """The address of an activity's limit, which it must have."""
        limit = activity.limit
        if isinstance(limit, Limit):
            return cls(NAMED_LIMITS, limit.name, limit.slots)
        assert limit is not None
        return cls(limits_name(chart), activity.id, limit)


class AdmittedRun(NamedTuple):
    """A run that may continue now, and the place at which it waited, if it did."""

    queued: QueuedRun
    place: Place | None = None


async def admission(ctx: restate.Context, limit: LimitAddress, machine: str, activity: str, priority: int) -> None:
    """Wait until this invocation may continue; it counts from then on, until its end.

    Raises:
        restate.TerminalError: cancelled meanwhile; its place in the queue is given up.
    """
    ticket, admitted = ctx.awakeable(BYTES)
    request = EntryRequest(ctx.request().id, ticket, limit.slots, machine=machine, activity=activity, priority=priority)
    for tries in itertools.count():
        ctx.generic_send(limit.service, "enter", request.encode(), key=limit.key)
        first, _ = await restate.select(admitted=admitted, clock=ctx.sleep(ASKING.delay(tries)))
        if first == "admitted":
            return
        request = msgspec.structs.replace(request, again=True)


class Limits:
    """The object that keeps the limits of one chart, or those that have a name.

    Args:
        charts: those whose activities have them. The first one's log and redaction are used; a chart that closes its
            `snapshot` closes `status`, which names its machines.
    """

    def __init__(self, name: str, charts: Sequence[Chart]) -> None:
        self.name = name
        self.chart = charts[0]
        self.closed = any(Handler.SNAPSHOT in chart.hosting.operators_only for chart in charts)

    def virtual_object(self) -> restate.VirtualObject:
        named = self.name == NAMED_LIMITS
        service = restate.VirtualObject(
            self.name,
            description="Keeps the limits that have a name." if named else f"Keeps the limits of {self.chart.name}.",
            enable_lazy_state=True,  # letting one run in need not load a long queue
            invocation_retry_policy=FOR_EVER,
        )
        own: dict[str, Any] = {"chart": self.chart, "where": self.name, "retried": True}
        brief: dict[str, Any] = {"kind": "shared", "inactivity_timeout": SUSPENDED_AFTER}
        register(service, "enter", self.enter, private=True, **own)
        register(service, "leave", self.leave, private=True, **own)
        register(service, "watch", self.watch, private=True, **own, **brief)
        register(service, "slot_of", self.slot_of, private=True, kind="shared", **own)
        register(service, "status", self.status, private=self.closed, kind="shared", **own)
        return service

    # ── the queue ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def enter(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Let a run in or queue it, and watch for its end."""
        request = EntryRequest.decode(body)
        run = request.run
        state = await self._state_in(ctx, await _read(ctx, StateKey.GATE), request.limit)
        state, admitted, void = await self._admit_waiting(ctx, state)  # the limit may have risen
        watched = [run]
        if request.again and (state.holds(run) or state.includes(await self._place_of(ctx, run))):
            if state.holds(run) and all(one.queued.run != run for one in admitted):
                admitted.append(AdmittedRun(request.queued))  # it would not ask if it had heard
            watched = [other for other, _ in state.inside[:1]]
            state = state.turned()
        elif state.has_room:
            state = state.let_in(run)
            admitted.append(AdmittedRun(request.queued))
        else:
            state, place = state.joined(request.priority)
            ctx.set(place.name, request.queued.encode(), serde=BYTES)
            ctx.set(f"{RUN}{run}", place.text.encode(), serde=BYTES)
            # If a run is killed while it enters, its watcher dies with it, and its slot would never be freed. So each run
            # that has to wait sends a second watcher for the run that has been in longest with only one.
            oldest = next((other for other, has_second in state.inside if not has_second), None)
            if oldest is not None:
                state = state.watched_twice(oldest)
                watched.append(oldest)
        self._save(ctx, state, admitted, void)
        for one in watched:
            ctx.generic_send(self.name, "watch", one.encode(), key=ctx.key())
        return b""

    async def leave(self, ctx: ObjectContext, body: bytes) -> bytes:
        """A run has ended: forget it, and let the next one in. Two watchers may report the same end."""
        run = body.decode()
        gate, stored = await _read_all(ctx, [StateKey.GATE, f"{RUN}{run}"])
        state = await self._state_in(ctx, gate, None)
        place = None if state.holds(run) else place_in(stored)
        if not (state.holds(run) or state.includes(place)):
            if stored is not None:
                ctx.clear(f"{RUN}{run}")
            return b""
        state = state.without(run) if place is None else state.given_up(place)
        state, admitted, void = await self._admit_waiting(ctx, state, ended=run)
        void |= {f"{RUN}{run}"} if place is None else {f"{RUN}{run}", place.name}
        self._save(ctx, state, admitted, void)
        return b""

    async def watch(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Wait for the end of a run, and report it."""
        await end_of(ctx, body.decode())
        ctx.generic_send(self.name, "leave", body, key=ctx.key())
        return b""

    async def _place_of(self, ctx: ObjectContext, run: str) -> Place | None:
        """The place at which a run waits; None if no place is its own."""
        place = place_in(await _read(ctx, f"{RUN}{run}"))
        queued = None if place is None else queued_in(await _read(ctx, place.name))
        return place if queued is not None and queued.run == run else None

    async def _admit_waiting(
        self, ctx: ObjectContext, state: LimitState, *, ended: str = ""
    ) -> tuple[LimitState, list[AdmittedRun], set[str]]:
        """Let waiting runs in while there is room, except one that has *ended*. Nothing is written yet.

        The last answer has the names of places that nothing can be read at.
        """
        admitted: list[AdmittedRun] = []
        void: set[str] = set()
        while state.has_room and state.lanes:
            place = state.next_place
            stored = await _read(ctx, place.name)
            queued = queued_in(stored)
            state = state.passed(taken=queued is not None and queued.run != ended)
            if queued is None:
                void |= {place.name} if stored is not None else set()
            elif queued.run != ended:
                admitted.append(AdmittedRun(queued, place))
                state = state.let_in(queued.run)
        return state, admitted, void

    def _save(self, ctx: ObjectContext, state: LimitState, admitted: list[AdmittedRun], void: set[str]) -> None:
        """Write the state, then tell the runs that are let in: no await in between."""
        for name in sorted(void):
            ctx.clear(name)
        for one in admitted:
            if one.place is not None:
                ctx.clear(one.place.name)
            ctx.set(f"{RUN}{one.queued.run}", one.queued.encode(), serde=BYTES)
        if state.is_empty:
            ctx.clear(StateKey.GATE)
        else:
            ctx.set(StateKey.GATE, state.encode(), serde=BYTES)
        for one in admitted:
            ctx.resolve_awakeable(one.queued.ticket, b"", serde=BYTES)

    # ── what is stored ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _state_in(self, ctx: ObjectContext, stored: bytes | None, limit: int | None) -> LimitState:
        """The state in the text of the gate. *limit* is what the newest run asks for, if one enters."""
        if stored is None:
            return LimitState(1 if limit is None else limit, inside=[])
        try:
            state = LimitState.read(stored)
        except (ValueError, RecursionError) as error:
            state = await self._rebuilt(ctx, limit)
            log.warning(
                "%s/%s: '%s' could not be read: %s. It was made again: %d runs hold a slot, %d wait.",
                self.name,
                ctx.key(),
                StateKey.GATE,
                error,
                len(state.inside),
                state.waiting,
            )
        return state if limit is None else msgspec.structs.replace(state, limit=limit)

    async def _rebuilt(self, ctx: ObjectContext, limit: int | None) -> LimitState:
        """The state, from the records of its runs.

        A run that has no place counts as inside: it may be at work. If it waits after all, it will ask again.
        """
        inside: list[str] = []
        places: list[Place] = []
        for name in sorted(await ctx.state_keys()):
            if not name.startswith(RUN):
                continue
            run = name.removeprefix(RUN)
            place = await self._place_of(ctx, run)
            if place is None:
                inside.append(run)
            else:
                places.append(place)
        # Nothing says how many slots there are. Until a run enters and says so, no more are let in.
        return LimitState.rebuilt(max(len(inside), 1) if limit is None else limit, inside, places)

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def slot_of(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Whether a run waits or holds a slot; null if it is not known."""
        return dumps(slot_status(await _read(ctx, f"{RUN}{loads(body)}")))

    async def status(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Read the limit: its slots, how many are in flight, how many wait, and which."""
        stored = await _read(ctx, StateKey.GATE)
        view: dict[str, Json] = {"limit": ctx.key()}
        if stored is None:
            return dumps({**view, "status": "idle", "in_flight": 0, "waiting": 0, "runs": [], "queue": []})
        try:
            state = LimitState.read(stored)
        except (ValueError, RecursionError) as error:
            return dumps({**view, "status": "unreadable", "problem": f"{error}."})
        holders = [run for run, _ in state.inside[:LISTED]]
        places = list(itertools.islice(state.places, LISTED))
        records = await _read_all(ctx, [*(f"{RUN}{run}" for run in holders), *(place.name for place in places)])
        known = [None if place_in(record) is not None else queued_in(record) for record in records]
        runs: list[Json] = [(queued or QueuedRun(run, "")).view for run, queued in zip(holders, known, strict=False)]
        queue: list[Json] = [queued.view for queued in known[len(holders) :] if queued is not None]
        return dumps(
            {
                **view,
                "status": state.word,
                "slots": state.limit,
                "in_flight": len(state.inside),
                "waiting": state.waiting,
                "runs": runs,
                "queue": queue,
            }
        )


async def _read(ctx: ObjectContext | ObjectSharedContext, name: str) -> bytes | None:
    stored: bytes | None = await ctx.get(name, serde=BYTES)
    return stored


async def _read_all(ctx: ObjectContext | ObjectSharedContext, names: list[str]) -> list[bytes | None]:
    """Read several values, all of them at the same time."""
    asked: list[Awaitable[bytes | None]] = []
    for name in names:
        one = ctx.get(name, serde=BYTES)
        asked.append(one)
    return [await one for one in asked]
