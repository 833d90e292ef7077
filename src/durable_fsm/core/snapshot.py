"""The snapshot: one machine at rest, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from durable_fsm.core.events import Failure
from durable_fsm.core.values import Changeable, Json


class Status(StrEnum):
    """Running; done, by reaching a final state of the root; failed, by an outcome that nothing handled."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PendingSend:
    """A send that has not arrived yet: a timer of `state`, or a message the machine sent itself.

    `id` is the author's name for it, if any; `after` counts from the end of the step that armed it, `at` is an instant
    and takes its place. `activity` is the token of the activity whose deadline this is. `to` is where a message to
    another machine goes when it is due.
    """

    token: str
    event: str
    after: timedelta
    state: str | None = None
    id: str | None = None
    payload: Json = None
    activity: str | None = None
    to: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """An activity whose outcome is awaited. `entry` is the macrostep that entered its state.

    `parked` means that the outcome of an exclusive activity has come, but could not be taken yet; `failed` that it
    has failed, and the machine with it: an operator may let it run again. Detached work has no `state`, and `entry` is
    the macrostep that started it.

    An activity that undoes has the token of the one run that is under way, and says what is `undone` already; it is
    `waiting` while none can be, because it is not over what there is to undo.
    """

    token: str
    id: str
    state: str | None
    entry: int
    parked: bool = False
    failed: bool = False
    waiting: bool = False
    undone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Undoable:
    """Something done that can be undone; the snapshot has the latest last.

    `token` and `entry` are those of the run that did it. It has no `result` if its undo was registered before the work
    began. `undoing` is the token of the run that undoes it, empty if there is none.
    """

    token: str
    id: str
    state: str
    entry: int
    result: Json = None
    undoing: str = ""


@dataclass(frozen=True, slots=True)
class Stopping:
    """A run that was told to stop, and whose end decides about what is to be undone: it may have been too late.

    It is `overdue` when nobody waits for its end any longer. That end counts nonetheless, should it come.
    """

    token: str
    id: str
    state: str
    entry: int
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class Deferred:
    """An event from outside that an active state keeps for later."""

    token: str
    event: str
    payload: Json = None


@dataclass(frozen=True, slots=True)
class ChildMachine:
    """A child machine that has not ended. `place` counts among the machines of its state, from 0.

    One of several that were begun for a list is a `part` of them, from 0. Once it has `ended`, its `result` waits for those of
    the others.
    """

    token: str
    id: str
    chart: str
    state: str
    place: int
    part: int | None = None
    ended: bool = False
    result: Json = None


@dataclass(frozen=True)
class Snapshot(Changeable):
    """One machine at rest, as plain values: all there is to store, and all there is to resume from.

    `configuration` holds the active leaves in document order. `life` tells one existence of a key from the next. `seq`
    counts the macrosteps taken. `failure` says why `status` is failed, or in what a machine that is done has failed. `parent` is the session of the machine that
    runs this one as its child, if any. `over` names activities, and events of timers, that have come to their end while
    their state stays active: nothing that begins again what is missing may begin them.
    """

    chart: str
    version: str
    digest: str
    life: str
    configuration: tuple[str, ...]
    data: Json
    history: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    timers: tuple[PendingSend, ...] = ()
    activities: tuple[Running, ...] = ()
    seq: int = 0
    status: Status = Status.RUNNING
    output: Json = None
    failure: Failure | None = None
    created_from: str = ""
    machines: tuple[ChildMachine, ...] = ()
    parent: str = ""
    deferred: tuple[Deferred, ...] = ()
    over: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    undo: tuple[Undoable, ...] = ()
    stopping: tuple[Stopping, ...] = ()

    @property
    def session(self) -> str:
        """Names this existence of the machine among all machines."""
        return f"{self.chart}.{self.life}"
