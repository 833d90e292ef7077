"""Steps whose attempts fail, while they are retried: reported by the job, kept by the companion, read by operators.

A failed attempt is a value in the journal of its job, where only the job can read it. So the job sends what is known of it
to the companion object of its machine, and another message when the step is over. Steps that succeed at once send nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Self, cast

import msgspec
import restate
from restate import ObjectContext, ObjectSharedContext
from restate import TerminalError as RestateTerminalError

from durable_fsm.core.chart import Activity, Chart
from durable_fsm.core.codec import milliseconds
from durable_fsm.core.events import Failure
from durable_fsm.core.values import Json
from durable_fsm.errors import TerminalError
from durable_fsm.restate.activities.job import ActivityJob
from durable_fsm.restate.clock import instant
from durable_fsm.restate.fastjson import WireRecord
from durable_fsm.restate.http.errors import said
from durable_fsm.restate.names import StateKey, answers_name
from durable_fsm.restate.registration import BYTES, register

LONGEST_MESSAGE = 1_000
"""How many characters of an exception's message are kept for operators."""


class FailingStep(WireRecord, frozen=True):
    """A step whose latest attempt has failed, and that will be tried again.

    Attributes:
        token: of the job; `part` is its item of a fan-out.
        attempt: number of the attempt that failed; `attempts` is how many there may be, None without end.
        since: when the first attempt failed; `at` is when this one did; `next` is when the next one begins. All are
            milliseconds since 1970.
        undo: whether the step undoes the work of the activity.
        detached: whether no state waits for the work.
        invocation: Restate's id of the job.
    """

    token: str
    activity: str
    step: str
    attempt: int
    since: int
    at: int
    next: int
    type: str
    message: str
    place: str = ""
    attempts: int | None = None
    part: int | None = None
    undo: bool = False
    detached: bool = False
    invocation: str = ""

    @property
    def work(self) -> str:
        """The activity, and the item of a fan-out or the undo, as people name them."""
        item = "" if self.part is None else f", item {self.part}"
        return f"{'undo of ' if self.undo else ''}{self.activity}{item}"

    @property
    def failure(self) -> Failure:
        """The failure of the attempt."""
        return Failure(self.type, self.message, place=self.place, attempts=self.attempt)

    @property
    def state_key(self) -> str:
        part = "" if self.part is None else f"/{self.part}"
        return f"{StateKey.FAILING} {self.token}{part} {self.step}"

    def shown(self) -> dict[str, Json]:
        """As `snapshot` shows it, below its activity."""
        return {
            "step": self.step,
            "item": self.part,
            "attempt": self.attempt,
            "attempts": self.attempts,
            "since": instant(self.since),
            "last": instant(self.at),
            "next": instant(self.next),
            "error": {"type": self.type, "message": self.message, "place": self.place},
        }


_decode_all = msgspec.json.Decoder(list[FailingStep]).decode
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


# ── for readers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def by_token(text: bytes) -> dict[str, list[FailingStep]]:
    """Read the answer of the companion's `failing`; by token of the job."""
    found: dict[str, list[FailingStep]] = {}
    for step in _decode_all(text):
        found.setdefault(step.token, []).append(step)
    return found


def working(run: dict[str, Json]) -> str:
    """The token of the job that does the work."""
    return cast("str", run["token"])


def undoing(run: dict[str, Json]) -> str:
    """The token of the job that undoes the work while its machine is being deleted."""
    return f"{run['token']}.undo"


def with_failing(
    runs: Iterable[dict[str, Json]],
    failing: Mapping[str, list[FailingStep]],
    token_of: Callable[[dict[str, Json]], str] = working,
) -> list[dict[str, Json]]:
    """Runs of activities as `snapshot` shows them, each with its steps that fail."""
    shown: list[dict[str, Json]] = []
    for run in runs:
        steps = failing.get(token_of(run), ())
        shown.append({**run, "failing": [step.shown() for step in steps]} if steps else run)
    return shown


def failing_detached(failing: Mapping[str, list[FailingStep]], live: Container[str]) -> list[dict[str, Json]]:
    """Detached work that no state waits for, as `snapshot` shows it: as far as it fails."""
    return [
        {"id": steps[0].activity, "token": token, "failing": [step.shown() for step in steps]}
        for token, steps in failing.items()
        if token not in live and steps[0].detached
    ]
