"""For migrations that `durable-fsm plan` has written, and for their tests: holes to fill, and a machine to try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import snapshot_from_json
from durable_fsm.core.migration import Migration, path_from
from durable_fsm.core.values import Json
from durable_fsm.frontends.locate import locate_chart, locate_module
from durable_fsm.plan.judging import Fate, Judge
from durable_fsm.plan.migration_file import WrittenMigration


class Hole(NotImplementedError):
    """A question that only a person can answer; until then the migration refuses such machines."""


def hole(question: str) -> Hole:
    """The error to raise where a written migration needs you: put your answer in place of the line that raises it."""
    return Hole(question)


def tried(root: Path, target: str, machine: Mapping[str, Any], migration: str) -> Fate:  # Any: JSON
    """The fate of a stored machine under a chart with a migration that was written for it.

    Args:
        root: the directory of the project, from which the other names count.
        target: the chart, as `durable-fsm plan` names it: `module:Name` or `file.py:Name`.
        machine: the stored snapshot.
        migration: the file that defines the migration; what the chart itself declares comes first.
    """
    chart = locate_chart(target, (root,), name=str(machine["chart"])).chart
    stored: Json = dict(machine)
    return Judge(with_migration(chart, _defined_in(root / migration))).fate(snapshot_from_json(chart, stored))


def with_migration(chart: Chart, migration: Migration) -> Chart:
    """The chart with one more migration, unless it has its own for that version; as the version to which that leads."""
    if chart.version != migration.source and path_from(migration.source, chart.version, chart.hosting.migrations):
        return chart
    hosting = replace(chart.hosting, migrations=(*chart.hosting.migrations, migration))
    return replace(chart, version=migration.to, hosting=hosting)


def with_migration_of(chart: Chart, written: WrittenMigration, version: str) -> Chart:
    """The chart with the names of a written migration; its holes are left out, so machines that need them are refused."""
    names = ({one.old: one.new for one in renames} for renames in (written.states, written.activities))
    states, activities = names
    return with_migration(chart, Migration(version, written.to, states=states, activities=activities))


def _defined_in(file: Path) -> Migration:
    found = [one for one in vars(locate_module(file)).values() if isinstance(one, Migration)]
    if len(found) != 1:
        raise LookupError(f"'{file}' defines {len(found)} migrations, and should define one.")
    return found[0]
