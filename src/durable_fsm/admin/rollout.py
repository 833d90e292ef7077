"""Tries a build on the machines that a server has, before it is deployed; nothing is written."""

from __future__ import annotations

from dataclasses import dataclass, field

from durable_fsm.admin.client import Admin
from durable_fsm.admin.inventory import every_text_of, stored_in
from durable_fsm.admin.readings import Row
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import members_of
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.upgrade import Differences, upgrade
from durable_fsm.errors import DurableFSMError, quoted


@dataclass
class Rollout:
    """The machines of one chart under a build that is not deployed yet.

    Attributes:
        unchanged: number of machines that continue as they are.
        migrated: number of machines that migrate, by their version.
        reconciled: number of machines in which a changed chart begins or ends something, by that.
        refused: why the build cannot continue a machine, by key.
    """

    chart: str
    unchanged: int = 0
    migrated: dict[str, int] = field(default_factory=dict[str, int])
    reconciled: dict[Differences, int] = field(default_factory=dict[Differences, int])
    refused: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def row(self) -> Row:
        """As JSON."""
        reconciled = [{**differences.note, "machines": many} for differences, many in self.reconciled.items()]
        return {
            "unchanged": self.unchanged,
            "migrated": self.migrated,
            "reconciled": reconciled,
            "refused": self.refused,
        }

    @property
    def lines(self) -> list[str]:
        """As sentences."""
        found = [f"{_machines(self.unchanged)} unchanged."] if self.unchanged else []
        found += [f"{_machines(many)} of version '{version}' will migrate." for version, many in self.migrated.items()]
        found += [f"{_machines(many)}: {_words(differences)}." for differences, many in self.reconciled.items()]
        return found or [
            f"No machine of {self.chart} can continue." if self.refused else f"No machine of {self.chart}."
        ]


def rollout(admin: Admin, chart: Chart) -> Rollout:
    """Try a chart on every machine that the server has of it; migrations run, and nothing is written."""
    found = Rollout(chart.name)
    for key, text in every_text_of(admin, chart.name):
        stored, problem = stored_in(chart.name, text)
        if stored is None:
            if problem is not None:
                found.refused[key] = f"its snapshot cannot be read: {problem}"
            continue
        machine = Snapshot(*members_of(stored))
        try:
            upgraded = upgrade(chart, machine).upgrade
        except DurableFSMError as error:
            found.refused[key] = error.what
            continue
        if upgraded is None:
            found.unchanged += 1
        elif any(upgraded.differences):
            found.reconciled[upgraded.differences] = found.reconciled.get(upgraded.differences, 0) + 1
        else:
            found.migrated[machine.version] = found.migrated.get(machine.version, 0) + 1
    return found


def _machines(many: int) -> str:
    return "1 machine" if many == 1 else f"{many} machines"


def _words(differences: Differences) -> str:
    begins = [f"{quoted(differences.begins)} will begin"] if differences.begins else []
    return " and ".join([*begins, f"{quoted(differences.ends)} will end"] if differences.ends else begins)
