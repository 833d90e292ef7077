"""Limits: how many runs of one activity are under way at once, over all machines of a chart.

Each limited activity has an object of its own, which keeps who is in and who waits, first come first served. A run is in
as long as its invocation lasts: a watcher is attached to that, and hears of its end whatever the end is (done, failed,
cancelled, killed). So nothing has to be given back by those who may not live to do it, and no lease runs out under one
who is still at work, however long the service is down.
"""

from __future__ import annotations

from dataclasses import dataclass

import restate
from restate import ObjectContext, ObjectSharedContext
from restate.serde import BytesSerde

from durable_fsm.core.chart import Chart
from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.http.requests import FOR_EVER

GATE = "gate"
"""K/V key of who is in, and of the places in the queue. The places have keys of their own: `place 17`."""

BYTES = BytesSerde()


def limits_name(chart: Chart) -> str:
    """Name of the object that keeps the limits: `Order.limits`; its keys are ids of activities."""
    return f"{chart.name}.limits"


async def admission(ctx: restate.Context, chart: Chart, activity: str, limit: int) -> None:
    """Wait until this invocation may go on; it counts from then on, until its end.

    Raises:
        restate.TerminalError: cancelled meanwhile; its place in the queue is given up.
    """
    ticket, admitted = ctx.awakeable(BYTES)
    asked: dict[str, Json] = {"run": ctx.request().id, "ticket": ticket, "limit": limit}
    ctx.generic_send(limits_name(chart), "enter", dumps(asked), key=activity)
    await admitted


@dataclass(slots=True)
class Gate:
    """Who is in, and which places are taken: from `first` to `last`, but for those who have gone.

    `limit` is what the newest run asked for. `inside` maps invocations to whether a second watcher was sent.
    """

    limit: int
    inside: dict[str, bool]
    first: int = 1
    last: int = 0

    @property
    def has_room(self) -> bool:
        return len(self.inside) < self.limit

    @property
    def is_quiet(self) -> bool:
        """Nobody is in, nobody waits."""
        return not self.inside and self.first > self.last

    def encode(self) -> bytes:
        inside: list[Json] = [[run, checked] for run, checked in self.inside.items()]  # a list: their order counts
        record: dict[str, Json] = {"limit": self.limit, "inside": inside, "first": self.first, "last": self.last}
        return dumps(record)

    @classmethod
    def decode(cls, stored: bytes) -> Gate:
        record = loads(stored)
        return cls(record["limit"], dict(record["inside"]), record["first"], record["last"])


@dataclass(frozen=True, slots=True)
class Waiting:
    """One who waits, and the ticket by which it is called in."""

    place: int
    run: str
    ticket: str

    def encode(self) -> bytes:
        return dumps({"run": self.run, "ticket": self.ticket})


class Limits:
    """The object that keeps the limits of one chart."""

    def __init__(self, chart: Chart) -> None:
        self.name = limits_name(chart)
        self.chart = chart

    def virtual_object(self) -> restate.VirtualObject:
        service = restate.VirtualObject(
            self.name,
            description=f"Keeps the limits of {self.chart.name}'s activities.",
            enable_lazy_state=True,  # a long queue is not loaded to let one in
            ingress_private=True,
            invocation_retry_policy=FOR_EVER,
        )
        for name, handle in (("enter", self.enter), ("leave", self.leave)):
            service.handler(name, accept="*/*", input_serde=BYTES, output_serde=BYTES)(handle)
        service.handler("watch", kind="shared", accept="*/*", input_serde=BYTES, output_serde=BYTES)(self.watch)
        return service

    async def enter(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Let a run in, or have it wait; and have its end watched."""
        asked = loads(body)
        run: str = asked["run"]
        gate = await self._gate(ctx, asked["limit"])
        called = await self._called(ctx, gate)  # the limit may have risen
        watched = [run]
        if gate.has_room:
            gate.inside[run] = False
            called.append(Waiting(0, run, asked["ticket"]))
        else:
            gate.last += 1
            waiting = Waiting(gate.last, run, asked["ticket"])
            ctx.set(f"place {gate.last}", waiting.encode(), serde=BYTES)
            ctx.set(f"run {run}", str(gate.last).encode(), serde=BYTES)
            watched += self._second_watch(gate)
        self._save(ctx, gate, called)
        for one in watched:
            ctx.generic_send(self.name, "watch", one.encode(), key=ctx.key())
        return b""

    async def leave(self, ctx: ObjectContext, body: bytes) -> bytes:
        """A run is over: forget it, and call in who is next. May be told more than once."""
        run = body.decode()
        stored = await ctx.get(GATE, serde=BYTES)
        if stored is None:
            return b""
        gate = Gate.decode(stored)
        place = await ctx.get(f"run {run}", serde=BYTES)
        if gate.inside.pop(run, None) is None and place is None:
            return b""
        called = await self._called(ctx, gate, without=run)
        if place is not None:
            ctx.clear(f"place {place.decode()}")
            ctx.clear(f"run {run}")
        self._save(ctx, gate, called)
        return b""

    async def watch(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Wait for the end of a run, whatever it is, and tell the gate."""
        end = ctx.attach_invocation(body.decode(), serde=BYTES)
        await restate.wait_completed(end)
        ctx.generic_send(self.name, "leave", body, key=ctx.key())
        return b""

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _gate(self, ctx: ObjectContext, limit: int) -> Gate:
        stored = await ctx.get(GATE, serde=BYTES)
        gate = Gate(limit, {}) if stored is None else Gate.decode(stored)
        gate.limit = limit
        return gate

    async def _called(self, ctx: ObjectContext, gate: Gate, *, without: str = "") -> list[Waiting]:
        """Those whose turn it is now, in order; nothing is written yet."""
        called: list[Waiting] = []
        while gate.has_room and gate.first <= gate.last:
            stored = await ctx.get(f"place {gate.first}", serde=BYTES)
            if stored is not None and (record := loads(stored))["run"] != without:
                gate.inside[record["run"]] = False
                called.append(Waiting(gate.first, record["run"], record["ticket"]))
            gate.first += 1
        return called

    def _save(self, ctx: ObjectContext, gate: Gate, called: list[Waiting]) -> None:
        """Write who is in, then tell them: no await in between."""
        for one in called:
            if one.place:
                ctx.clear(f"place {one.place}")
                ctx.clear(f"run {one.run}")
        if gate.is_quiet:
            ctx.clear(GATE)
        else:
            ctx.set(GATE, gate.encode(), serde=BYTES)
        for one in called:
            ctx.resolve_awakeable(one.ticket, b"", serde=BYTES)

    @staticmethod
    def _second_watch(gate: Gate) -> list[str]:
        """Who has been in longest and has one watcher only, where somebody must wait.

        To kill a run is to kill what it has sent: at the very moment of its `enter`, its watcher too. Who comes later
        would then wait for one that is long gone.
        """
        for run, checked in gate.inside.items():
            if not checked:
                gate.inside[run] = True
                return [run]
        return []
