"""A plan in words: how many machines have which fate, what senders must know, and what was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from durable_fsm.core.chart import Chart
from durable_fsm.errors import counted
from durable_fsm.plan.kinds import Census, KindCount
from durable_fsm.plan.plan_file import PlanVerdict
from durable_fsm.plan.senders import SenderFact

if TYPE_CHECKING:
    from durable_fsm.plan.futures import Future

MOST_KINDS = 10
"""Kinds of each verdict that are distinguished."""

QUIET = (PlanVerdict.OVER, PlanVerdict.STAYS)

MEANINGS = {
    PlanVerdict.OVER: "have ended; nothing is done with them",
    PlanVerdict.STAYS: "continue unchanged",
    PlanVerdict.MOVES: "migrate",
    PlanVerdict.CHANGES: "continue, and will do something else",
    PlanVerdict.BLOCKED: "cannot continue: events would be answered 500, timers and outcomes parked",
    PlanVerdict.STRANDED: "would continue, and could never end",
    PlanVerdict.HELD: "are held by exclusive work, and follow when it ends",
    PlanVerdict.UNREADABLE: "cannot be read, by this program either",
}


@dataclass
class ChartReport:
    """The plan of one chart.

    Attributes:
        source: where the machines were read: `as of 14:06:28, read in 0.9 s`, or the name of a file.
        deployed: the version that the server has, and the ids of its deployments, the newest first.
        facts: what senders must know.
        sent: how often an event was sent lately, as far as the server still knows.
        notes: other sentences.
    """

    chart: Chart
    census: Census
    source: str
    deployed: str = ""
    deployments: Sequence[str] = ()
    facts: Sequence[SenderFact] = ()
    sent: dict[str, int] = field(default_factory=dict[str, int])
    notes: list[str] = field(default_factory=list[str])

    @property
    def needs_you(self) -> int:
        return self.census.needs_you

    @property
    def needed_facts(self) -> list[SenderFact]:
        return [fact for fact in self.facts if not fact.warning]

    def lines(self) -> Iterator[str]:
        if not self.census.machines and not self.census.gone:
            yield f"{self.heading} No machine: nothing was checked, {self.source}."
        else:
            yield f"{self.heading} {_machines(self.census.machines)}, {self.source}."
        for verdict in PlanVerdict:
            if many := self.census.by_verdict[verdict]:
                yield f"  {verdict:<10}{many:>8,}  {self._meaning(verdict)}"
                if verdict not in QUIET:
                    yield from self._kinds(verdict)
        if self.census.gone:
            yield f"  {'gone':<10}{self.census.gone:>8,}  have ended for good; only their keys are kept"
        for title, facts in (("Senders", self.needed_facts), ("Also", [fact for fact in self.facts if fact.warning])):
            if facts:
                yield f"{title}: {' · '.join(self._fact(fact) for fact in facts)}."
        yield from self.notes

    @property
    def heading(self) -> str:
        """`Order 2 (deployed, dp_15n…) → 3 (here).`"""
        if not self.deployed:
            return f"{self.chart.name} {self.chart.version} (here)."
        at = "".join(f", {id}" for id in self.deployments[:2])
        return f"{self.chart.name} {self.deployed} (deployed{at}) → {self.chart.version} (here)."

    def _meaning(self, verdict: PlanVerdict) -> str:
        if verdict is not PlanVerdict.MOVES:
            return MEANINGS[verdict]
        versions = sorted({kind.fate.version for kind in self.census.kinds_of(verdict)})
        return f"migrate {', '.join(versions)} → {self.chart.version}"

    def _kinds(self, verdict: PlanVerdict) -> Iterator[str]:
        kinds = self.census.kinds_of(verdict)
        width = max((len(kind.place) for kind in kinds[:MOST_KINDS]), default=0)
        for kind in kinds[:MOST_KINDS]:
            words = "; ".join(kind.fate.words)
            yield f"            {kind.machines:>8,}  {kind.place:<{width}}  {words}".rstrip()
        if more := kinds[MOST_KINDS:]:
            machines = sum(kind.machines for kind in more)
            yield f"            {machines:>8,}  of {counted(len(more), 'more kind')}; --json tells all"

    def _fact(self, fact: SenderFact) -> str:
        often = self.sent.get(fact.event, 0)
        return f"{fact.words} ({often} sent lately)" if often else fact.words

    @property
    def row(self) -> dict[str, Any]:  # Any: JSON
        """As JSON."""
        return {
            "chart": self.chart.name,
            "deployed": self.deployed or None,
            "version": self.chart.version,
            "deployments": list(self.deployments),
            "machines": self.census.machines,
            "gone": self.census.gone,
            "source": self.source,
            "verdicts": {verdict.value: self.census.by_verdict[verdict] for verdict in PlanVerdict},
            "kinds": [_row(kind) for kind in self.census.kinds()],
            "senders": [
                {"what": fact.words, "event": fact.event or None, "warning": fact.warning} for fact in self.facts
            ],
            "needs_you": {"machines": self.needs_you, "facts": len(self.needed_facts)},
            "notes": self.notes,
        }


def _machines(many: int) -> str:
    return "1 machine" if many == 1 else f"{many:,} machines"


def _row(kind: KindCount) -> dict[str, Any]:  # Any: JSON
    fate = kind.fate
    return {
        "verdict": fate.verdict.value,
        "machines": kind.machines,
        "version": fate.version,
        "states": list(fate.states),
        "becomes": list(fate.becomes),
        "what": list(fate.words),
        "example": kind.example,
    }


def futures_told(futures: Sequence[Future]) -> Iterator[str]:
    """The findings of each kind, and how many kinds were explored."""
    bad = [future for future in futures if future.found]
    for future in bad:
        kind = future.kind
        yield f"Future of {kind.place} ({_machines(kind.machines)}, e.g. {kind.example}):"
        yield from (f"  {words}" for words in future.found)
    parts = [f"Futures: {counted(len(futures), 'kind')} explored"]
    parts += [f"{len(bad)} with findings" if bad else "nothing found"]
    if seen := [future for future in futures if not future.closed]:
        parts.append(f"{len(seen)} not to the end: durable-fsm explore --from goes further")
    yield f"{', '.join(parts)}."


def conclusion(reports: Iterable[ChartReport]) -> str:
    """The last sentence: how much a person has to decide."""
    all_ = list(reports)
    machines = sum(report.needs_you for report in all_)
    facts = sum(len(report.needed_facts) for report in all_)
    parts = [_machines(machines)] if machines else []
    parts += [f"{counted(facts, 'fact')} about senders"] if facts else []
    needs = f"Needs you: {' and '.join(parts)}." if parts else "Nothing needs you."
    return f"{needs} Every machine has a verdict."
