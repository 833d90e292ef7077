"""Cancelling activities on request. These handlers are shared, because an exclusive activity holds its machine's key."""

from __future__ import annotations

from datetime import timedelta

from restate import ObjectSharedContext

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.durations import Backoff
from durable_fsm.core.snapshot import Running, Snapshot
from durable_fsm.restate.activities.job import stop_job
from durable_fsm.restate.fastjson import WireRecord, dumps
from durable_fsm.restate.http.requests import BYTES, CancelRequest
from durable_fsm.restate.machine.storage import StoredMachine, load_handles, load_to_read
from durable_fsm.restate.names import Handler, StateKey
from durable_fsm.restate.settings import HostedChart

LOOKING = Backoff(timedelta(milliseconds=100))
TRIES = 10
"""How often to look for the invocation of an activity: its id is stored a moment after the call."""


class CancelLater(WireRecord, frozen=True):
    """The order to cancel an activity whose invocation was not known yet; `tries` counts how often it was looked for."""

    token: str
    tries: int


class CancelHandlers(HostedChart):
    """Cancels activities of the machines of one chart."""

    async def cancel(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Cancel the running exclusive activity, or `{"activity": id}`; its outcome is an error of type `cancelled`."""
        request = CancelRequest.decode(self.name, body)
        stored, machine = await load_to_read(ctx, self.chart)
        stored.refuse_moved()
        wanted = request.activity if isinstance(request.activity, str) else None
        running = _running(self.name, stored.chart, machine, wanted)
        await _cancel(ctx, self, running.token, tries=0)
        return dumps({"cancelled": [running.id]})

    async def later(self, ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Cancel an activity that could not be cancelled yet, if it still runs."""
        order = CancelLater.decode(body)
        text = await ctx.get(StateKey.SNAPSHOT, serde=BYTES)
        machine = StoredMachine.decode_any_version(self.chart, text).machine
        if machine is not None and any(running.token == order.token for running in machine.activities):
            await _cancel(ctx, self, order.token, tries=order.tries)
        return b""


async def cancel_exclusive(ctx: ObjectSharedContext, hosted: HostedChart, stored: StoredMachine) -> None:
    """Cancel the exclusive activities of a machine that is to end."""
    for running in stored.machine.activities if stored.machine is not None else ():
        if stored.chart.activities[running.id].exclusive and not (running.parked or running.failed):
            await _cancel(ctx, hosted, running.token, tries=TRIES)


async def _cancel(ctx: ObjectSharedContext, hosted: HostedChart, token: str, *, tries: int) -> None:
    """Cancel the activity that runs under *token*; look for its invocation again later, if it is not known yet."""
    handles = await load_handles(ctx, hosted.chart)
    if token in handles:
        stop_job(ctx, hosted.chart, token)
        ctx.cancel_invocation(handles[token])
    elif tries < TRIES:
        body, delay = CancelLater(token, tries + 1).encode(), LOOKING.delay(tries)
        ctx.generic_send(hosted.name, Handler.CANCEL_LATER, body, key=ctx.key(), send_delay=delay)


def _running(name: str, chart: Chart, machine: Snapshot, wanted: str | None) -> Running:
    """The activity with this id, or else the first exclusive one: others are called when that is over.

    Raises:
        NotRunning: there is none.
    """
    idle = [one for one in machine.activities if one.parked or one.failed or one.waiting]
    running = [one for one in machine.activities if one.state is not None and one not in idle]
    for one in running:
        if one.id == wanted or (wanted is None and chart.activities[one.id].exclusive):
            return one
    raise errors.NotRunning(chart=name, activity=wanted, running=tuple(one.id for one in running))
