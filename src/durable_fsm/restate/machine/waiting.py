"""Those who wait for a machine: what they wait for, and what they are told.

A waiter is registered by an exclusive invocation and judged at every save from then on, so nothing is missed between
asking and waiting. It is told through a Restate awakeable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast

from restate import ObjectContext

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical, failure_to_json
from durable_fsm.core.condition import fault_in, meets
from durable_fsm.core.durations import duration_of
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.step import active_in
from durable_fsm.core.turn import Taken
from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.http.errors import terminal
from durable_fsm.restate.http.requests import BYTES, name_of_event, read, receipt
from durable_fsm.restate.machine.storage import members_of
from durable_fsm.restate.names import StateKey

MOST = 1_000
"""Waiters of one machine."""

MOST_BYTES = 4 * 1024 * 1024
"""Length of the replies to the events of those who wait, together."""

ENDED: dict[str, Json] = {"ended": True}
"""What a workflow waits for: whatever becomes of the machine. Nobody else can ask for it."""

LONGEST = timedelta(days=365)
USUAL = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class WaitRequest:
    """What somebody waits for, and the event they send first, if any."""

    until: dict[str, Json]
    event: str | None
    payload: Json
    timeout: timedelta

    @classmethod
    def decode(cls, chart: Chart, body: bytes) -> WaitRequest:
        """Read `{"state": "paid", "event": "checkout", "payload": {…}, "timeout": "30s"}`.

        Raises:
            MalformedInput: it is something else, or what it waits for can never be.
        """
        request = read(chart.name, "wait_for", body)
        if not isinstance(request, dict):
            raise _malformed(chart, 'expected an object such as {"state": "paid", "timeout": "30s"}.')
        until = {name: value for name, value in request.items() if name not in ("event", "payload", "timeout")}
        event = request.get("event")
        if event is not None and not isinstance(event, str):
            raise _malformed(chart, "'event' is the name of one.")
        if event is not None:
            name_of_event(chart.name, "wait_for", event)
        if event is None and "payload" in request:
            raise _malformed(chart, "'payload' belongs to an 'event'.")
        faults = [fault_in(one, until, with_event=event is not None) for one in chart.served]
        if all(faults):
            raise _malformed(chart, str(faults[0]))
        return cls(until, event, request.get("payload"), _timeout(chart, request.get("timeout")))

    def encode(self, awakeable: str) -> bytes:
        return dumps({"until": self.until, "event": self.event, "payload": self.payload, "awakeable": awakeable})


def _timeout(chart: Chart, wanted: Json) -> timedelta:
    if wanted is None:
        return USUAL
    try:
        timeout = timedelta(seconds=wanted) if isinstance(wanted, int | float) else duration_of(str(wanted))
    except (ValueError, OverflowError) as error:
        raise _malformed(chart, f"'timeout': {error}") from error
    if not timedelta(0) <= timeout <= LONGEST:
        raise _malformed(chart, f"'timeout' is between nothing and {LONGEST.days} days.")
    return timeout


def _malformed(chart: Chart, problem: str) -> errors.MalformedInput:
    return errors.MalformedInput(chart=chart.name, handler="wait_for", problem=problem)


@dataclass(frozen=True, slots=True)
class Waiter:
    """Somebody who waits.

    `event`, `outcome` and `reply` are of the event that they sent; `token` is set as long as that is deferred.
    """

    until: dict[str, Json]
    event: str = "wait_for"
    outcome: str = "met"
    reply: Json = None
    token: str = ""

    def answer(self, chart: Chart, key: str, machine: Snapshot, log: Iterable[Taken] = ()) -> tuple[Waiter, Json]:
        """The waiter after what was taken, and what to tell it; None as long as it has to wait."""
        waiter = self
        for taken in log:
            if self.token and taken.token == self.token:
                if taken.error is not None:
                    return self, refusal(taken.error, key)
                waiter = replace(self, outcome=taken.outcome, reply=taken.reply, token="")
        if self.until == ENDED:
            return self, None if machine.status is Status.RUNNING else {"ended": _end_of(machine)}
        if meets(chart, machine, waiter.until, waiter.token):
            told = receipt(chart, key, machine, event=waiter.event, outcome=waiter.outcome, reply=waiter.reply)
            return waiter, {"receipt": loads(told)}
        if machine.status is not Status.RUNNING:
            words = "at its end" if machine.status is Status.DONE else "failed"
            return waiter, refusal(waiter.in_vain(chart, words, active_in(chart, machine)), key)
        return waiter, None

    def in_vain(self, chart: Chart, status: str, configuration: tuple[str, ...] = ()) -> errors.WaitInVain:
        return errors.WaitInVain(
            chart=chart.name, condition=canonical(self.until), status=status, configuration=configuration
        )


def _end_of(machine: Snapshot) -> dict[str, Json]:
    if machine.failure is not None:
        return {"status": machine.status.value, "failure": failure_to_json(machine.failure)}
    return {"status": machine.status.value, "output": machine.output}


def refusal(error: errors.DurableFSMError, key: str) -> Json:
    """An error, as a waiter is told of it."""
    error.key = error.key or key
    told = terminal(error)
    return {"error": {"message": told.message, "status": told.status_code, "metadata": cast("Json", told.metadata)}}


class Waiters:
    """Those who wait for one machine, by awakeable."""

    def __init__(self, known: dict[str, Waiter]) -> None:
        self.known = known
        self.changed = False

    @classmethod
    async def load(cls, ctx: ObjectContext) -> Waiters:
        record = await members_of(ctx, StateKey.WAITERS)
        return cls({awakeable: Waiter(**waiter) for awakeable, waiter in record.items()})

    def add(self, chart: Chart, awakeable: str, waiter: Waiter) -> None:
        """Register somebody.

        Raises:
            TooManyWaiting: there is no room.
        """
        replies = sum(_length(other.reply) for other in self.known.values())
        if len(self.known) >= MOST or replies + _length(waiter.reply) > MOST_BYTES:
            raise errors.TooManyWaiting(chart=chart.name, waiting=len(self.known))
        self.known[awakeable] = waiter
        self.changed = True

    def remove(self, awakeable: str) -> None:
        self.changed |= self.known.pop(awakeable, None) is not None

    def answers(self, chart: Chart, key: str, machine: Snapshot, log: Iterable[Taken]) -> dict[str, Json]:
        """What to tell those who need not wait any longer; they are forgotten."""
        told: dict[str, Json] = {}
        if not self.known:
            return told
        log = list(log)
        for awakeable, waiter in sorted(self.known.items()):
            later, answer = waiter.answer(chart, key, machine, log)
            if answer is not None:
                told[awakeable] = answer
                self.remove(awakeable)
            elif later != waiter:
                fits = _length(later.reply) <= MOST_BYTES // MOST  # nobody is there to be refused any more
                self.known[awakeable] = later if fits else replace(later, reply=None)
                self.changed = True
        return told

    def write(self, ctx: ObjectContext) -> None:
        """Store them, if they have changed."""
        if self.changed and self.known:
            record = {
                awakeable: {
                    "until": waiter.until,
                    "event": waiter.event,
                    "outcome": waiter.outcome,
                    "reply": waiter.reply,
                    "token": waiter.token,
                }
                for awakeable, waiter in self.known.items()
            }
            ctx.set(StateKey.WAITERS, dumps(cast("Json", record)), serde=BYTES)
        elif self.changed:
            ctx.clear(StateKey.WAITERS)
        self.changed = False


def _length(reply: Json) -> int:
    return 0 if reply is None else len(canonical(reply))


def tell(ctx: ObjectContext, answers: dict[str, Json]) -> None:
    for awakeable, answer in answers.items():
        ctx.resolve_awakeable(awakeable, dumps(answer), serde=BYTES)
