"""How long a machine is kept, and how much of its history."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from durable_fsm.core.calls import checked_type
from durable_fsm.core.export import OMIT_IF_DEFAULT


@checked_type
@dataclass(frozen=True, slots=True)
class History:
    """How much of its history a machine keeps: the latest `entries`, none older than `age`. None means no limit.

    With `record`, entries also have the payload of their event, its sender, and what it changed in the data, without the
    members that the chart redacts.
    """

    entries: int | None = 1_000
    age: timedelta | None = None
    record: bool = field(default=False, metadata={OMIT_IF_DEFAULT: True})


@dataclass(frozen=True, slots=True)
class AfterEnd:
    """A machine that has ended is deleted `after` a time.

    Then its key is *free* for a new life; or a mark is left, and the key is never used again.
    """

    after: timedelta
    free: bool
