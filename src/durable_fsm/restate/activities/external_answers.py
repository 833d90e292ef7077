"""Answers from outside that activities wait for, and the object that knows of them.

What is expected stands in a companion object of the chart, one for each machine, and not in the machine itself: an
exclusive activity holds the machine's key, and whoever is to answer must be able to look meanwhile.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from datetime import timedelta
from typing import Any, cast

import restate
from restate import ObjectContext, ObjectSharedContext
from restate import TerminalError as RestateTerminalError
from restate.serde import BytesSerde

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import milliseconds
from durable_fsm.core.values import Json
from durable_fsm.restate.activities.failures import is_cancellation
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.http.requests import FOR_EVER, read

PENDING = "pending"
"""K/V key of the companion: `[{"token", "name", "id"}]`, in the order in which they were made."""

MOST = 1_000
"""How many of one machine are shown; older ones can still be answered."""

BYTES = BytesSerde()


def companion_name(chart: Chart) -> str:
    """Name of the companion object: `Order.callbacks`."""
    return f"{chart.name}.callbacks"


# ── in an activity ────────────────────────────────────────────────────────────────────────────────────────────────────


class Expected:
    """The `Answer` of one callback."""

    def __init__(self, callbacks: Callbacks, name: str, timeout: timedelta | None) -> None:
        ctx = callbacks.ctx
        self.name = name
        self.id, self._answer = ctx.awakeable(serde=BYTES)
        self._timeout = timeout
        self._late = None if timeout is None else ctx.sleep(timedelta(milliseconds=milliseconds(timeout)))
        self._callbacks = callbacks

    def __await__(self) -> Generator[Any, Any, Json]:
        return self._wait().__await__()

    async def _wait(self) -> Json:
        try:
            body = await self._first()
        except RestateTerminalError as error:
            self._callbacks.forget(self)
            if is_cancellation(error):
                raise
            raise errors.CallbackRejected(callback=self.name, reason=error.message, code=error.status_code) from error
        self._callbacks.forget(self)
        if body is None:
            assert self._timeout is not None
            raise errors.CallbackTimeout(callback=self.name, after=self._timeout)
        try:
            return read("", self.name, body)
        except errors.MalformedInput as error:
            raise errors.CallbackUnreadable(callback=self.name, problem=error.problem) from error
        except errors.TooLarge as error:
            raise errors.CallbackUnreadable(callback=self.name, problem=error.what) from error

    async def _first(self) -> bytes | None:
        """What was answered; None if the time is over before that."""
        if self._late is None:
            return await self._answer
        first, value = await restate.select(answer=self._answer, late=self._late)
        return cast("bytes", value) if first == "answer" else None


class Callbacks:
    """What one job expects from outside."""

    def __init__(self, ctx: restate.Context, chart: Chart, key: str, token: str) -> None:
        self.ctx = ctx
        self._companion = companion_name(chart)
        self._key = key
        self._token = token
        self._open: dict[str, Expected] = {}

    def expect(self, name: str, timeout: timedelta | None) -> Expected:
        """Make a callback, and let it be seen."""
        expected = Expected(self, name, timeout)
        self._open[expected.id] = expected
        self._tell("note", {"token": self._token, "name": name, "id": expected.id})
        return expected

    def forget(self, expected: Expected) -> None:
        """It was answered, or nobody waits for it any more."""
        if self._open.pop(expected.id, None):
            self._tell("forget", expected.id)

    def forget_all(self) -> None:
        """The job is over."""
        for expected in list(self._open.values()):
            self.forget(expected)

    def _tell(self, handler: str, what: Json) -> None:
        self.ctx.generic_send(self._companion, handler, dumps(what), key=self._key)


# ── in the companion ──────────────────────────────────────────────────────────────────────────────────────────────────


def companion(chart: Chart) -> restate.VirtualObject:
    """The object that knows what the machines of *chart* expect."""
    service = restate.VirtualObject(
        companion_name(chart),
        description=f"Knows which answers the activities of {chart.name} wait for.",
        ingress_private=True,
        invocation_retry_policy=FOR_EVER,
    )

    async def note(ctx: ObjectContext, body: bytes) -> bytes:
        """Remember one callback."""
        pending = await _load(ctx)
        _store(ctx, [*pending, loads(body)][-MOST:])
        return b""

    async def forget(ctx: ObjectContext, body: bytes) -> bytes:
        """Forget one callback, by its id."""
        id, pending = loads(body), await _load(ctx)
        _store(ctx, [entry for entry in pending if entry["id"] != id])
        return b""

    async def clear(ctx: ObjectContext, body: bytes) -> bytes:
        """Forget all: the machine is deleted."""
        ctx.clear_all()
        return b""

    async def pending(ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Answer with all of them."""
        return dumps(cast("Json", await _load(ctx)))

    for handler in (note, forget, clear):
        service.handler(accept="*/*", input_serde=BYTES, output_serde=BYTES)(handler)
    service.handler(kind="shared", accept="*/*", input_serde=BYTES, output_serde=BYTES)(pending)
    return service


async def _load(ctx: ObjectContext | ObjectSharedContext) -> list[dict[str, str]]:
    stored = await ctx.get(PENDING, serde=BYTES)
    entries: list[dict[str, str]] = loads(stored or b"[]")
    return entries


def _store(ctx: ObjectContext, entries: list[dict[str, str]]) -> None:
    if entries:
        ctx.set(PENDING, dumps(cast("Json", entries)), serde=BYTES)
    else:
        ctx.clear(PENDING)


def with_callbacks(activities: Iterable[dict[str, Json]], pending: bytes) -> list[Json]:
    """The running activities as `snapshot` shows them, each with what it expects."""
    entries: list[dict[str, str]] = loads(pending)
    shown: list[Json] = []
    for running in activities:
        own: list[Json] = [
            {"name": entry["name"], "id": entry["id"]} for entry in entries if entry["token"] == running["token"]
        ]
        shown.append({**running, "callbacks": own} if own else running)
    return shown
