"""Those who wait for a machine: the condition of each, and the answer it gets.

An exclusive invocation registers a waiter, and every save from then on judges it. So nothing is missed between asking and
waiting.

A waiter gets its answer through a named signal of Restate, because the ingress has no way to send one. It would not do to
use an awakeable: its id can be computed from the id of the invocation that waits, which its caller knows, and the ingress
lets anyone answer it. The name of the signal is the id of the invocation that registers the waiter: only Restate and that
invocation know it. An earlier build registered awakeables, and what it stored is answered through them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, cast

from restate import ObjectContext

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical, failure_to_json
from durable_fsm.core.condition import meets
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.step import active_in
from durable_fsm.core.turn import Taken
from durable_fsm.core.values import Json, changed
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.http.errors import terminal
from durable_fsm.restate.http.requests import BYTES, receipt
from durable_fsm.restate.machine.storage import load_state
from durable_fsm.restate.names import StateKey
from durable_fsm.restate.stored.waiters import ENDED, Waiter, read_waiters

MOST = 1_000
"""Waiters of one machine."""

MOST_BYTES = 4 * 1024 * 1024
"""Length of the replies that are kept for them, together."""


def judge(waiter: Waiter, chart: Chart, key: str, machine: Snapshot, log: Iterable[Taken] = ()) -> tuple[Waiter, Json]:
    """The waiter after what was processed, and its answer; None while it has to wait."""
    later = waiter
    for taken in log:
        if waiter.token and taken.token == waiter.token:
            if taken.error is not None:
                return waiter, refusal(taken.error, key)
            later = changed(waiter, outcome=taken.outcome, reply=taken.reply, token="")
    if waiter.until == ENDED:
        is_open = machine.status is Status.RUNNING and machine.answer is None
        return waiter, None if is_open else {"ended": _end_of(machine)}
    if meets(chart, machine, later.until, later.token):
        met = receipt(chart, key, machine, event=later.event, outcome=later.outcome, reply=later.reply)
        return later, {"receipt": loads(met)}
    if machine.status is not Status.RUNNING:
        words = "at its end" if machine.status is Status.DONE else "failed"
        return later, refusal(later.in_vain(chart, words, active_in(chart, machine)), key)
    return later, None


def _end_of(machine: Snapshot) -> dict[str, Json]:
    end = machine.answer or machine
    if end.failure is not None:
        return {"status": machine.status.value, "failure": failure_to_json(end.failure)}
    return {"status": machine.status.value, "output": end.output}


def refusal(error: errors.DurableFSMError, key: str) -> Json:
    """An error, as the answer to a waiter."""
    error.key = error.key or key
    told = terminal(error)
    return {"error": {"message": told.message, "status": told.status_code, "metadata": cast("Json", told.metadata)}}


class WaiterAnswer(NamedTuple):
    """The answer to a waiter, and the name of the signal that it waits for; see `Waiter`."""

    signal: str
    body: Json


class Waiters:
    """Those who wait for one machine, by the id of their invocation, or of their awakeable."""

    def __init__(self, known: dict[str, Waiter] | None = None) -> None:
        self.known = {} if known is None else known
        self.changed = False

    @classmethod
    async def load(cls, ctx: ObjectContext, chart: Chart) -> Waiters:
        """Read those who wait; raises SnapshotUnreadable."""
        return cls(await load_state(ctx, chart, StateKey.WAITERS, read_waiters, {}))

    def add(self, chart: Chart, id: str, waiter: Waiter) -> Waiter:
        """Register a waiter. One that is registered already keeps the signal that it waits for.

        Raises:
            TooManyWaiting: the machine has as many waiters as it may.
        """
        replies = sum(_length(other.reply) for other in self.known.values())
        if len(self.known) >= MOST or replies + _length(waiter.reply) > MOST_BYTES:
            raise errors.TooManyWaiting(chart=chart.name, waiting=len(self.known))
        waiter = changed(waiter, signal=self.known.get(id, waiter).signal)
        self.known[id] = waiter
        self.changed = True
        return waiter

    def remove(self, id: str) -> None:
        self.changed |= self.known.pop(id, None) is not None

    def answers(self, chart: Chart, key: str, machine: Snapshot, log: Iterable[Taken]) -> dict[str, WaiterAnswer]:
        """The answers of those who need not wait any longer; they are removed."""
        answers: dict[str, WaiterAnswer] = {}
        log = list(log)
        for id, waiter in sorted(self.known.items()):
            later, answer = judge(waiter, chart, key, machine, log)
            if answer is not None:
                answers[id] = WaiterAnswer(waiter.signal, answer)
                self.remove(id)
            elif later != waiter:
                # It is too late to refuse a waiter whose reply is too long: it goes without.
                fits = _length(later.reply) <= MOST_BYTES // MOST
                self.known[id] = later if fits else changed(later, reply=None)
                self.changed = True
        return answers

    def refusals(self, chart: Chart, key: str, status: str) -> dict[str, WaiterAnswer]:
        """The answers of all, because the machine will be *status* before any condition is met."""
        waiting = sorted(self.known.items())
        return {id: WaiterAnswer(waiter.signal, refusal(waiter.in_vain(chart, status), key)) for id, waiter in waiting}

    def write(self, ctx: ObjectContext) -> None:
        """Store the waiters, if they have changed."""
        if self.changed and self.known:
            ctx.set(StateKey.WAITERS, dumps(cast("Json", self.known)), serde=BYTES)
        elif self.changed:
            ctx.clear(StateKey.WAITERS)
        self.changed = False


def _length(reply: Json) -> int:
    return 0 if reply is None else len(canonical(reply))


def answer_waiters(ctx: ObjectContext, answers: dict[str, WaiterAnswer]) -> None:
    for id, answer in answers.items():
        if answer.signal:
            ctx.resolve_signal(id, answer.signal, dumps(answer.body), serde=BYTES)
        else:
            ctx.resolve_awakeable(id, dumps(answer.body), serde=BYTES)
