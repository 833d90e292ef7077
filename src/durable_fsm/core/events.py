"""Events: something that happened, who made it, and how work fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from durable_fsm.core.values import Changeable, Json


class Origin(StrEnum):
    """Who made an event: a sender outside, another machine, the machine itself, or the platform (timers, outcomes)."""

    EXTERNAL = "external"
    MACHINE = "machine"
    INTERNAL = "internal"
    PLATFORM = "platform"


@dataclass(frozen=True)
class Event(Changeable):
    """Something that happened.

    `payload` is plain JSON when it comes from outside; the step loads it into its declared type. `seed` feeds the ids
    and random numbers of the step. `token` ties a timer or an outcome to the entry that is waiting for it: if that
    entry is gone, so is the event. `cause` is the exception behind an `error.execution`.
    """

    name: str
    payload: object = None
    origin: Origin = Origin.EXTERNAL
    seed: str = ""
    at: float | None = None
    token: str | None = None
    cause: Exception | None = field(default=None, compare=False, repr=False)
    sendid: str = ""
    invokeid: str = ""
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an activity failed; what callbacks receive as `error`.

    `type` is the exception's class name, or `lost`, `deadline`, `timeout`, `cancelled` or `killed` where no exception was
    raised. `source` is the activity's id or the callback's name.

    A final state whose entry action returns a failure ends the machine with that: its parent gets `error.invoke.<id>`, and
    whoever runs it as a workflow or a flow an error with this message, and `code` as its status (500 without one).
    """

    type: str
    message: str
    code: int | None = None
    metadata: Json = None
    source: str = ""
