"""Detached work: activities that a callback starts, that no state waits for, and that nothing of the machine stops.

The machine sends one order and forgets it. Two things come of that order: the run itself, which brings its own outcome,
and a watcher beside it, which brings what the run cannot: that it was killed, or has outlasted its deadline.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import restate
from restate import ObjectContext
from restate import TerminalError as RestateTerminalError
from restate.serde import BytesSerde

from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import milliseconds, plain
from durable_fsm.core.events import Failure
from durable_fsm.restate.activities.service import Job, dropped, handler_name, runner_name
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.http.requests import Delivery

BYTES = BytesSerde()


@dataclass(frozen=True, slots=True)
class Watched:
    """A run that is under way, and what its machine is to be told about."""

    run: str
    activity: str
    key: str
    token: str
    awaited: bool

    def encode(self) -> bytes:
        return dumps(plain(self))


def start_detached(ctx: ObjectContext, chart: Chart, activity: str, job: Job) -> None:
    """Order detached work. The order is an invocation of its own: to kill a run is to kill what it has sent."""
    order = {"activity": activity, "job": loads(job.encode())}
    ctx.generic_send(runner_name(chart), "_start", dumps(order))


def add_detached(service: restate.Service, chart: Chart) -> None:
    """Add to a runner what detached work needs."""

    async def start(ctx: restate.Context, body: bytes) -> bytes:
        """Start the run, and its watcher."""
        order = loads(body)
        job = Job(**order["job"])
        handle = ctx.generic_send(runner_name(chart), handler_name(order["activity"]), job.encode())
        run = await handle.invocation_id()
        watched = Watched(run, order["activity"], job.key, job.token, awaited=job.background)
        ctx.generic_send(runner_name(chart), "_watch", watched.encode())
        return b""

    async def watch(ctx: restate.Context, body: bytes) -> bytes:
        """Wait for the end of the run, and tell of one that it cannot tell of itself."""
        watched = Watched(**loads(body))
        failure = await _end(ctx, watched, chart.activities[watched.activity].deadline)
        if failure is None:
            return b""
        outcome = Delivery(watched.token, watched.activity, error=failure)
        if watched.awaited:
            ctx.generic_send(chart.name, "_deliver", outcome.encode(), key=watched.key)
        else:
            dropped(chart, watched.key, outcome)
        if failure.type == "deadline":
            ctx.cancel_invocation(watched.run)
        return b""

    handlers: tuple[tuple[str, Callable[[restate.Context, bytes], Awaitable[bytes]]], ...] = (
        ("_start", start),
        ("_watch", watch),
    )
    for name, handle in handlers:
        service.handler(name, accept="*/*", input_serde=BYTES, output_serde=BYTES)(handle)


async def _end(ctx: restate.Context, watched: Watched, deadline: timedelta | None) -> Failure | None:
    """Why the run has ended without an outcome of its own, or must end now; None if it has brought one."""
    end = ctx.attach_invocation(watched.run, serde=BYTES)
    if deadline is None:
        await restate.wait_completed(end)
    else:
        ended, _ = await restate.wait_completed(end, ctx.sleep(timedelta(milliseconds=milliseconds(deadline))))
        if end not in ended:
            return Failure("deadline", f"work '{watched.activity}' was not over after {deadline}.")
    try:
        await end
    except RestateTerminalError as error:
        kind = error.message if error.message in ("cancelled", "killed") else "lost"
        return Failure(kind, f"work '{watched.activity}' was {kind}.", error.status_code)
    return None
