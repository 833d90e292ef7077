"""`durable-fsm migrate`: let the machines of a plan continue under the deployed build, a few first, and then the others."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from durable_fsm.cli.errors import DIFFERS, INTERRUPTED, USAGE, CommandError
from durable_fsm.cli.machine_arg import DurationType, calling
from durable_fsm.cli.migration_run import (
    CAN_MOVE,
    NEED_YOU,
    FleetMigration,
    MigrationResult,
    RunFile,
    back_up,
    problems_of,
)
from durable_fsm.cli.output import console, json_option, say, show
from durable_fsm.cli.plan_arg import build_of, plan_in
from durable_fsm.cli.settings import Connection, connected
from durable_fsm.errors import CallError, counted
from durable_fsm.plan.plan_file import PlannedChart, PlanVerdict, SavedPlan

if TYPE_CHECKING:
    from durable_fsm.admin.client import Admin
    from durable_fsm.client import SyncClient

SHOWN = 20
"""Machines that are named."""

TOLD_EVERY_SECONDS = 10.0
"""Time between two lines about the progress, where the output is not a terminal."""


if TYPE_CHECKING:
    _Rates = click.ParamType[float]
else:  # older versions of click have no arguments here
    _Rates = click.ParamType


class RateType(_Rates):
    """`50/s`."""

    name = "rate"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:  # Any: click's own
        """Read it, as machines a second."""
        if isinstance(value, float):
            return value
        number, _, unit = str(value).partition("/")
        seconds = {"s": 1, "m": 60, "h": 3600}.get(unit or "s")
        try:
            rate = float(number) / (seconds or 0)
        except (ValueError, ZeroDivisionError):
            rate = 0.0
        if rate <= 0 or rate == float("inf"):
            self.fail(f"'{value}' is not a rate. Write 50/s, 600/m or 1000/h.", param, ctx)
        return rate


@click.command()
@click.argument("chart")
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="The plan that durable-fsm plan has written.",
)
@click.option(
    "--canary", type=click.IntRange(min=1), metavar="N", help="Move N machines first, and continue if all is well."
)
@click.option(
    "--canary-wait",
    type=DurationType(),
    default="5s",
    show_default=True,
    help="Check the canaries after this time.",
)
@click.option("--rate", type=RateType(), help="Move at most this many: 50/s, 600/m.")
@click.option(
    "--backup", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Export the machines first."
)
@click.option(
    "--run",
    "run_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Record progress in this file. The same command continues from there.",
)
@click.option(
    "--only",
    type=click.Choice([verdict.value for verdict in CAN_MOVE]),
    multiple=True,
    help="Move the machines with this verdict, even if others cannot continue.",
)
@click.option("--reason", default="durable-fsm migrate", show_default=True, help="Kept in the history of each machine.")
@click.option("--dry-run", is_flag=True, help="Print what would be done.")
@connected
@json_option
def migrate(
    chart: str,
    connection: Connection,
    *,
    plan_file: Path,
    canary: int | None,
    canary_wait: timedelta,
    rate: float | None,
    backup: Path | None,
    run_file: Path | None,
    only: tuple[str, ...],
    reason: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Migrate the machines of CHART as a plan says.

    The build of the plan must be deployed. The command reads each machine right before it moves it, and skips
    and names one that has changed since the plan was made. The service migrates a machine in one step: even if this
    command is killed, each machine is either old or new. The same command then does the rest.

    --canary N moves a few machines of each kind first. It continues if none of them has failed, is stuck or has deliveries
    that wait for another build, and otherwise reports what it saw and stops.

    There is no way back for a migrated machine. --backup saves all of them first.

    Exits with 1 if machines are left that did not move.

    \b
    Example:
      durable-fsm migrate Order --plan plan.json --canary 10 --backup before.jsonl --run migrate.jsonl
    """
    plan = plan_in(plan_file)
    build = build_of(plan, chart)
    verdicts = [PlanVerdict(one) for one in only] or list(CAN_MOVE)
    counts = Counter[PlanVerdict]()
    for kind in plan.kinds:
        if kind.chart == chart:
            counts[kind.verdict] += kind.machines
    if not only:
        _refuse_those_who_need_you(plan, chart)
    from durable_fsm.admin.client import Admin, AdminRefused

    with Admin(connection.admin, connection.http()) as admin:
        _ensure_deployed(admin, build)
        run = RunFile.open(None if dry_run else run_file, chart, plan.head.made, backup)
        try:
            migration = FleetMigration(plan, build, verdicts, run)
            if not as_json:
                _tell_plan(plan, build, counts, verdicts, run)
            if dry_run:
                if as_json:
                    _finish(migration, counts, [], as_json=True)
                else:
                    say("Nothing was moved (--dry-run).")
                return
            _keep(admin, migration, backup, run, as_json=as_json)
            with calling(connection) as client:
                saw = _run(admin, client, migration, canary, canary_wait, rate, reason, as_json=as_json)
        except (KeyboardInterrupt, CallError, AdminRefused) as error:
            say("Stopped. The same command does the rest.", err=True)
            if isinstance(error, KeyboardInterrupt):
                sys.exit(INTERRUPTED)
            raise
        finally:
            run.close()
        _finish(migration, counts, saw, as_json=as_json)


def _refuse_those_who_need_you(plan: SavedPlan, chart: str) -> None:
    """Refuse a plan in which machines cannot continue, and name some of them."""
    losing = {place for place, kind in enumerate(plan.kinds) if kind.needs_you and kind.verdict is PlanVerdict.CHANGES}
    many, named = 0, list[str]()
    for machine in plan.machines():
        if machine.chart == chart and (machine.verdict in NEED_YOU or machine.kind in losing):
            many += 1
            if len(named) < SHOWN:
                named.append(f"{machine.key} ({machine.verdict.value})")
    if not many:
        return
    more = f", and {many - len(named)} more" if many > len(named) else ""
    raise CommandError(
        f"{counted(many, 'machine')} of {chart} cannot continue under this build, or would lose something:"
        f" {', '.join(named)}{more}. Nothing was moved. Change the build and plan again, or move the others with"
        " --only moves.",
        code=DIFFERS,
        kind="NeedsYou",
    )


def _ensure_deployed(admin: Admin, build: PlannedChart) -> None:
    """Check that new machines of the server begin under the build of the plan."""
    from durable_fsm.admin.charts import chart_of

    there = chart_of(admin, build.chart)
    if there.digest != build.digest:
        what = f"{build.chart} {there.version} ({there.digest})"
        raise CommandError(
            f"The server runs {what}, and the plan is for {build.version} ({build.digest})."
            " Deploy the build of the plan first, or plan again.",
            code=USAGE,
            kind="OtherBuild",
        )


def _tell_plan(
    plan: SavedPlan,
    build: PlannedChart,
    counts: Counter[PlanVerdict],
    verdicts: list[PlanVerdict],
    run: RunFile,
) -> None:
    made = plan.head.made[:19].replace("T", " ")
    say(f"{build.chart} {build.version}: plan of {made}. The server runs this build.")
    words = {
        PlanVerdict.HELD: "follow by themselves when their exclusive work is over",
        PlanVerdict.OVER: "have ended",
        PlanVerdict.STAYS: "stay as they are",
    }
    for verdict in PlanVerdict:
        if counts[verdict]:
            does = "will be migrated" if verdict in verdicts else words.get(verdict, "are left as they are")
            say(f"  {verdict.value:<11} {counts[verdict]:>9,}  {does}")
    if run.settled:
        say(f"{counted(len(run.settled), 'machine')} done already, by {run.path}.")


def _keep(admin: Admin, migration: FleetMigration, backup: Path | None, run: RunFile, *, as_json: bool) -> None:
    """Export the machines that are to be moved, unless an earlier part of the run did."""
    if backup is None:
        return
    if backup.exists():
        if run.backup == str(backup) and run.path is not None:
            return
        raise click.UsageError(f"'{backup}' exists already. Name another file for the backup.")
    written = back_up(admin, migration.build.chart, migration.machines(), backup)
    if not as_json:
        say(f"Backup: {counted(written, 'machine')} in {backup}.")


def _run(
    admin: Admin,
    client: SyncClient,
    migration: FleetMigration,
    canary: int | None,
    canary_wait: timedelta,
    rate: float | None,
    reason: str,
    *,
    as_json: bool,
) -> list[str]:
    """Move the canaries, then the others; the reasons for stopping in between, if there are some."""
    if canary is not None and not migration.run.is_proved:
        saw = _prove(admin, client, migration, canary, canary_wait, reason, as_json=as_json)
        if saw:
            return saw
    total = sum(1 for _ in migration.machines())
    moved = migration.move(admin, client, migration.machines(), rate, reason)
    for _ in _watched(moved, total, is_quiet=as_json):
        pass
    return []


def _prove(
    admin: Admin,
    client: SyncClient,
    migration: FleetMigration,
    many: int,
    wait: timedelta,
    reason: str,
    *,
    as_json: bool,
) -> list[str]:
    """Move some machines of each kind, and look at them; what is wrong with them."""
    from durable_fsm.admin.inventory import machines_at

    machines = migration.canaries(many)
    for _ in migration.move(admin, client, machines, None, reason):
        pass
    if machines:
        time.sleep(wait.total_seconds())
    found = machines_at(admin, migration.build.chart, [machine.key for machine in machines])
    left = migration.outcomes.left
    saw = [f"{key}: {why}" for key, (result, why) in left.items() if result is MigrationResult.REFUSED]
    saw += problems_of(found, [machine for machine in machines if machine.key not in left])
    if machines and len(left) == len(machines) and not saw:
        saw = [f"none of {counted(len(machines), 'machine')} is where the plan found it: plan again"]
    kinds = counted(len({machine.kind for machine in machines}), "kind")
    if not saw:
        migration.run.note({"canary": "well"})
        if not as_json:
            moved = migration.outcomes.counts[MigrationResult.MIGRATED]
            say(f"Canary: {counted(moved, 'machine')} of {kinds} migrated; none has failed, is stuck or waits.")
    elif not as_json:
        say(
            f"Canary: {len(saw)} of {counted(len(machines), 'machine')} ({kinds}) are not well. The others were not moved."
        )
    return saw


def _watched(steps: Iterator[int], total: int, *, is_quiet: bool) -> Iterator[int]:
    """Follow the progress: a bar on a terminal, a line now and then elsewhere."""
    out = console(err=True)
    if out.is_terminal and not is_quiet:
        from rich.progress import Progress

        with Progress(console=out) as bar:
            task = bar.add_task("migrating", total=total)
            for step in steps:
                bar.advance(task, step)
                yield step
        return
    done, told = 0, time.monotonic()
    for step in steps:
        done += step
        if not is_quiet and time.monotonic() - told >= TOLD_EVERY_SECONDS:
            told = time.monotonic()
            say(f"{done:,} of {total:,} machines", err=True)
        yield step


def _finish(migration: FleetMigration, counts: Counter[PlanVerdict], saw: list[str], *, as_json: bool) -> None:
    """Say what became of the machines; exit with 1 if some are left."""
    outcomes = migration.outcomes
    left = {key: why for key, (_, why) in outcomes.left.items()}
    if as_json:
        told = {result.value: outcomes.counts[result] for result in MigrationResult}
        show(
            {"chart": migration.build.chart, "held": counts[PlanVerdict.HELD], **told, "canary": saw, "left": left},
            as_json,
        )
    else:
        for line in saw:
            say(f"  {line}")
        say(_sentence(outcomes.counts))
        for key, why in list(left.items())[:SHOWN] if not saw else ():
            say(f"  {key}: {why}")
        if len(left) > SHOWN:
            say(f"  … and {len(left) - SHOWN:,} more; --json lists them")
        if outcomes.counts[MigrationResult.MOVED]:
            say("Plan again for those that have moved.")
    if saw or left:
        sys.exit(DIFFERS)


def _sentence(counts: Counter[MigrationResult]) -> str:
    words = {
        MigrationResult.MIGRATED: "migrated",
        MigrationResult.ALREADY: "had migrated already",
        MigrationResult.GONE: "no longer exist",
        MigrationResult.MOVED: "have moved since the plan",
        MigrationResult.BUSY: "are held by an invocation",
        MigrationResult.REFUSED: "were refused by the service",
    }
    parts = [f"{counts[result]:,} {words[result]}" for result in MigrationResult if counts[result]]
    return f"{', '.join(parts) or 'Nothing to do'}."
