"""Steps whose attempts fail, as the companion of their machine keeps them, and as `snapshot` shows them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import cast

import msgspec

from durable_fsm.core.events import Failure
from durable_fsm.core.values import Json
from durable_fsm.restate.clock import instant
from durable_fsm.restate.fastjson import WireRecord
from durable_fsm.restate.names import StateKey


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
