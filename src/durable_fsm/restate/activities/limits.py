"""Limits: how many runs of one activity are under way at once, over all machines of a chart.

Each limited activity has an object of its own, which lets runs in, first come first served. A run is in until its
invocation ends: a *watcher* is attached to the invocation and reports its end, however it ended (done, failed, cancelled,
killed). So a run that dies gives its slot back, and no lease can expire under a run that is still at work, however long
the service is down.

An operator may kill what carries these messages. So a run that waits asks again from time to time, and each time one of
the runs that are inside is watched again.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any, NamedTuple

import msgspec
import restate
from restate import ObjectContext, ObjectSharedContext

from durable_fsm.core.chart import Chart
from durable_fsm.core.durations import Backoff
from durable_fsm.restate.fastjson import WireRecord
from durable_fsm.restate.http.requests import FOR_EVER
from durable_fsm.restate.names import StateKey, limits_name
from durable_fsm.restate.registration import BYTES, SUSPENDED_AFTER, register

ASKING = Backoff(timedelta(seconds=10), longest=timedelta(hours=1))
"""When a run that waits asks again."""


class EntryRequest(WireRecord, frozen=True):
    """A run that asks to be let in, the ticket by which it is let in, and the limit that its deployment declares."""

    run: str
    ticket: str
    limit: int
    again: bool = False


class QueuedRun(WireRecord, frozen=True):
    """A run that waits for its turn."""

    run: str
    ticket: str


class LimitState(WireRecord, frozen=True):
    """The runs that are inside, and the places of those that wait: `first` to `last`, some of which may be empty by now.

    `limit` is what the newest run asked for. `inside` has, for each invocation, whether a second watcher was sent; it is
    a list because the order counts.
    """

    limit: int
    inside: list[tuple[str, bool]]
    first: int
    last: int

    @property
    def has_room(self) -> bool:
        return len(self.inside) < self.limit

    @property
    def is_empty(self) -> bool:
        return not self.inside and self.first > self.last

    def let_in(self, run: str) -> LimitState:
        return msgspec.structs.replace(self, inside=[*self.inside, (run, False)])

    def turned(self) -> LimitState:
        """With the first of the runs that are inside as the last."""
        return msgspec.structs.replace(self, inside=[*self.inside[1:], *self.inside[:1]])

    def without(self, run: str) -> LimitState:
        return msgspec.structs.replace(self, inside=[one for one in self.inside if one[0] != run])


class AdmittedRun(NamedTuple):
    """A run that may go on now; its place in the queue is 0 if it did not wait."""

    place: int
    run: str
    ticket: str


async def admission(ctx: restate.Context, chart: Chart, activity: str, limit: int) -> None:
    """Wait until this invocation may go on; it counts from then on, until its end.

    Raises:
        restate.TerminalError: cancelled meanwhile; its place in the queue is given up.
    """
    ticket, admitted = ctx.awakeable(BYTES)
    request = EntryRequest(ctx.request().id, ticket, limit)
    for tries in count():
        ctx.generic_send(limits_name(chart), "enter", request.encode(), key=activity)
        first, _ = await restate.select(admitted=admitted, clock=ctx.sleep(ASKING.delay(tries)))
        if first == "admitted":
            return
        request = msgspec.structs.replace(request, again=True)


class Limits:
    """The object that keeps the limits of one chart."""

    def __init__(self, chart: Chart) -> None:
        self.name = limits_name(chart)
        self.chart = chart

    def virtual_object(self) -> restate.VirtualObject:
        service = restate.VirtualObject(
            self.name,
            description=f"Keeps the limits of {self.chart.name}'s activities.",
            enable_lazy_state=True,  # letting one run in need not load a long queue
            ingress_private=True,
            invocation_retry_policy=FOR_EVER,
        )
        for name, handle in (("enter", self.enter), ("leave", self.leave)):
            register(service, name, handle, chart=self.chart, retried=True)
        brief: dict[str, Any] = {"kind": "shared", "inactivity_timeout": SUSPENDED_AFTER}
        register(service, "watch", self.watch, chart=self.chart, retried=True, **brief)
        return service

    async def enter(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Let a run in or queue it, and watch for its end."""
        request = EntryRequest.decode(body)
        state = await self._load(ctx, request.limit)
        state, admitted = await self._admit_waiting(ctx, state)  # the limit may have risen
        watched = [request.run]
        if request.again and await self._knows(ctx, state, request.run):
            watched = [run for run, _ in state.inside[:1]]
            state = state.turned()
        elif state.has_room:
            state = state.let_in(request.run)
            admitted.append(AdmittedRun(0, request.run, request.ticket))
        else:
            place = state.last + 1
            ctx.set(f"place {place}", QueuedRun(request.run, request.ticket).encode(), serde=BYTES)
            ctx.set(f"run {request.run}", str(place).encode(), serde=BYTES)
            state = msgspec.structs.replace(state, last=place)
            # If a run is killed while it enters, its watcher dies with it, and its slot would never be freed. So each run
            # that has to wait sends a second watcher for the run that has been in longest with only one.
            oldest = next((run for run, has_second in state.inside if not has_second), None)
            if oldest is not None:
                state = msgspec.structs.replace(
                    state, inside=[(run, has_second or run == oldest) for run, has_second in state.inside]
                )
                watched.append(oldest)
        self._save(ctx, state, admitted)
        for run in watched:
            ctx.generic_send(self.name, "watch", run.encode(), key=ctx.key())
        return b""

    async def leave(self, ctx: ObjectContext, body: bytes) -> bytes:
        """A run has ended: forget it, and let the next one in. Two watchers may report the same end."""
        run = body.decode()
        stored = await ctx.get(StateKey.GATE, serde=BYTES)
        if stored is None:
            return b""
        state = LimitState.decode(stored)
        place = await ctx.get(f"run {run}", serde=BYTES)
        if place is None and all(run != inside for inside, _ in state.inside):
            return b""
        state, admitted = await self._admit_waiting(ctx, state.without(run), ended=run)
        if place is not None:
            ctx.clear(f"place {place.decode()}")
            ctx.clear(f"run {run}")
        self._save(ctx, state, admitted)
        return b""

    async def watch(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Wait for the end of a run, and report it."""
        end = ctx.attach_invocation(body.decode(), serde=BYTES)
        await restate.wait_completed(end)
        ctx.generic_send(self.name, "leave", body, key=ctx.key())
        return b""

    async def _knows(self, ctx: ObjectContext, state: LimitState, run: str) -> bool:
        """Whether a run is inside or waits."""
        inside = any(run == other for other, _ in state.inside)
        return inside or await ctx.get(f"run {run}", serde=BYTES) is not None

    async def _load(self, ctx: ObjectContext, limit: int) -> LimitState:
        stored = await ctx.get(StateKey.GATE, serde=BYTES)
        if stored is None:
            return LimitState(limit, inside=[], first=1, last=0)
        return msgspec.structs.replace(LimitState.decode(stored), limit=limit)

    async def _admit_waiting(
        self, ctx: ObjectContext, state: LimitState, *, ended: str = ""
    ) -> tuple[LimitState, list[AdmittedRun]]:
        """Let waiting runs in while there is room, except one that has *ended*. Nothing is written yet."""
        admitted: list[AdmittedRun] = []
        while state.has_room and state.first <= state.last:
            stored = await ctx.get(f"place {state.first}", serde=BYTES)
            if stored is not None and (queued := QueuedRun.decode(stored)).run != ended:
                admitted.append(AdmittedRun(state.first, queued.run, queued.ticket))
                state = state.let_in(queued.run)
            state = msgspec.structs.replace(state, first=state.first + 1)
        return state, admitted

    def _save(self, ctx: ObjectContext, state: LimitState, admitted: list[AdmittedRun]) -> None:
        """Write the state, then tell the runs that are let in: no await in between."""
        for one in admitted:
            if one.place:
                ctx.clear(f"place {one.place}")
                ctx.clear(f"run {one.run}")
        if state.is_empty:
            ctx.clear(StateKey.GATE)
        else:
            ctx.set(StateKey.GATE, state.encode(), serde=BYTES)
        for one in admitted:
            ctx.resolve_awakeable(one.ticket, b"", serde=BYTES)
