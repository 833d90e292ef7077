"""Events: something that happened, who made it, and how work fails."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field

from durable_fsm.core.limits import GRANTED
from durable_fsm.core.values import Json, changed

ERROR = "error.execution"
"""The machine tells itself that a callback failed, or that a failure was not handled."""

UNREACHABLE = "error.communication"
"""The sender of a message learns that it was not accepted."""

PLATFORM_NAMES = ("done.state.", "done.invoke.", "error.", GRANTED)
"""Names that only the machine and its platform may send, whatever a wildcard would take."""


class Origin(StrEnum):
    """Where an event comes from.

    It comes from outside, from a topic or a webhook whose `events` name it, from another machine, from the machine
    itself, or from the platform (timers, outcomes).
    """

    EXTERNAL = "external"
    SOURCE = "source"
    MACHINE = "machine"
    INTERNAL = "internal"
    PLATFORM = "platform"


FROM_OUTSIDE = (Origin.EXTERNAL, Origin.SOURCE)


class Letter(Struct, frozen=True, omit_defaults=True):
    """A message without its payload: who has sent it, and what to tell that machine if it is not accepted.

    `life` is that of the sender; `to` is the receiver, as the sender wrote it.
    """

    chart: str
    key: str
    life: str
    event: str
    to: str = ""
    sendid: str = ""


class Event(Struct, frozen=True):
    """Something that happened.

    `payload` is plain JSON when it comes from outside; the step loads it into its declared type. `seed` feeds the ids
    and random numbers of the step. `at` is the time that callbacks may decide by, with a time zone; None if the chart does
    not read the clock. `token` ties a timer or an outcome to the entry that is waiting for it: if that
    entry is gone, so is the event. `cause` is the exception behind an `error.execution`. A
    recurring timer brings the moment at which it was `due`, and the one at which it `came`, from which its next one is counted.
    A message has a `letter`. `child` is the name of the machine from which it comes, if a callback started that by a name.
    """

    name: str
    payload: object = None
    origin: Origin = Origin.EXTERNAL
    seed: str = ""
    at: datetime | None = None
    token: str | None = None
    cause: BaseException | None = None
    sendid: str = ""
    invokeid: str = ""
    sender: str = ""
    due: datetime | None = None
    came: datetime | None = None
    letter: Letter | None = None
    child: str = ""


class Failure(Struct, frozen=True, omit_defaults=True):
    """Why an activity failed; what callbacks receive as `error`.

    `type` is the exception's class name, or `lost`, `deadline`, `timeout`, `cancelled` or `killed` where no exception was
    raised. `source` is the activity's id or the callback's name. For people, and not for decisions: `place` is where the
    author's code raised it (`shop/work.py:42 in charge`), `attempts` how often the step was tried, and `machine` the child
    that has failed, as `chart/key`.

    A final state whose entry action returns a failure ends the machine with it. Its parent gets `error.invoke.<id>`; the
    caller of a workflow or a flow gets an error with this message, and with `code` as its status (500 without one).
    """

    type: str
    message: str
    code: int | None = None
    metadata: Json = None
    source: str = field(default_factory=str)  # stored where it is empty, too: only a plain default is omitted
    place: str = ""
    attempts: int = 0
    machine: str = ""


def with_facts(failure: Failure, facts: dict[str, Json]) -> Failure:
    """The failure with more facts among its metadata."""
    known = failure.metadata
    if not isinstance(known, dict):
        known = {} if known is None else {"metadata": known}
    return changed(failure, metadata={**known, **facts})
