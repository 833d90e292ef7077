"""Kinds of machine: those that come to the same in the same way. They are counted one by one, and told together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from durable_fsm.core.snapshot import Snapshot
from durable_fsm.plan.judging import Fate
from durable_fsm.plan.plan_file import PlannedKind, PlanVerdict

MOST = 1_000
"""Kinds that are distinguished; a message that quotes values may make a kind of each machine."""

EXAMPLES = 20
"""Kinds of which a snapshot is kept, for tests."""


@dataclass
class KindCount:
    """One kind: how many machines, the key of one of them, and its snapshot, if it is kept."""

    number: int
    fate: Fate
    example: str
    machines: int = 0
    snapshot: Snapshot | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        """`charging → paying`."""
        before, after = ", ".join(self.fate.states) or "–", ", ".join(self.fate.becomes)
        return before if not after or before == after else f"{before} → {after}"


class Census:
    """Counts the fates of the machines of one chart; `first` is the number of its first kind within the plan.

    Attributes:
        by_verdict: how many machines have each verdict.
        needs_you: how many machines a person has to decide about.
        gone: how many keys have only the mark of a machine that has ended.
    """

    def __init__(self, chart: str, first: int = 0) -> None:
        self.chart = chart
        self.by_verdict = Counter[PlanVerdict]()
        self.needs_you = 0
        self.gone = 0
        self._first = first
        self._kinds: dict[Fate, KindCount] = {}

    @property
    def machines(self) -> int:
        return sum(self.by_verdict.values())

    def add(self, key: str, fate: Fate, snapshot: Snapshot | None = None) -> int:
        """Count a machine; return the number of its kind."""
        self.by_verdict[fate.verdict] += 1
        self.needs_you += fate.needs_you
        found = self._kinds.get(fate)
        if found is None and len(self._kinds) >= MOST:
            fate = fate._replace(words=("…",) if fate.words else ())
            found = self._kinds.get(fate)
        if found is None:
            found = self._kinds[fate] = KindCount(self._first + len(self._kinds), fate, key)
            if len(self._kinds) <= EXAMPLES:
                found.snapshot = snapshot
        found.machines += 1
        return found.number

    def kinds(self) -> list[KindCount]:
        """All kinds, by their numbers."""
        return list(self._kinds.values())

    def kinds_of(self, verdict: PlanVerdict) -> list[KindCount]:
        """Those with one verdict, the largest first."""
        found = [kind for kind in self._kinds.values() if kind.fate.verdict is verdict]
        return sorted(found, key=lambda kind: (-kind.machines, kind.place, kind.fate.words))

    def planned(self) -> Iterator[PlannedKind]:
        """As the plan stores them: without words, which may quote values."""
        for kind in self._kinds.values():
            fate = kind.fate
            yield PlannedKind(
                self.chart,
                fate.verdict,
                fate.version,
                fate.states,
                fate.becomes,
                kind.machines,
                kind.example,
                fate.needs_you,
            )
