"""What a machine's key holds: the snapshot, and what the host keeps beside it.

snapshot   the machine as one readable JSON text, with the tail of its record
handles    how to cancel what was sent: `{token: invocation id}`
waiters    who waits for the machine, by awakeable
parked     deliveries that could not be taken, by token
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from restate import ObjectContext, ObjectSharedContext

from durable_fsm import errors
from durable_fsm.core.codec import canonical, snapshot_from_json, snapshot_to_json
from durable_fsm.core.fits import misfit
from durable_fsm.core.model import Chart, Json, Snapshot
from durable_fsm.restate.wire import BYTES, MAX_SNAPSHOT

SNAPSHOT = "snapshot"
HANDLES = "handles"
WAITERS = "waiters"
PARKED = "parked"


async def members_of(ctx: ObjectContext | ObjectSharedContext, name: str) -> dict[str, Any]:
    """The JSON object under one of these names; empty, if there is none."""
    text: bytes | None = await ctx.get(name, serde=BYTES)
    members: dict[str, Any] = json.loads(text) if text is not None else {}
    return members


def tokens_of(machine: Snapshot) -> set[str]:
    """Under which tokens something may still come for this machine."""
    running = {running.token for running in machine.activities} | {stopping.token for stopping in machine.stopping}
    return running | {timer.token for timer in machine.timers}


@dataclass(frozen=True, slots=True)
class Stored:
    """The contents of the key `snapshot`.

    Attributes:
        machine: None if there is no such machine.
        tail: the latest entries of the record: a page that was handed on, and what has come since.
        pages: how many pages were handed on.
        entries: how many entries there ever were.
        due: when timers will be over, by token, in milliseconds since 1970; for people.
        waited_for: whether anybody waits.
    """

    machine: Snapshot | None = None
    tail: tuple[Json, ...] = ()
    pages: int = 0
    entries: int = 0
    due: Mapping[str, int] = field(default_factory=dict[str, int])
    waited_for: bool = False

    @classmethod
    def decode(cls, chart: Chart, text: bytes | None) -> Stored:
        """Read what `encode` wrote.

        Raises:
            SnapshotUnreadable: it is something else.
            VersionError: the chart cannot take the machine up.
        """
        if text is None:
            return cls()
        try:
            record = json.loads(text)
        except ValueError as error:
            raise errors.SnapshotUnreadable(chart=chart.name, problem=f"it is no JSON: {error}.") from error
        machine = snapshot_from_json(chart, record)
        problem = misfit(chart, machine)
        if problem is not None:
            served = (chart.version,)
            raise errors.VersionError(chart=chart.name, stored=machine.version, served=served, problem=problem)
        log: dict[str, Any] = record.get("log") or {}
        return cls(
            machine,
            tuple(log.get("tail", ())),
            log.get("pages", 0),
            log.get("entries", 0),
            record.get("due", {}),
            record.get("waited_for", False),
        )

    def encode(self) -> bytes:
        """The text to store.

        Raises:
            TooLarge: longer than the platform can carry.
        """
        assert self.machine is not None
        record = snapshot_to_json(self.machine)
        if self.entries:
            record["log"] = {"tail": list(self.tail), "pages": self.pages, "entries": self.entries}
        if self.due:
            record["due"] = cast("Json", self.due)
        if self.waited_for:
            record["waited_for"] = True
        text = canonical(record).encode()
        if len(text) > MAX_SNAPSHOT:
            raise errors.TooLarge(chart=self.machine.chart, size=len(text), limit=MAX_SNAPSHOT)
        return text
