"""Times of a transaction: the one that decisions may depend on, and when timers are due."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import restate
from restate import ObjectContext, ObjectSharedContext

from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import milliseconds, rounded_up
from durable_fsm.core.effects import Effect, Send
from durable_fsm.core.events import Event
from durable_fsm.core.snapshot import PendingSend, Snapshot
from durable_fsm.core.timers import is_recurring
from durable_fsm.core.values import changed
from durable_fsm.restate.clock import now
from durable_fsm.restate.machine.storage import StoredMachine


async def decision_time(ctx: restate.Context | ObjectContext | ObjectSharedContext, chart: Chart) -> datetime | None:
    """The time that callbacks may decide by, from Restate's journal: a replay reads the same. None if the chart needs none."""
    return datetime.fromtimestamp(await ctx.time(), UTC) if chart.reads_clock else None


def next_tick(stored: StoredMachine, timer: PendingSend) -> datetime | None:
    """When a recurring timer is due, as it was stored; None for any other."""
    due = stored.due.get(timer.token)
    if due is None or not is_recurring(stored.chart, timer):
        return None
    return datetime.fromtimestamp(due / 1_000, UTC)


async def timed(ctx: ObjectContext, stored: StoredMachine, event: Event, time: datetime | None) -> Event:
    """The event; that of a recurring timer with the moment at which it was due, and the time from Restate's journal."""
    timers = stored.machine.timers if stored.machine is not None else ()
    armed = next((timer for timer in timers if timer.token == event.token), None)
    due = next_tick(stored, armed) if armed is not None else None
    if due is None:
        return event
    return changed(event, due=due, came=time or datetime.fromtimestamp(await ctx.time(), UTC))


def begins_to_tick(stored: StoredMachine, machine: Snapshot | None) -> bool:
    """Whether a recurring timer begins now: all its ticks count from this moment, which must be known then."""
    timers = machine.timers if machine is not None else ()
    return any(
        timer.token not in stored.due and timer.at is None and is_recurring(stored.chart, timer) for timer in timers
    )


def due_of(
    stored: StoredMachine, machine: Snapshot, effects: Iterable[Effect], at: int, began: datetime | None
) -> dict[str, int]:
    """When each timer is due, by token, in milliseconds since 1970.

    Args:
        at: when it is saved, for people.
        began: when recurring timers began, from Restate's journal: the next ticks are counted from what is stored.
    """
    known = {**stored.due}
    armed = {timer.token: timer for timer in machine.timers}
    for sent in effects:
        if isinstance(sent, Send) and sent.token in armed:
            recurs = began is not None and is_recurring(stored.chart, armed[sent.token])
            start = int(began.timestamp() * 1_000) if began is not None and recurs else at
            known[sent.token] = (
                int(sent.at.timestamp() * 1_000) if sent.at is not None else start + milliseconds(sent.after)
            )
    return {token: moment for token, moment in known.items() if token in armed}


def delay_of(send: Send) -> timedelta:
    """How long from now; an instant in the past is almost at once."""
    if send.at is None:
        return rounded_up(send.after)
    wait = timedelta(milliseconds=send.at.timestamp() * 1_000 - now())
    return max(wait, timedelta(milliseconds=1))  # a replay that is later must send with a delay, too
