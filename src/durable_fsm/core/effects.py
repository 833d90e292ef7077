"""Effects: what a step asks of the world; and the step itself, as a value."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from msgspec import Struct

from durable_fsm.core.chart import Chart
from durable_fsm.core.snapshot import Snapshot, Undoable
from durable_fsm.core.values import Json
from durable_fsm.errors import ActionError


class Send(Struct, frozen=True):
    """Deliver what `token` arms in the snapshot to this machine, `after` the end of the step or `at` an instant.

    Zero is at once. May arrive late, never early.
    """

    token: str
    event: str
    after: timedelta
    at: datetime | None = None


class Cancel(Struct, frozen=True):
    """Forget the send with this token; it may have left already."""

    token: str


class StartActivity(Struct, frozen=True):
    """Run the activity `id`; its outcome comes back under `token`. `entry` makes its stable id.

    `input` is what the work receives, if the activity declares one, or if it is *detached*, which nothing stops; otherwise
    it receives the machine's data. `items` are those of a fan-out. With `undo` it is not the work that is run, but what
    undoes this. `priority` decides its place among the runs that wait for a limit.
    """

    token: str
    id: str
    entry: int
    exclusive: bool
    input: Json = None
    items: tuple[Json, ...] | None = None
    detached: bool = False
    undo: Undoable | None = None
    priority: int = 0


class StopActivity(Struct, frozen=True):
    """Stop the activity with this token; no transition handles its outcome any more."""

    token: str


class StartMachine(Struct, frozen=True):
    """Start a machine of `chart` as a child. Its end and its messages to the parent come back under `token`."""

    token: str
    id: str
    chart: Chart
    data: Json = None


class StopMachine(Struct, frozen=True):
    """End the child with this token; the machine takes nothing from it any more."""

    token: str


PARENT = "#_parent"
"""The address of the machine that runs this one as its child."""


class Post(Struct, frozen=True):
    """Deliver an event to another machine: `PARENT`, the child with the token `to`, or any: `Parcel/p-1`."""

    to: str
    event: str
    payload: Json = None
    sendid: str = ""


class Reply(Struct, frozen=True):
    """Answer the sender of the event with this value."""

    value: Json


Effect: TypeAlias = Send | Cancel | StartActivity | StopActivity | StartMachine | StopMachine | Post | Reply


class Microstep(NamedTuple):
    """One set of transitions: the states left and entered, the transitions taken, and the events raised, in order.

    `event` is None for eventless transitions and for the start of a machine.
    """

    event: str | None
    exited: tuple[str, ...] = ()
    transitions: tuple[str, ...] = ()
    entered: tuple[str, ...] = ()
    raised: tuple[str, ...] = ()


class Outcome(StrEnum):
    """An event is processed by a transition, deferred or ignored by declaration, or stale (its cause is gone)."""

    TAKEN = "taken"
    DEFERRED = "deferred"
    IGNORED = "ignored"
    STALE = "stale"


class Step(NamedTuple):
    """The result of one event: the next snapshot, the effects, and the microsteps that led to them.

    `caught` are exceptions of callbacks that became `error.execution`, for the log. `refused` are the tokens of deferred
    events that callbacks turn away, each with the reason; the turn drops them.
    """

    snapshot: Snapshot
    effects: tuple[Effect, ...] = ()
    trace: tuple[Microstep, ...] = ()
    outcome: Outcome = Outcome.TAKEN
    caught: tuple[ActionError, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def reply(self) -> Json:
        """The last reply of the step, or None."""
        replies = [effect.value for effect in self.effects if isinstance(effect, Reply)]
        return replies[-1] if replies else None
