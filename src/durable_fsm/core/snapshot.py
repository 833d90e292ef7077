"""The snapshot: one machine between two events, and what it waits for.

These structs are what is stored: msgspec writes and reads them as JSON. Members that have their default are left out; an
unknown member is ignored, so that a build can read what a later one wrote. `tests/core/golden.json` holds the layout.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from durable_fsm.core.events import Failure, Letter
from durable_fsm.core.values import Json

FORMAT = 1
"""Version of the snapshot's own layout; a later one is a struct of its own beside `Snapshot`."""

LONGEST = 86_399_999_999_999_999
"""Milliseconds of the longest timedelta."""


class Status(StrEnum):
    """Running; done, by reaching a final state of the root; failed, by an outcome that nothing handled."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class PendingSend(Struct, frozen=True, omit_defaults=True):
    """A send that has not arrived yet: a timer of `state`, or a message the machine sent itself.

    `id` is the author's name for it, if any; `after` counts from the end of the step that armed it; `at` is an instant,
    as ISO 8601 text, and takes its place. `deferred` is the token of the event whose time it limits. `activity` is the token of the activity whose deadline this is. `to` is where a message to
    another machine goes when it is due.
    """

    token: str
    event: str
    after_ms: Annotated[int, Meta(ge=-LONGEST, le=LONGEST)]
    state: str | None = None
    id: str | None = None
    payload: Json = None
    activity: str | None = None
    to: str | None = None
    deferred: str | None = None
    at_text: str | None = field(default=None, name="at")

    def __post_init__(self) -> None:
        if self.at_text is not None:
            datetime.fromisoformat(self.at_text)  # what cannot be read is refused here, not when it is due

    @property
    def after(self) -> timedelta:
        return timedelta(milliseconds=self.after_ms)

    @property
    def at(self) -> datetime | None:
        return None if self.at_text is None else datetime.fromisoformat(self.at_text)


class Running(Struct, frozen=True, omit_defaults=True):
    """An activity whose outcome is awaited. `entry` is the macrostep that entered its state.

    `parked` means that the outcome of an exclusive activity arrived but could not be processed yet; `failed` that it failed,
    and the machine with it: an operator may run it again. Detached work has no `state`, and its `entry` is the macrostep
    that started it.

    An activity that undoes has the token of the one run that is under way, and says what is `undone` already; it is
    `waiting` while work that it must undo has not ended.
    """

    token: str
    id: str
    state: str | None
    entry: int
    parked: bool = False
    failed: bool = False
    waiting: bool = False
    undone: tuple[str, ...] = ()


class Undoable(Struct, frozen=True, omit_defaults=True):
    """Completed work that can be undone; the snapshot lists the latest last.

    `token` and `entry` are those of the run that did it. It has no `result` if its undo was registered before the work
    began. `undoing` is the token of the run that undoes it, empty if there is none.
    """

    token: str
    id: str
    state: str
    entry: int
    result: Json = None
    undoing: str = ""


class Stopping(Struct, frozen=True, omit_defaults=True):
    """A run that was asked to stop. It may have succeeded before: its outcome decides whether it is to be undone.

    It is `overdue` when its deadline has passed and it is not waited for any longer. Its outcome still counts if it comes.
    """

    token: str
    id: str
    state: str
    entry: int
    overdue: bool = False


class Deferred(Struct, frozen=True, omit_defaults=True):
    """An event from outside that an active state keeps for later; with its `sender` and `letter` if a machine has sent it."""

    token: str
    event: str
    payload: Json
    sender: str = ""
    letter: Letter | None = None


class ChildMachine(Struct, frozen=True, omit_defaults=True):
    """A child machine that has not ended. `place` counts among the machines of its state, from 0.

    One of several that were begun for a list is a `part` of them, from 0. Once it has `ended`, its `result` waits for
    those of the others. One that has `failed` took this machine with it: it goes when its state is left, or with this one. `name` is the one under
    which a callback started it; None if it began with its state.
    """

    token: str
    id: str
    chart: str
    state: str
    place: int
    part: int | None = None
    result: Json | UnsetType = UNSET
    failed: bool = False
    name: str | None = None

    @property
    def ended(self) -> bool:
        return self.result is not UNSET


class WorkflowAnswer(Struct, frozen=True, omit_defaults=True):
    """The answer of a workflow whose machine continues: an output, or the failure with which the run fails."""

    output: Json = None
    failure: Failure | None = None


class Snapshot(Struct, frozen=True, omit_defaults=True, tag_field="format", tag=FORMAT):
    """One machine between two events, as plain values: all there is to store, and all there is to resume from.

    `configuration` holds the active leaves in document order. `life` tells one existence of a key from the next. `seq`
    counts the macrosteps taken. `failure` says why `status` is failed, or in what a machine that is done has failed.
    `parent` is the session of the machine that runs this one as its child, if any. `finished` names activities, and
    events of timers, that have ended while their state stays active: what starts missing work again must not start them.
    `answer` is set once the state that answers the workflow is done.
    """

    chart: str
    version: str
    digest: str
    configuration: tuple[str, ...]
    data: Json
    seq: int
    status: Status
    life: str = ""
    history: Mapping[str, tuple[str, ...]] = field(default={})
    timers: tuple[PendingSend, ...] = ()
    activities: tuple[Running, ...] = ()
    output: Json = None
    failure: Failure | None = None
    created_from: str = ""
    machines: tuple[ChildMachine, ...] = ()
    parent: str = ""
    deferred: tuple[Deferred, ...] = ()
    finished: Mapping[str, tuple[str, ...]] = field(default={}, name="over")
    undo: tuple[Undoable, ...] = ()
    stopping: tuple[Stopping, ...] = ()
    answer: WorkflowAnswer | None = None

    @property
    def session(self) -> str:
        """Names this existence of the machine among all machines."""
        return f"{self.chart}.{self.life}"
