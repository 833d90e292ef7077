"""Detached work: activities that a callback starts, that no state waits for, and that no transition stops.

The machine sends one order and forgets it. The order starts two invocations: the run, which delivers its own outcome, and a
watcher, which delivers what the run cannot: that it was killed, or is not over by its deadline.
"""

from __future__ import annotations

from datetime import timedelta

import restate
from restate import ObjectContext
from restate import TerminalError as RestateTerminalError

from durable_fsm.core.chart import Chart
from durable_fsm.core.events import Failure
from durable_fsm.restate.activities.failures import interruption
from durable_fsm.restate.activities.job import ActivityJob
from durable_fsm.restate.activities.service import log_dropped_failure
from durable_fsm.restate.attaching import end_of
from durable_fsm.restate.fastjson import WireRecord
from durable_fsm.restate.names import Handler, activities_name, handler_name
from durable_fsm.restate.registration import SUSPENDED_AFTER, register
from durable_fsm.restate.stored.deliveries import Delivery


class DetachedOrder(WireRecord, frozen=True):
    activity: str
    job: ActivityJob


class DetachedRun(WireRecord, frozen=True):
    """A run that a watcher is attached to; `awaited` if the machine waits for its outcome."""

    run: str
    activity: str
    key: str
    token: str
    awaited: bool


def start_detached(ctx: ObjectContext, chart: Chart, activity: str, job: ActivityJob) -> None:
    """Order detached work."""
    # The order is an invocation of its own, because killing an invocation also kills the calls and sends it made.
    ctx.generic_send(activities_name(chart), Handler.START, DetachedOrder(activity, job).encode())


def add_detached(service: restate.Service, chart: Chart) -> None:
    """Add the handlers of detached work to the service of the chart's activities."""

    async def start(ctx: restate.Context, body: bytes) -> bytes:
        """Start the run and its watcher."""
        order = DetachedOrder.decode(body)
        job = order.job
        handle = ctx.generic_send(activities_name(chart), handler_name(order.activity), job.encode())
        run = DetachedRun(await handle.invocation_id(), order.activity, job.key, job.token, awaited=job.background)
        ctx.generic_send(activities_name(chart), Handler.WATCH, run.encode())
        return b""

    async def watch(ctx: restate.Context, body: bytes) -> bytes:
        """Wait for the end of the run, and deliver a failure that the run cannot deliver."""
        run = DetachedRun.decode(body)
        failure = await _failure_of(ctx, run, chart.activities[run.activity].deadline)
        if failure is None:
            return b""
        outcome = Delivery(run.token, run.activity, error=failure)
        if run.awaited:
            ctx.generic_send(chart.name, Handler.DELIVER, outcome.encode(), key=run.key)
        else:
            log_dropped_failure(chart, run.key, outcome)
        if failure.type == "deadline":
            ctx.cancel_invocation(run.run)
        return b""

    register(service, Handler.START, start, chart=chart, retried=True)
    register(service, Handler.WATCH, watch, chart=chart, retried=True, inactivity_timeout=SUSPENDED_AFTER)


async def _failure_of(ctx: restate.Context, run: DetachedRun, deadline: timedelta | None) -> Failure | None:
    """Why the run ended without delivering an outcome, or must end now; None if it has delivered one."""
    end = await end_of(ctx, run.run, within=deadline)
    if end is None:
        return Failure("deadline", f"work '{run.activity}' did not end within {deadline}.")
    try:
        await end
    except RestateTerminalError as error:
        return interruption(f"work '{run.activity}'", error)
    return None
