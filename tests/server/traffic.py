"""See what is on its way between invocations: also sends that have left one and are not one yet, which no table has.

The journal of an invocation tells what it has sent, under the id that this will have, and what it has cancelled. So
nothing is on its way once all invocations have completed, all that they have sent, all that those have sent, and so on,
and nothing is scheduled that one of them has cancelled.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from durable_fsm.testing import RestateServer

SCHEDULED = "scheduled"
ENDED = ("completed", SCHEDULED)
AT_ONCE = 200
"""Ids in one query."""

FORGOTTEN_SECONDS = 0.5
"""What was sent and is not there after so long was purged, and will not come."""


@dataclass
class Traffic:
    """The invocations of some services that were created since a time, and what these have sent."""

    server: RestateServer
    services: tuple[str, ...]
    since: int
    """In milliseconds since 1970."""

    read: set[str] = field(default_factory=set[str])
    """Completed invocations whose journals were read, all that they have sent being known."""

    missed: dict[str, float] = field(default_factory=dict[str, float])
    """What should come or vanish, with the time at which this was first seen."""

    def on_its_way(self) -> list[str]:
        """Ids of invocations that are neither completed nor scheduled for later, or are not there yet, or will vanish."""
        names = ", ".join(f"'{name}'" for name in self.services)
        found = self._statuses(f"target_service_name IN ({names}) AND created_at >= to_timestamp_millis({self.since})")
        while found:
            if busy := [id for id, status in found.items() if status not in ENDED]:
                return busy
            unread = found.keys() - self.read
            sent, cancelled = self._told_by(unread)
            there: dict[str, str] = {}
            for ids in portions((sent | cancelled) - found.keys() - self.read):
                there |= self._statuses(f"id IN ({ids})")
            coming = self._to_come(sent - found.keys() - self.read - there.keys(), unread)
            leaving = {id for id in cancelled if SCHEDULED in (found.get(id), there.get(id))}
            if late := self._not_forgotten(coming | leaving):
                return late
            self.read |= unread
            found = there
        return []

    def _statuses(self, condition: str) -> dict[str, str]:
        rows = self.server.query(f"SELECT id, status FROM sys_invocation_status WHERE {condition}")
        return {row["id"]: row["status"] for row in rows}

    def _told_by(self, senders: Iterable[str]) -> tuple[set[str], set[str]]:
        """What these have sent, and to what they have sent a signal, which is a cancellation if its index is 1."""
        sent, cancelled = set[str](), set[str]()
        for entry in self._journal(senders, "Notification: CallInvocationId", "Command: SendSignal"):
            match entry:
                case {"Notification": {"Completion": {"CallInvocationId": {"invocation_id": id}}}}:
                    sent.add(id)
                case {"Command": {"SendSignal": {"target_invocation_id": id, "signal_id": {"Index": 1}}}}:
                    cancelled.add(id)
                case _:
                    pass
        return sent, cancelled

    def _to_come(self, absent: set[str], senders: Iterable[str]) -> set[str]:
        """Those of the absent that were to come at once. What was to come later is absent if it was cancelled."""
        if not absent:
            return absent
        calls = [entry["Command"]["OneWayCall"] for entry in self._journal(senders, "Command: OneWayCall")]
        return absent - {call["request"]["invocation_id"] for call in calls if call["invoke_time"]}

    def _not_forgotten(self, late: set[str]) -> list[str]:
        now = time.monotonic()
        return [id for id in sorted(late) if now - self.missed.setdefault(id, now) < FORGOTTEN_SECONDS]

    def _journal(self, invocations: Iterable[str], *kinds: str) -> Iterator[Any]:  # Any: JSON of Restate's own
        wanted = ", ".join(f"'{kind}'" for kind in kinds)
        for ids in portions(invocations):
            asked = f"SELECT entry_json FROM sys_journal WHERE id IN ({ids}) AND entry_type IN ({wanted})"
            yield from (json.loads(row["entry_json"]) for row in self.server.query(asked))


def portions(ids: Iterable[str]) -> Iterator[str]:
    """Lists of ids for queries, each not too long."""
    wanted = sorted(ids)
    for first in range(0, len(wanted), AT_ONCE):
        yield ", ".join(f"'{id}'" for id in wanted[first : first + AT_ONCE])
