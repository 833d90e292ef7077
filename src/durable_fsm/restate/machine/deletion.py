"""Deleting a machine that has done something: refused, unless it is to be undone first or somebody says it need not be."""

from __future__ import annotations

from enum import StrEnum
from functools import partial

from restate import TerminalError as RestateTerminalError

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.dissolve import dissolve, done_by, not_ended, stuck, without
from durable_fsm.core.effects import StartActivity
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.snapshot import Snapshot, Undoable
from durable_fsm.core.values import Json
from durable_fsm.restate.activities.failures import is_cancellation
from durable_fsm.restate.http.requests import BYTES, Delivery, read
from durable_fsm.restate.machine.transaction import Transaction, load_handles
from durable_fsm.restate.names import activities_name, undo_handler_name


class DeleteMode(StrEnum):
    """What becomes of that which a machine has done: it must be nothing, or is undone first, or stays."""

    CLEAN = "clean"
    COMPENSATE = "compensate"
    ABANDON = "abandon"

    @classmethod
    def decode(cls, chart: str, body: bytes) -> DeleteMode:
        """Read `{"compensate": true}`, `{"abandon": true}`, or nothing.

        Raises:
            MalformedInput: it is something else.
        """
        request = read(chart, "delete", body)
        if request in (None, {}):
            return cls.CLEAN
        for how in (cls.COMPENSATE, cls.ABANDON):
            if request == {how.value: True}:
                return how
        problem = 'expected nothing, {"compensate": true} or {"abandon": true}.'
        raise errors.MalformedInput(chart=chart, handler="delete", problem=problem)


def refuse_unclean(chart: Chart, machine: Snapshot) -> None:
    """Raise what a machine answers that has done something, or may be about to."""
    done, ending = done_by(machine), not_ended(chart, machine)
    if done or ending:
        raise errors.NotUndone(chart=chart.name, done=done, ending=ending)


async def compensate(transaction: Transaction) -> list[Json]:
    """Stop the machine, and undo all it has done; the ids of what was undone, in order.

    Every undo is saved when it is done: whatever ends this invocation, another one goes on with the rest.

    Raises:
        NotUndone: something failed for good, or has not ended. The machine is stopped and keeps what is left.
    """
    chart, turn = transaction.chart, transaction.turn
    transaction.begin()
    turn.change("delete", lambda machine: dissolve(chart, machine))
    await transaction.commit()
    await _ends(transaction)
    undone: list[Json] = []
    while turn.machine.undo:
        done = turn.machine.undo[-1]
        failure = await _undo(transaction, done)
        if failure is not None:
            turn.change("delete", partial(stuck, undone=done, failure=failure))
        else:
            turn.change("delete", partial(without, undone=done), note={"undone": done.id})
            undone.append(done.id)
        await transaction.commit()
        if failure is not None:
            left = tuple(done.id for done in turn.machine.undo)
            problem = f"'{done.id}' could not be undone: {failure.message}"
            raise errors.NotUndone(chart=chart.name, done=left, problem=problem)
    return undone


async def _ends(transaction: Transaction) -> None:
    """Wait for the ends of what was stopped; they are attached to, for their deliveries queue behind this invocation."""
    chart, ctx, turn = transaction.chart, transaction.ctx, transaction.turn
    handles = await load_handles(ctx)
    for stopping in turn.machine.stopping:
        if stopping.token not in handles:
            break
        try:
            end = Delivery.decode(await ctx.attach_invocation(handles[stopping.token], serde=BYTES)).event
        except RestateTerminalError as error:
            if is_cancellation(error):
                raise
            failure = Failure("lost", f"activity '{stopping.id}' has not said how it ended: {error.message}")
            end = Event(f"error.invoke.{stopping.id}", failure, Origin.PLATFORM, token=stopping.token)
        turn.deliver(end)
    await transaction.commit()
    if ending := not_ended(chart, turn.machine):
        raise errors.NotUndone(chart=chart.name, done=(), ending=ending)


async def _undo(transaction: Transaction, done: Undoable) -> Failure | None:
    """Have something undone; why it could not be, if it could not."""
    chart, ctx = transaction.chart, transaction.ctx
    start = StartActivity(f"{done.token}.undo", done.id, done.entry, exclusive=True, undo=done)
    job = transaction.job(start, by="delete")
    answer = ctx.generic_call(activities_name(chart), undo_handler_name(done.id), job.encode())
    outcome = Delivery.decode(await answer)
    return outcome.error
