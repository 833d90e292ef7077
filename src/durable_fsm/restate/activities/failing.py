"""Steps whose attempts fail, while they are retried: reported by the job, kept by the companion.

A failed attempt is a value in the journal of its job, where only the job can read it. So the job sends what is known of it
to the companion object of its machine, and another message when the step is over. Steps that succeed at once send nothing.
"""

from __future__ import annotations

from datetime import timedelta
from types import TracebackType
from typing import Self

import msgspec
import restate
from restate import ObjectContext, ObjectSharedContext
from restate import TerminalError as RestateTerminalError

from durable_fsm.core.chart import Activity, Chart
from durable_fsm.core.codec import milliseconds
from durable_fsm.core.events import Failure
from durable_fsm.errors import TerminalError
from durable_fsm.restate.activities.job import ActivityJob
from durable_fsm.restate.names import StateKey, answers_name
from durable_fsm.restate.observability.texts import said
from durable_fsm.restate.registration import BYTES, register
from durable_fsm.restate.stored.failing import FailingStep

LONGEST_MESSAGE = 1_000
"""How many characters of an exception's message are kept for operators."""


_encode_all = msgspec.json.Encoder(order="sorted").encode


# ── in a job ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class StepFailures:
    """A block that tries one step of a job until it is over; tells the companion about the attempts that fail."""

    def __init__(self, ctx: restate.Context, chart: Chart, activity: Activity, job: ActivityJob, step: str) -> None:
        self._ctx = ctx
        self._companion = answers_name(chart.name)
        self._activity = activity
        self._job = job
        self._step = step
        self._known: FailingStep | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # An invocation that is suspended or disconnected leaves the block, too, and comes back.
        is_over = kind is None or issubclass(kind, TerminalError | RestateTerminalError)
        if is_over and self._known is not None:
            self._send("heal", self._known)

    @property
    def since(self) -> int | None:
        """When the first attempt failed; None if none has."""
        return None if self._known is None else self._known.since

    def failed(self, attempt: int, at: int, failure: Failure, pause: timedelta) -> None:
        """Tell that an attempt has failed at this time, and after which pause the next one begins."""
        self._known = FailingStep(
            token=self._job.token,
            activity=self._activity.id,
            step=self._step,
            attempt=attempt,
            since=self.since or at,
            at=at,
            next=at + milliseconds(pause),
            type=failure.type,
            message=said(failure.message)[:LONGEST_MESSAGE],
            place=failure.place,
            attempts=self._activity.retry.attempts,
            part=self._job.part,
            undo=self._job.undo is not None,
            detached=self._job.detached,
            invocation=self._ctx.request().id,
        )
        self._send("fail", self._known)

    def _send(self, handler: str, step: FailingStep) -> None:
        self._ctx.generic_send(self._companion, handler, step.encode(), key=self._job.key)


# ── in the companion ──────────────────────────────────────────────────────────────────────────────────────────────────


def add_failing(service: restate.VirtualObject, chart: Chart) -> None:
    """Add the handlers that keep failing steps to the companion of a chart's machines."""

    async def fail(ctx: ObjectContext, body: bytes) -> bytes:
        """Keep what is known of a step whose attempt has failed."""
        ctx.set(FailingStep.decode(body).state_key, body, serde=BYTES)
        return b""

    async def heal(ctx: ObjectContext, body: bytes) -> bytes:
        """Forget a step: it is over."""
        ctx.clear(FailingStep.decode(body).state_key)
        return b""

    async def failing(ctx: ObjectSharedContext, body: bytes) -> bytes:
        """Answer with the steps that fail."""
        keys = sorted(key for key in await ctx.state_keys() if key.startswith(f"{StateKey.FAILING} "))
        found: list[FailingStep] = []
        for key in keys:
            text: bytes | None = await ctx.get(key, serde=BYTES)
            if text is not None:
                found.append(FailingStep.decode(text))
        return _encode_all(found)

    register(service, fail.__name__, fail, chart=chart, retried=True)
    register(service, heal.__name__, heal, chart=chart, retried=True)
    register(service, failing.__name__, failing, chart=chart, retried=True, kind="shared")
