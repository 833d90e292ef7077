"""The snapshot with the members of the host, the mark of a machine that has ended, and the handles beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias, cast

import msgspec

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import snapshot_from_text
from durable_fsm.core.messages import Parent
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.values import Json
from durable_fsm.restate.clock import instant
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.stored.history import HistoryTail

Due: TypeAlias = Annotated[int, msgspec.Meta(ge=-(10**17), le=10**17)]
"""Milliseconds since 1970; earlier builds took timers that are due after the last date."""


class OperatorPause(msgspec.Struct, frozen=True):
    """An operator has paused the machine, at a time in milliseconds since 1970."""

    since: Due
    reason: str

    @property
    def view(self) -> dict[str, Json]:
        return {"since": instant(self.since), "reason": self.reason}


class StoredRecord(Snapshot, frozen=True, omit_defaults=True):
    """The JSON object under the key: the members of the snapshot, and beside them those of the host.

    `at` is when the machine last changed, in milliseconds since 1970, for people; an earlier build did not store it.
    """

    log: HistoryTail | None = None
    due: Mapping[str, Due] = {}
    waited_for: bool = False
    run_by: Parent | None = None
    paused: OperatorPause | None = None
    indexed: tuple[str, ...] = ()
    at: Due | None = None


_decode = msgspec.json.Decoder(StoredRecord).decode
read_handles = msgspec.json.Decoder(dict[str, str]).decode


def read_record(chart: str, text: bytes) -> StoredRecord:
    """Read what is stored of a machine, in any version.

    Raises:
        Gone: the machine has ended, and its key must not be used again.
        SnapshotUnreadable: the text is something else.
    """
    try:
        record = _decode(text)
    except (ValueError, RecursionError):
        if b'"gone"' in text and is_mark(text):
            raise errors.Gone(chart=chart) from None
    else:
        if record.chart == chart and record.failure is None and record.status is not Status.FAILED:
            return record
    return snapshot_from_text(chart, text, StoredRecord)  # it checks more, and says what is wrong


def shown_deferred(record: Mapping[str, Json]) -> list[Json]:
    """Deferred events as answers show them: without the letters, which are for the host."""
    deferred = cast("list[dict[str, Json]]", record.get("deferred", []))
    return [{name: value for name, value in kept.items() if name != "letter"} for kept in deferred]


def tokens_of(machine: Snapshot) -> set[str]:
    """The tokens of deliveries that may still arrive for this machine."""
    kinds = (machine.timers, machine.activities, machine.stopping, machine.machines)
    return {one.token for ones in kinds for one in ones}


def mark_of(chart: Chart) -> bytes:
    """The text that stays under the key of a machine that has ended, if the key must not be used again."""
    return dumps({"chart": chart.name, "gone": True})


def is_mark(text: bytes) -> bool:
    """Whether it is what `mark_of` writes."""
    try:
        record = loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and record.get("gone") is True  # pyright: ignore[reportUnknownMemberType]
