"""Cancelling work on request: shared handlers, for exclusive work holds its machine's key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from restate import ObjectSharedContext

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.snapshot import Running, Snapshot
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.http.requests import BYTES, read
from durable_fsm.restate.machine.storage import StoredMachine
from durable_fsm.restate.machine.transaction import load_handles, stop
from durable_fsm.restate.names import Handler, StateKey

AGAIN = timedelta(milliseconds=100)
"""When to look again for the handle of an activity that is just being called; each further time is twice as long."""

TRIES = 10


@dataclass(frozen=True)
class Cancelling:
    """The handlers of one chart; `read` loads its machine."""

    chart: Chart
    read: Callable[[ObjectSharedContext], Awaitable[StoredMachine]]

    async def cancel(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Cancel the running exclusive activity, or `{"activity": id}`; its outcome is an error of type `cancelled`."""
        wanted = self._wanted(body)
        stored = await self.read(ctx)
        assert stored.machine is not None
        running = self._meant(stored.chart, stored.machine, wanted)
        await self.cancel_one(ctx, running.token, tries=0)
        return dumps({"cancelled": [running.id]})

    async def later(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Cancel an activity that could not be cancelled yet, if it still runs."""
        request = loads(body)
        text = await ctx.get(StateKey.SNAPSHOT, serde=BYTES)
        machine = StoredMachine.decode_any_version(self.chart, text).machine
        if machine is not None and any(running.token == request["token"] for running in machine.activities):
            await self.cancel_one(ctx, request["token"], tries=request["tries"])
        return b""

    async def cancel_one(self, ctx: ObjectSharedContext, token: str, *, tries: int) -> None:
        """Cancel what runs under *token*. Its handle is kept a moment after the call: until then, look again."""
        handles = await load_handles(ctx)
        if token in handles:
            stop(ctx, self.chart, token)
            ctx.cancel_invocation(handles[token])
        elif tries < TRIES:
            body = dumps({"token": token, "tries": tries + 1})
            ctx.generic_send(self.chart.name, Handler.CANCEL_LATER, body, key=ctx.key(), send_delay=AGAIN * 2**tries)

    def _wanted(self, body: bytes) -> str | None:
        request = read(self.chart.name, "cancel", body)
        if request is None or request == {}:
            return None
        if not isinstance(request, dict) or not isinstance(wanted := request.get("activity"), str) or len(request) > 1:
            problem = 'expected nothing, or {"activity": id}.'
            raise errors.MalformedInput(chart=self.chart.name, handler="cancel", problem=problem)
        return wanted

    def _meant(self, chart: Chart, machine: Snapshot, wanted: str | None) -> Running:
        """The activity that is meant: the first exclusive one, for others are called when it is over."""
        idle = [one for one in machine.activities if one.parked or one.failed or one.waiting]
        running = [one for one in machine.activities if one.state is not None and one not in idle]
        for one in running:
            if one.id == wanted or (wanted is None and chart.activities[one.id].exclusive):
                return one
        names = [one.id for one in running]
        raise errors.NotRunning(chart=self.chart.name, activity=wanted, running=tuple(names))

    async def cut_short(self, ctx: ObjectSharedContext, stored: StoredMachine) -> None:
        """Cancel the exclusive activities of a machine that is to end."""
        for running in stored.machine.activities if stored.machine is not None else ():
            if stored.chart.activities[running.id].exclusive and not (running.parked or running.failed):
                await self.cancel_one(ctx, running.token, tries=TRIES)
