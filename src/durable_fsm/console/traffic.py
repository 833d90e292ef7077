"""How machines move through a chart, from their histories: pure.

Only what the server still keeps counts: a machine has its latest entries in its snapshot, and pages behind them as long as
its chart keeps these. So the numbers say from how many machines and steps they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from durable_fsm.admin.past import milliseconds_of

BUCKETS = 48


class WalkStep(msgspec.Struct):
    """The members of a microstep that count here."""

    exited: tuple[str, ...] = ()
    entered: tuple[str, ...] = ()
    transitions: tuple[str, ...] = ()


class WalkEntry(msgspec.Struct):
    """The members of an entry that count here."""

    n: int
    at: Any = None  # Any: milliseconds, or the text of an earlier build
    steps: tuple[WalkStep, ...] = ()


class WalkLog(msgspec.Struct):
    tail: tuple[WalkEntry, ...] = ()


class WalkCarrier(msgspec.Struct):
    """The members of a snapshot that count here."""

    life: str = ""
    log: WalkLog | None = None


read_page = msgspec.json.Decoder(tuple[WalkEntry, ...]).decode
read_snapshot = msgspec.json.Decoder(WalkCarrier).decode


@dataclass
class FleetTraffic:
    """The moves of a fleet within a time.

    Attributes:
        since, until: the time, in milliseconds since 1970.
        machines: how many have a history; `entries` is how many steps that has, `moves` those within the time.
        taken: how often each transition was taken within the time; `ever` at any time.
        stays: how long machines stayed in each state that they left within the time, in milliseconds.
        buckets: the moves by part of the time.
        cut: whether there is more than was read.
    """

    since: int
    until: int
    machines: int = 0
    entries: int = 0
    moves: int = 0
    taken: Counter[str] = field(default_factory=Counter[str])
    ever: Counter[str] = field(default_factory=Counter[str])
    stays: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    buckets: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    cut: bool = False

    def add(self, entries: Iterable[WalkEntry]) -> None:
        """Count the entries of one life of one machine."""
        self.machines += 1
        began: dict[str, int] = {}
        for entry in sorted(entries, key=lambda entry: entry.n):
            self.entries += 1
            at = milliseconds_of(entry.at)
            is_within = at is not None and self.since <= at <= self.until
            if is_within and at is not None:
                self.moves += 1
                self.buckets[min(BUCKETS - 1, (at - self.since) * BUCKETS // max(1, self.until - self.since))] += 1
            for step in entry.steps:
                self.ever.update(step.transitions)
                if is_within:
                    self.taken.update(step.transitions)
                for state in step.exited:
                    entered = began.pop(state, None)
                    if is_within and entered is not None and at is not None:
                        self.stays.setdefault(state, []).append(at - entered)
                if at is not None:
                    began.update(dict.fromkeys(step.entered, at))

    def dwell(self, state: str) -> tuple[int, int] | None:
        """The median and the 95th percentile of the stays in a state; None if there were none."""
        found = sorted(self.stays.get(state, ()))
        if not found:
            return None
        return found[(len(found) - 1) // 2], found[min(len(found) - 1, -(-95 * len(found) // 100) - 1)]

    @property
    def transitions(self) -> int:
        """How many transitions were taken within the time."""
        return self.taken.total()

    @property
    def per_hour(self) -> float:
        """How many transitions were taken in an hour, on average."""
        return self.transitions * 3_600_000 / max(1, self.until - self.since)

    @property
    def bars(self) -> list[tuple[float, float, float]]:
        """The bars of a small chart of the moves: place, width and height in percent."""
        highest, across = max(self.buckets) or 1, 100 / BUCKETS
        return [
            (round(place * across, 2), round(across * 0.75, 2), round(100 * many / highest, 1))
            for place, many in enumerate(self.buckets)
        ]


def traffic_of(histories: Iterable[Iterable[WalkEntry]], since: int, until: int) -> FleetTraffic:
    """The moves in some histories, each of one life of one machine, in whatever order its entries are."""
    found = FleetTraffic(since, until)
    for entries in histories:
        found.add(entries)
    return found
