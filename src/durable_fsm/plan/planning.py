"""A plan for the machines of one chart: each is judged while it is read, and then only counted and written down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import snapshot_from_text
from durable_fsm.core.migration import path_from
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.errors import SnapshotUnreadable
from durable_fsm.plan.anonymous import anonymised
from durable_fsm.plan.judging import Fate, Judge
from durable_fsm.plan.kinds import Census
from durable_fsm.plan.migration_file import WrittenMigration, migration_of, test_of
from durable_fsm.plan.needs import Needs
from durable_fsm.plan.plan_file import PlannedMachine, PlanVerdict
from durable_fsm.plan.trial import with_migration_of

TESTED = 12
"""Kinds of machine that a written test has."""

Stored = tuple[str, str | None]
"""Key and snapshot of a machine; None for one that is not a text."""


class Judged(NamedTuple):
    """One machine with its fate; without a snapshot, if that cannot be read."""

    key: str
    fate: Fate
    snapshot: Snapshot | None


class Planning:
    """The plan for one chart.

    Attributes:
        judge: what finds the fates.
        census: how many machines have which.
        needs: what the blocked machines of each version need.
    """

    def __init__(self, judge: Judge, first: int = 0) -> None:
        self.judge = judge
        self.chart = judge.chart
        self.census = Census(judge.chart.name, first)
        self.needs: dict[str, Needs] = {}
        self._now = datetime.now(UTC)

    def judged(self, stored: Iterable[Stored]) -> Iterator[Judged]:
        """The fate of each machine; marks of machines that have ended are only counted."""
        for key, text in stored:
            fate, snapshot = self.fate_of(text)
            if fate is None:
                self.census.gone += 1
            else:
                yield Judged(key, fate, snapshot)

    def fate_of(self, text: str | None) -> tuple[Fate | None, Snapshot | None]:
        """The fate of a machine as it is stored; None for the mark of one that has ended."""
        try:
            if text is None:
                raise SnapshotUnreadable(chart=self.chart.name, problem="it is not UTF-8.")
            snapshot = snapshot_from_text(self.chart.name, text.encode(), Snapshot)
        except SnapshotUnreadable as error:
            if text is not None and _is_mark(text):
                return None, None
            words = (f"its snapshot cannot be read: {error.problem.rstrip('.')}",)
            return Fate(PlanVerdict.UNREADABLE, "", (), (), words, needs_you=True), None
        return self.judge.fate(snapshot, now=self._now), snapshot

    def count(self, found: Judged) -> PlannedMachine:
        """Count a machine; return its line of the plan."""
        fate, snapshot = found.fate, found.snapshot
        number = self.census.add(found.key, fate, snapshot)
        if snapshot is not None:
            needs = self.needs.get(snapshot.version)
            if needs is None:
                needs = self.needs[snapshot.version] = Needs(snapshot.version)
            needs.machines += 1
            if fate.verdict is PlanVerdict.BLOCKED:
                needs.add(self.chart, snapshot)
        life, seq = (snapshot.life, snapshot.seq) if snapshot is not None else ("", 0)
        return PlannedMachine(self.chart.name, found.key, life, seq, fate.version, fate.verdict, number)

    # ── what can be written ───────────────────────────────────────────────────────────────────────────────────────────

    def migrations(self) -> list[tuple[WrittenMigration, Needs]]:
        """A migration for each version whose machines are blocked, unless the chart has one: that is for its author."""
        return [
            (migration_of(self.chart, self._old(version), needs), needs)
            for version, needs in sorted(self.needs.items())
            if needs.blocked and not path_from(version, self.chart.version, self.chart.hosting.migrations)
        ]

    def _old(self, version: str) -> Chart | None:
        return next((old for old in self.judge.earlier if old.version == version), None)

    def test_of(self, target: str, migration: WrittenMigration, version: str) -> tuple[str, int]:
        """The test of a written migration, and how many kinds of machine it has."""
        judge = Judge(with_migration_of(self.chart, migration, version))
        kinds: dict[str, Snapshot] = {}
        for kind in self.census.kinds():
            machine = kind.snapshot
            if machine is None or machine.version != version or len(kinds) >= TESTED:
                continue
            found = anonymised(self.chart, machine, _Same(judge, machine), self._old(version))
            if found is not None:
                kinds[_named(kind.place, kinds)] = found
        return test_of(self.chart, target, migration, kinds), len(kinds)


class _Same:
    """Whether a machine comes to the same as another one."""

    def __init__(self, judge: Judge, machine: Snapshot) -> None:
        self._judge = judge
        self._fate = judge.fate(machine)

    def __call__(self, machine: Snapshot) -> bool:
        return self._judge.fate(machine) == self._fate


def _named(place: str, taken: dict[str, Snapshot]) -> str:
    name, number = place, 1
    while name in taken:
        number += 1
        name = f"{place} {number}"
    return name


def _is_mark(text: str) -> bool:
    try:
        return msgspec.json.decode(text.encode(), type=dict[str, msgspec.Raw]).get("gone") == msgspec.Raw(b"true")
    except (msgspec.DecodeError, RecursionError):
        return False
