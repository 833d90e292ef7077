"""Deleting a machine: on request, at the end of its life, or because its parent ends it."""

from __future__ import annotations

from functools import partial

from restate import ObjectContext
from restate import TerminalError as RestateTerminalError

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.deletion import after_failed_undo, after_undo, completed_work, stop_everything, unfinished_work
from durable_fsm.core.effects import StartActivity
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.snapshot import Snapshot, Status, Undoable
from durable_fsm.core.values import Json
from durable_fsm.restate.activities.failures import is_cancellation
from durable_fsm.restate.activities.job import stop_job
from durable_fsm.restate.attaching import end_of
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.field_index import tell_index
from durable_fsm.restate.history import forget
from durable_fsm.restate.http.requests import BYTES, DeleteMode, DeleteRequest, receipt
from durable_fsm.restate.machine.storage import Caller, StoredMachine, load_handles
from durable_fsm.restate.machine.transaction import ALL_OR_RETRY, Transaction
from durable_fsm.restate.machine.waiters import Waiters, answer_waiters
from durable_fsm.restate.messages.children import ChildLinks
from durable_fsm.restate.names import StateKey, activities_name, answers_name, undo_handler_name
from durable_fsm.restate.observability import report
from durable_fsm.restate.settings import HostedChart
from durable_fsm.restate.stored.deliveries import Delivery


class DeleteHandlers(HostedChart):
    """Deletes machines of one chart on request."""

    async def delete(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Delete the machine: its timers, activities and children are stopped, its key is free for a new life.

        Completed work is undone first with `{"compensate": true}`, and stays as it is with `{"abandon": true}`.
        """
        request = DeleteRequest.decode(self.name, body)
        report.only_if(request.if_seq)
        mode = request.mode
        undone: list[Json] | None = None
        if mode is DeleteMode.COMPENSATE:
            transaction = await Transaction.load(self, ctx, by=Caller.OPERATOR)
            undone = await compensate(transaction) if transaction.machine is not None else []
            stored, waiters = transaction.stored, transaction.waiters
        else:
            text = await ctx.get(StateKey.SNAPSHOT, serde=BYTES)
            try:
                # A machine that no chart here can upgrade can be deleted, too.
                stored = StoredMachine.decode_any_version(self.chart, text)
            except errors.Gone:
                return self._cleared(ctx)
            except errors.SnapshotUnreadable:
                if mode is not DeleteMode.ABANDON:
                    raise
                for invocation in (await load_handles(ctx, self.chart)).values():
                    ctx.cancel_invocation(invocation)
                return self._cleared(ctx)
            stored.refuse_moved()
            if mode is DeleteMode.CLEAN and stored.machine is not None:
                _refuse_unclean(self.chart.of(stored.machine.version), stored.machine)
            waiters = await self._waiters(ctx, stored, mode)
        if stored.machine is None:
            raise errors.NotStarted(chart=self.name, remedy="There is nothing to delete.")
        answer = await delete(self, ctx, stored, stored.machine, waiters, undone=undone)
        parent = stored.run_by
        if parent is not None and stored.machine.status is Status.RUNNING:
            ChildLinks(self, self.chart, ctx).report_lost(parent, "deleted", f"machine '{parent.id}' was deleted.")
        return answer

    def _cleared(self, ctx: ObjectContext) -> bytes:
        ctx.clear_all()
        return dumps({"chart": self.name, "key": ctx.key(), "outcome": "deleted"})

    async def _waiters(self, ctx: ObjectContext, stored: StoredMachine, mode: DeleteMode) -> Waiters:
        if not stored.waited_for:
            return Waiters()
        try:
            return await Waiters.load(ctx, self.chart)
        except errors.SnapshotUnreadable:
            if mode is DeleteMode.ABANDON:
                return Waiters()  # each is answered when its own time is over
            raise


async def delete(
    hosted: HostedChart,
    ctx: ObjectContext,
    stored: StoredMachine,
    machine: Snapshot,
    waiters: Waiters,
    *,
    mark: bytes | None = None,
    except_timer: str = "",
    undone: list[Json] | None = None,
) -> bytes:
    """Stop everything that the machine has begun, and forget it; answer with a receipt.

    Args:
        mark: what is to be left under the key, if anything.
        except_timer: token of the timer whose delivery deletes the machine; it cannot be cancelled any more.
        undone: ids of the work that was undone before.
    """
    chart = hosted.chart
    answer = receipt(chart, ctx.key(), machine, event="delete", outcome="deleted", reply=undone)
    answers = waiters.refusals(chart, ctx.key(), "deleted")
    handles = await load_handles(ctx, chart)
    report.deleted(machine)
    with ALL_OR_RETRY:
        ctx.clear_all()
        if mark is not None:
            ctx.set(StateKey.SNAPSHOT, mark, serde=BYTES)
        for token in [*(one.token for one in machine.activities), *(one.token for one in machine.stopping)]:
            stop_job(ctx, chart, token)
        links = ChildLinks(hosted, chart, ctx, machine)
        for child in machine.machines:
            if not child.ended:
                links.stop(child.token)
        if any(one.activities for one in chart.served):
            ctx.generic_send(answers_name(chart.name), "clear", b"", key=ctx.key())
        for token, invocation in handles.items():
            if token != except_timer:
                ctx.cancel_invocation(invocation)
        forget(ctx, chart, machine.life, stored.history)
        tell_index(ctx, chart, stored.indexed, ())
        answer_waiters(ctx, answers)
    return answer


def _refuse_unclean(chart: Chart, machine: Snapshot) -> None:
    """Refuse to delete a machine that has completed work, or work that may still be completed.

    Raises:
        NotUndone: it has.
    """
    done, ending = completed_work(machine), unfinished_work(chart, machine)
    if done or ending:
        raise errors.NotUndone(chart=chart.name, done=done, ending=ending)


async def compensate(transaction: Transaction) -> list[Json]:
    """Stop the machine, and undo its completed work, the last first; return the ids of what was undone, in that order.

    Every undo is saved when it is done. If this invocation ends early, the next one continues with the rest.

    Raises:
        NotUndone: an undo failed for good, or work has not ended. The machine is stopped and keeps what is left.
    """
    chart, turn = transaction.chart, transaction.turn
    transaction.begin()
    turn.change("delete", lambda machine: stop_everything(chart, machine))
    await transaction.commit()
    await _await_ends(transaction)
    undone: list[Json] = []
    while turn.machine.undo:
        done = turn.machine.undo[-1]
        failure = await _undo(transaction, done)
        if failure is not None:
            turn.change("delete", partial(after_failed_undo, undone=done, failure=failure))
        else:
            turn.change("delete", partial(after_undo, undone=done), note={"undone": done.id})
            undone.append(done.id)
        await transaction.commit()
        if failure is not None:
            left = tuple(done.id for done in turn.machine.undo)
            problem = f"'{done.id}' could not be undone: {failure.message}"
            raise errors.NotUndone(chart=chart.name, done=left, problem=problem)
    return undone


async def _await_ends(transaction: Transaction) -> None:
    """Await the ends of stopped work. Their deliveries queue behind this invocation, so it attaches to the work."""
    chart, ctx, turn = transaction.chart, transaction.ctx, transaction.turn
    handles = await load_handles(ctx, chart)
    for stopping in turn.machine.stopping:
        if stopping.token not in handles:
            break
        try:
            ended = await end_of(ctx, handles[stopping.token])
            assert ended is not None  # there is no limit
            end = Delivery.decode(await ended).event
        except RestateTerminalError as error:
            if is_cancellation(error):
                raise
            failure = Failure("lost", f"activity '{stopping.id}' has not said how it ended: {error.message}")
            end = Event(f"error.invoke.{stopping.id}", failure, Origin.PLATFORM, token=stopping.token)
        turn.deliver(end)
    await transaction.commit()
    if ending := unfinished_work(chart, turn.machine):
        raise errors.NotUndone(chart=chart.name, done=(), ending=ending)


async def _undo(transaction: Transaction, done: Undoable) -> Failure | None:
    """Undo one piece of work; return why that failed, or None."""
    start = StartActivity(f"{done.token}.undo", done.id, done.entry, exclusive=True, undo=done)
    job = transaction.job(start, by="delete").encode()
    answer = transaction.ctx.generic_call(activities_name(transaction.chart), undo_handler_name(done.id), job)
    return Delivery.decode(await answer).error
