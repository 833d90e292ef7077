"""Callbacks of activities: answers from outside that an activity waits for, and the object that lists them.

The list is a *companion* object of the chart, one for each machine, and not part of the machine's own state: an exclusive
activity holds the machine's key, and the person who is to answer must be able to read the list meanwhile.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from datetime import timedelta
from typing import Any, cast

import msgspec
import restate
from restate import ObjectContext, ObjectSharedContext
from restate import TerminalError as RestateTerminalError

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import rounded_up
from durable_fsm.core.values import Json
from durable_fsm.restate.activities.failing import add_failing
from durable_fsm.restate.activities.failures import is_cancellation
from durable_fsm.restate.fastjson import WireRecord, dumps, loads
from durable_fsm.restate.http.requests import FOR_EVER, read
from durable_fsm.restate.names import StateKey, answers_name
from durable_fsm.restate.registration import BYTES, register

MOST = 1_000
"""How many callbacks of one machine are listed: the latest. Older ones can still be answered."""


class PendingCallback(WireRecord, frozen=True):
    """A callback that is not answered yet; `token` is that of the job that waits."""

    token: str
    name: str
    id: str


_decode_all = msgspec.json.Decoder(list[PendingCallback]).decode
_encode_all = msgspec.json.Encoder(order="sorted").encode


# ── in an activity ────────────────────────────────────────────────────────────────────────────────────────────────────


class ExternalAnswer:
    """See `PendingAnswer`."""

    def __init__(self, owner: ExternalAnswers, name: str, timeout: timedelta | None) -> None:
        ctx = owner.ctx
        self.name = name
        self.id, self._answer = ctx.awakeable(serde=BYTES)
        self._owner = owner
        self._timeout = timeout
        self._clock = None if timeout is None else ctx.sleep(rounded_up(timeout))

    def __await__(self) -> Generator[Any, Any, Json]:
        return self._wait().__await__()

    async def _wait(self) -> Json:
        try:
            body = await self._answer_in_time()
        except RestateTerminalError as error:
            self._owner.forget(self)
            if is_cancellation(error):
                raise
            raise errors.CallbackRejected(callback=self.name, reason=error.message, code=error.status_code) from error
        self._owner.forget(self)
        if body is None:
            assert self._timeout is not None
            raise errors.CallbackTimeout(callback=self.name, after=self._timeout)
        try:
            return read("", self.name, body)
        except errors.MalformedInput as error:
            raise errors.CallbackUnreadable(callback=self.name, problem=error.problem) from error
        except errors.TooLarge as error:
            raise errors.CallbackUnreadable(callback=self.name, problem=error.what) from error

    async def _answer_in_time(self) -> bytes | None:
        """The answer; None if the timeout ends first."""
        if self._clock is None:
            return await self._answer
        first, value = await restate.select(answer=self._answer, clock=self._clock)
        return cast("bytes", value) if first == "answer" else None


class ExternalAnswers:
    """The callbacks of one job; keeps the companion's list up to date."""

    def __init__(self, ctx: restate.Context, chart: Chart, key: str, token: str) -> None:
        self.ctx = ctx
        self._companion = answers_name(chart.name)
        self._key = key
        self._token = token
        self._open: dict[str, ExternalAnswer] = {}

    def expect(self, name: str, timeout: timedelta | None) -> ExternalAnswer:
        """Make a callback and list it."""
        answer = ExternalAnswer(self, name, timeout)
        self._open[answer.id] = answer
        self._send("note", PendingCallback(self._token, name, answer.id).encode())
        return answer

    def forget(self, answer: ExternalAnswer) -> None:
        """Remove a callback from the list: it was answered, or the activity does not wait for it any more."""
        if self._open.pop(answer.id, None):
            self._send("forget", dumps(answer.id))

    def forget_all(self) -> None:
        """Remove all callbacks of the job from the list: the job is over."""
        for answer in list(self._open.values()):
            self.forget(answer)

    def _send(self, handler: str, body: bytes) -> None:
        self.ctx.generic_send(self._companion, handler, body, key=self._key)


# ── in the companion ──────────────────────────────────────────────────────────────────────────────────────────────────


def companion(chart: Chart) -> restate.VirtualObject:
    """The object that lists the pending callbacks of a chart's machines, and the steps that fail."""
    service = restate.VirtualObject(
        answers_name(chart.name),
        description=f"Lists the callbacks that activities of {chart.name} wait for, and their steps that fail.",
        ingress_private=True,
        invocation_retry_policy=FOR_EVER,
    )

    async def note(ctx: ObjectContext, body: bytes) -> bytes:
        """Add a callback."""
        _store(ctx, [*await _load(ctx), PendingCallback.decode(body)][-MOST:])
        return b""

    async def forget(ctx: ObjectContext, body: bytes) -> bytes:
        """Remove a callback, by its id."""
        id = loads(body)
        _store(ctx, [entry for entry in await _load(ctx) if entry.id != id])
        return b""

    async def clear(ctx: ObjectContext, body: bytes) -> bytes:
        """Remove everything: the machine is deleted."""
        ctx.clear_all()
        return b""

    async def pending(ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Answer with all callbacks."""
        return _encode_all(await _load(ctx))

    for handler in (note, forget, clear):
        register(service, handler.__name__, handler, chart=chart, retried=True)
    register(service, "pending", pending, chart=chart, retried=True, kind="shared")
    add_failing(service, chart)
    return service


async def _load(ctx: ObjectContext | ObjectSharedContext) -> list[PendingCallback]:
    stored = await ctx.get(StateKey.PENDING_ANSWERS, serde=BYTES)
    return _decode_all(stored) if stored else []


def _store(ctx: ObjectContext, entries: list[PendingCallback]) -> None:
    if entries:
        ctx.set(StateKey.PENDING_ANSWERS, _encode_all(entries), serde=BYTES)
    else:
        ctx.clear(StateKey.PENDING_ANSWERS)


def with_callbacks(activities: Iterable[dict[str, Json]], pending: bytes) -> list[Json]:
    """The running activities as `snapshot` shows them, each with its callbacks."""
    entries = _decode_all(pending)
    shown: list[Json] = []
    for running in activities:
        own: list[Json] = [{"name": entry.name, "id": entry.id} for entry in entries if entry.token == running["token"]]
        shown.append({**running, "callbacks": own} if own else running)
    return shown
