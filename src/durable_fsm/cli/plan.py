"""`durable-fsm plan`: a verdict for each stored machine before a build is deployed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from durable_fsm.cli.app_arg import AppTarget, find_app, trusted_option
from durable_fsm.cli.errors import DIFFERS, CommandError
from durable_fsm.cli.output import json_option, say, show
from durable_fsm.cli.plan_arg import plan_in
from durable_fsm.cli.settings import Connection, connectable
from durable_fsm.core.chart import Chart
from durable_fsm.core.values import Json
from durable_fsm.errors import counted
from durable_fsm.frontends.locate import locate_charts
from durable_fsm.plan.judging import Judge
from durable_fsm.plan.plan_file import NotAPlan, PlanHead, PlannedChart, PlanVerdict, PlanWriter, SavedPlan
from durable_fsm.plan.plan_index import PlanIndex
from durable_fsm.plan.planning import Judged, Planning, Stored
from durable_fsm.plan.report import ChartReport, conclusion, futures_told

if TYPE_CHECKING:
    from durable_fsm.admin.client import Admin
    from durable_fsm.admin.readings import Stopwatch
    from durable_fsm.plan.futures import Future

MIGRATIONS, TESTS = Path("migrations"), Path("tests")

EVERY_SECONDS = 1.0
"""How often a person at a terminal sees how far it is."""


@click.command()
@click.argument("target", required=False)
@click.option("--explain", "explained", metavar="KEY", help="Show each step of one machine: KEY or CHART/KEY.")
@click.option(
    "--check",
    "checked",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Check machines that are new, or have changed since this plan.",
)
@click.option(
    "--from",
    "exported",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Read the machines from a file that `export` wrote, not from a server.",
)
@click.option(
    "--old", metavar="TARGET", help="The chart that is deployed; default: as the server's deployments carry it."
)
@click.option("--explore", is_flag=True, help="Also explore the futures of each kind of machine, with its guards.")
@click.option("--fail-on", type=click.Choice(["changes"]), help="Exit with 1 even if machines only do something else.")
@click.option("--allow-empty", is_flag=True, help="Exit with 0 even if there is no machine to check.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("plan.json"),
    show_default=True,
    help="Write the plan to this file.",
)
@connectable
@json_option
@trusted_option
def plan(
    target: str | None,
    connect: Callable[[], Connection],
    *,
    explained: str | None,
    checked: Path | None,
    exported: Path | None,
    old: str | None,
    explore: bool,
    fail_on: str | None,
    allow_empty: bool,
    output: Path,
    as_json: bool,
    trusted: bool,
) -> None:
    """Report what a build would do with each stored machine.

    TARGET is the application or the chart that you are about to deploy. Every verdict comes from the functions that the
    build runs when it first reads a machine: migrations, the check of the data, reconciling. The command only reads from
    the server. It writes the plan, and for machines that need one, a migration with its tests; a migration that exists is
    not overwritten.

    Exits with 1 if a machine or a sender needs your decision, or if there was nothing to check.

    \b
    Examples:
      durable-fsm plan shop.service:app
      durable-fsm plan shop.service:app --explain Order/o-17
      durable-fsm plan --check plan.json
    """
    if explained is not None and checked is not None:
        raise click.UsageError("Choose one of --explain and --check.")
    saved = plan_in(checked) if checked is not None else None
    app = AppTarget(saved.head.target, Path.cwd()) if saved is not None and target is None else find_app(target)
    if str(app.folder) not in sys.path:
        sys.path.insert(0, str(app.folder))
    charts = locate_charts(app.target, trusted=trusted)
    older = locate_charts(old, trusted=trusted) if old is not None else ()
    build = _Build(app.shown, charts, older)
    with ExitStack() as ending:
        admin = None if exported is not None else ending.enter_context(_admin(connect()))
        source = _Source(admin, exported)
        if explained is not None:
            _explain(build, source, explained)
        elif saved is not None:
            _check(build, source, saved, as_json=as_json)
        else:
            _plan(build, source, output, explore=explore, fail_on=fail_on, allow_empty=allow_empty, as_json=as_json)


def _admin(connection: Connection) -> Admin:
    from durable_fsm.admin.client import Admin

    return Admin(connection.admin, connection.http())


# ── where things come from ────────────────────────────────────────────────────────────────────────────────────────────


class _Build:
    """The charts of the build, and what is known of those that are deployed."""

    def __init__(self, target: str, charts: tuple[Chart, ...], older: tuple[Chart, ...]) -> None:
        self.target = target
        self.charts = charts
        self._older = older

    def named(self, name: str) -> Chart:
        """One chart.

        Raises:
            click.UsageError: the build has no such chart.
        """
        found = next((chart for chart in self.charts if chart.name == name), None)
        if found is None:
            has = ", ".join(f"'{chart.name}'" for chart in self.charts)
            raise click.UsageError(f"'{self.target}' has no chart '{name}'. It has {has}.")
        return found

    def deployed(self, chart: Chart, source: _Source) -> list[tuple[str, Chart | None]]:
        """The earlier charts of this name, the newest first, each with the id of its deployment."""
        older = [("", old) for old in self._older if old.name == chart.name]
        return older + source.deployed(chart.name)

    def judge(self, chart: Chart, deployed: Iterable[tuple[str, Chart | None]]) -> Judge:
        earlier = [old for _, old in deployed if old is not None]
        return Judge(chart, earlier, [other for other in self.charts if other is not chart])


class _Source:
    """Where the machines are read: a server, or a file that `export` wrote."""

    def __init__(self, admin: Admin | None, file: Path | None) -> None:
        self.admin = admin
        self.file = file

    @property
    def server(self) -> str | None:
        return None if self.admin is None else self.admin.url

    def watch(self) -> Stopwatch:
        from durable_fsm.admin.readings import Stopwatch

        return Stopwatch()

    def said(self, watch: Stopwatch) -> str:
        return str(watch.read()) if self.file is None else f"from {self.file}"

    def deployed(self, name: str) -> list[tuple[str, Chart | None]]:
        if self.admin is None:
            return []
        from durable_fsm.admin.charts import deployed_charts

        return [*deployed_charts(self.admin, name)]

    def machines(self, chart: str) -> Iterator[Stored]:
        """Every machine of a chart, one by one."""
        if self.admin is None:
            return self._exported(chart)
        from durable_fsm.admin.inventory import every_text_of

        return every_text_of(self.admin, chart)

    def machine(self, chart: str, key: str) -> str | None:
        """The snapshot of one machine; None if there is none."""
        if self.admin is None:
            return dict(self._exported(chart)).get(key)
        from durable_fsm.admin.inventory import texts_at

        return dict(texts_at(self.admin, chart, [key])).get(key)

    def _exported(self, chart: str) -> Iterator[Stored]:
        from durable_fsm.cli.transfer import lines_in
        from durable_fsm.core.codec import canonical

        assert self.file is not None
        with self.file.open(encoding="utf-8") as lines:
            for line in lines_in(lines):
                if line["chart"] == chart:
                    yield line["key"], canonical(line["snapshot"])

    def sent(self, chart: str, events: list[str]) -> dict[str, int]:
        """How often these events were sent lately, as far as the server still knows."""
        if self.admin is None or not events:
            return {}
        from durable_fsm.admin.client import literal
        from durable_fsm.admin.conditions import texts

        rows = self.admin.query(
            "SELECT target_handler_name AS event, count(*) AS many FROM sys_invocation"
            f" WHERE target_service_name = {literal(chart)} AND target_handler_name IN {texts(events)} GROUP BY 1"
        )
        return {row["event"]: int(row["many"]) for row in rows}

    def running(self, chart: str) -> list[tuple[str, int]]:
        """Deployments on which invocations of a chart and its activities run, with their numbers."""
        if self.admin is None:
            return []
        from durable_fsm.admin.client import literal

        rows = self.admin.query(
            "SELECT pinned_deployment_id AS id, count(*) AS many FROM sys_invocation WHERE status <> 'completed'"
            f" AND (target_service_name = {literal(chart)} OR starts_with(target_service_name, {literal(f'{chart}.')}))"
            " AND pinned_deployment_id IS NOT NULL GROUP BY 1 ORDER BY 1"
        )
        return [(row["id"], int(row["many"])) for row in rows]


# ── the plan ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _plan(
    build: _Build,
    source: _Source,
    output: Path,
    *,
    explore: bool,
    fail_on: str | None,
    allow_empty: bool,
    as_json: bool,
) -> None:
    deployed = {chart.name: build.deployed(chart, source) for chart in build.charts}
    head = PlanHead(
        datetime.now(UTC).isoformat(timespec="seconds"),
        build.target,
        source.server,
        tuple(
            PlannedChart(chart.name, chart.version, chart.digest, tuple(id for id, _ in deployed[chart.name] if id))
            for chart in build.charts
        ),
    )
    reports: list[ChartReport] = []
    plans: list[Planning] = []
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        writer = PlanWriter(output, head)
    except OSError as error:
        raise click.UsageError(f"'{output}' cannot be written: {error.strerror}.") from error
    with writer as file:
        first = 0
        for chart in build.charts:
            watch = source.watch()
            planning = Planning(build.judge(chart, deployed[chart.name]), first)
            for found in _watched(chart.name, planning.judged(source.machines(chart.name)), as_json=as_json):
                file.add(planning.count(found))
            reports.append(_report(planning, source, watch, deployed[chart.name]))
            plans.append(planning)
            first += len(planning.census.kinds())
        file.finish([kind for planning in plans for kind in planning.census.planned()])
    files = [file for planning in plans for file in _written(planning, build.target)]
    written = [str(output), *(file for each in files for file in each.files)]
    proposed = [rename for each in files for rename in each.proposed]
    futures = [future for planning in plans for future in _futures(planning)] if explore else []
    total = sum(report.census.machines + report.census.gone for report in reports)
    if as_json:
        more = {"futures": [future.row for future in futures]} if explore else {}
        show({"charts": [report.row for report in reports], "written": written, "proposed": proposed, **more}, as_json)
    else:
        for report in reports:
            for line in report.lines():
                say(line)
        for line in futures_told(futures) if explore else ():
            say(line)
        if total:
            say(conclusion(reports))
        say(f"Written: {' · '.join(written)}")
        if proposed:
            say(f"Proposed there: {' · '.join(proposed)}. Review it.")
    if not total and not allow_empty:
        raise CommandError("nothing was checked: there is no machine. --allow-empty accepts that.", code=DIFFERS)
    if any(future.found for future in futures):
        sys.exit(DIFFERS)
    changes = sum(report.census.by_verdict[PlanVerdict.CHANGES] for report in reports)
    if any(report.needs_you or report.needed_facts for report in reports) or (fail_on is not None and changes):
        sys.exit(DIFFERS)


def _futures(planning: Planning) -> Iterator[Future]:
    from durable_fsm.plan.futures import future_of

    for kind in planning.census.kinds():
        if (future := future_of(planning.judge, kind)) is not None:
            yield future


def _watched(chart: str, machines: Iterator[Judged], *, as_json: bool) -> Iterator[Judged]:
    """Tell a person at a terminal how far it is."""
    tells = not as_json and sys.stderr.isatty()
    said = time.monotonic()
    for number, machine in enumerate(machines, 1):
        if tells and time.monotonic() - said > EVERY_SECONDS:
            said = time.monotonic()
            click.echo(f"\r{chart}: {number:,} machines …", err=True, nl=False)
        yield machine
    if tells:
        click.echo("\r\033[K", err=True, nl=False)


def _report(
    planning: Planning, source: _Source, watch: Stopwatch, deployed: list[tuple[str, Chart | None]]
) -> ChartReport:
    from durable_fsm.plan.senders import sender_facts

    chart = planning.chart
    charts = [old for _, old in deployed if old is not None]
    known = [old for old in charts if old.digest != chart.digest] or charts
    facts = sender_facts(known[0], chart) if known else []
    report = ChartReport(
        chart,
        planning.census,
        source.said(watch),
        deployed=known[0].version if known else "",
        deployments=[id for id, _ in deployed if id],
        facts=facts,
        sent=source.sent(chart.name, [fact.event for fact in facts if fact.event]),
    )
    if not known and planning.census.machines:
        report.notes.append(
            f"The deployed chart of {chart.name} is not known: nothing is said about senders and changes. Name it with --old."
        )
    for id, many in source.running(chart.name):
        report.notes.append(f"{counted(many, 'invocation')} of {chart.name} run on {id}: keep it until they are over.")
    for version, needs in planning.needs.items():
        if needs.blocked and version == chart.version:
            words = (
                f"'{version}' is also the version of blocked machines. A migration leads from one version to another"
            )
            report.notes.append(f"{words}: give {chart.name} a new version before you add one.")
    return report


class _Files(NamedTuple):
    """The files of one migration, in words, and the new names that it proposes."""

    files: list[str]
    proposed: list[str]


def _written(planning: Planning, target: str) -> Iterator[_Files]:
    """Write the migrations that are needed, and their tests; say which."""
    for migration, needs in planning.migrations():
        test, kinds = planning.test_of(target, migration, needs.version)
        files: list[str] = []
        holes = f" ({counted(migration.holes, 'hole')})" if migration.holes else ""
        for file, text, more in (
            (MIGRATIONS / f"{migration.name}.py", migration.text, holes),
            (TESTS / f"test_{migration.name}.py", test, f" ({counted(kinds, 'kind')} of machine, values made up)"),
        ):
            if file.exists():
                files.append(f"{file} exists, and was not changed")
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            files.append(f"{file}{more}")
        renames = (*migration.states, *migration.activities)
        yield _Files(files, [f"{one.old} → {one.new} ({one.why}: {one.score:.2f})" for one in renames])


# ── one machine ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _explain(build: _Build, source: _Source, place: str) -> None:
    from durable_fsm.core.codec import snapshot_from_text
    from durable_fsm.core.snapshot import Snapshot
    from durable_fsm.plan.explaining import explained

    name, _, key = place.partition("/")
    if key and any(chart.name == name for chart in build.charts):
        chart = build.named(name)
    elif len(build.charts) == 1:
        chart, key = build.charts[0], place
    else:
        raise click.UsageError(f"Name the chart, too: --explain CHART/{place}.")
    text = source.machine(chart.name, key)
    if text is None:
        raise CommandError(f"there is no machine {chart.name}/{key}.", code=DIFFERS)
    machine = snapshot_from_text(chart.name, text.encode(), Snapshot)
    for line in explained(build.judge(chart, build.deployed(chart, source)), key, machine):
        say(line)


# ── looking again ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _check(build: _Build, source: _Source, saved: SavedPlan, *, as_json: bool) -> None:
    """Judge again the machines that have changed since the plan, and new ones."""
    try:
        index = PlanIndex(saved.machines())
    except NotAPlan as error:
        raise click.UsageError(str(error)) from error
    with index:
        _check_again(build, source, saved, index, as_json=as_json)


def _check_again(build: _Build, source: _Source, saved: SavedPlan, index: PlanIndex, *, as_json: bool) -> None:
    moved: list[dict[str, Json]] = []
    new = again = there = 0
    needs = sum(kind.machines for kind in saved.kinds if kind.needs_you)
    for planned in saved.head.charts:
        chart = build.named(planned.chart)
        judge = build.judge(chart, build.deployed(chart, source))
        planning = Planning(judge)
        rebuilt = chart.digest != planned.digest or chart.version != planned.version
        if rebuilt and not as_json:
            say(f"{chart.name} has changed since this plan was made: every machine is judged again.")
        for found in _watched(chart.name, planning.judged(source.machines(chart.name)), as_json=as_json):
            at = found.snapshot
            before = index.place_of(chart.name, found.key)
            there += before is not None
            if before is not None and at is not None and before == (at.life, at.seq) and not rebuilt:
                continue
            new += before is None
            again += before is not None
            if found.fate.needs_you:
                what = "; ".join(found.fate.words)
                states = ", ".join(found.fate.states)
                moved.append(
                    {
                        "machine": f"{chart.name}/{found.key}",
                        "verdict": found.fate.verdict.value,
                        "states": states,
                        "what": what,
                    }
                )
    gone = len(index) - there
    if as_json:
        show({"moved": again, "new": new, "gone": gone, "needs_you": moved, "planned_needs": needs}, as_json)
    else:
        made = datetime.fromisoformat(saved.head.made).astimezone()
        say(_looked_again(again, new, gone, moved, f"{made:%H:%M}"))
        for one in moved:
            say(f"  {one['machine']} ({one['states']}) is {one['verdict']}: {one['what']}")
        if needs:
            say(f"The plan itself had {counted(needs, 'machine')} that need you.")
    if moved or needs:
        sys.exit(DIFFERS)


def _looked_again(again: int, new: int, gone: int, moved: list[dict[str, Any]], since: str) -> str:
    if not again and not new and not gone:
        return f"No machine has moved since {since}."
    parts = [f"{counted(again, 'machine')} {'has' if again == 1 else 'have'} moved since {since}."]
    parts += [f"{new} {'is' if new == 1 else 'are'} new."] if new else []
    parts += [f"{gone} {'is' if gone == 1 else 'are'} gone."] if gone else []
    parts += [f"{len(moved)} of them {'needs' if len(moved) == 1 else 'need'} you now:"] if moved else []
    return " ".join(parts)
