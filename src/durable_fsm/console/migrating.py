"""Previews of migrations: what the deployed build would do with stored machines, before an operator lets it.

With the author's code the answer is that of `durable-fsm plan`: the turn that meets a machine first is run here, and nothing
of it is kept. Without, only versions can be compared: whether a migration leads to the latest one is known by its code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from durable_fsm.console.facts import MachineFacts
from durable_fsm.console.formatting import listed
from durable_fsm.console.reading import KnownChart
from durable_fsm.console.redaction import Redactor
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import members_of
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.plan.judging import Fate, Judge
from durable_fsm.plan.plan_file import PlanVerdict
from durable_fsm.restate.stored.snapshot import StoredRecord

CAN_MOVE = (PlanVerdict.MOVES, PlanVerdict.CHANGES)
NEEDS_NOTHING = (PlanVerdict.STAYS, PlanVerdict.OVER)


@dataclass(frozen=True, slots=True)
class ForeseenMigration:
    """The outcome of a migration that has not been asked for.

    Attributes:
        words: what would happen, or why nothing would.
        moves: whether the machine would come to the deployed build.
        refused: whether it would not, although it should.
    """

    words: str
    moves: bool = False
    refused: bool = False


@dataclass
class MigrationForesight:
    """Foresees the migrations of the machines of one chart.

    Attributes:
        code: the deployed chart with its author's code, if it is here.
        hide_data: whether nothing of the data is shown, such as where it does not fit.
    """

    known: KnownChart
    code: Chart | None
    hide_data: bool = False
    _judge: Judge | None = field(init=False)

    def __post_init__(self) -> None:
        earlier = [one.chart for one in self.known.deployments if one.chart is not None]
        self._judge = None if self.code is None else Judge(self.code, earlier)

    def of(self, facts: MachineFacts, stored: StoredRecord, now: datetime) -> ForeseenMigration:
        """The outcome for a machine."""
        chart = self.known.chart
        if chart is None:
            return ForeseenMigration("the deployed chart is not known", refused=True)
        if self._judge is None:
            return by_versions(chart, stored)
        if stored.status is not Status.DONE and (stored.version, stored.digest) == (chart.version, chart.digest):
            return ForeseenMigration(f"is at version {chart.version} already")
        fate = self._judge.fate(Snapshot(*members_of(stored)), now=now)
        return _told(fate, chart, Redactor(self.known, facts, hide_data=self.hide_data))


def _told(fate: Fate, chart: Chart, redactor: Redactor) -> ForeseenMigration:
    words = [redactor.text(one) for one in fate.words] if redactor.is_open else []
    if fate.verdict in NEEDS_NOTHING:
        done = "has ended" if fate.verdict is PlanVerdict.OVER else f"continues unchanged at version {fate.version}"
        return ForeseenMigration(done)
    if fate.verdict not in CAN_MOVE:
        return ForeseenMigration("; ".join([str(fate.verdict.value), *words]), refused=True)
    way = listed(fate.states)
    if fate.becomes != fate.states:
        way = f"{way} → {listed(fate.becomes)}"
    return ForeseenMigration("; ".join([_versions(fate.version, chart), way, *words]), moves=True)


def by_versions(chart: Chart, stored: StoredRecord) -> ForeseenMigration:
    """The outcome as far as the versions alone tell it."""
    if stored.status is Status.DONE:
        return ForeseenMigration("has ended")
    if (stored.version, stored.digest) == (chart.version, chart.digest):
        return ForeseenMigration(f"is at version {chart.version} already")
    return ForeseenMigration(f"{_versions(stored.version, chart)} if a migration leads there", moves=True)


def _versions(version: str, chart: Chart) -> str:
    return f"{version} → {chart.version}" if version != chart.version else f"to the latest build of {version}"
