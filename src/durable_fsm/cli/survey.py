"""`durable-fsm list` and `durable-fsm doctor`: the machines of a server, and its problems."""

from __future__ import annotations

import difflib
import itertools
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from durable_fsm.cli.errors import DIFFERS
from durable_fsm.cli.machine_arg import DurationType
from durable_fsm.cli.output import json_option, say, show
from durable_fsm.cli.settings import Connection, connected
from durable_fsm.cli.where import filter_of
from durable_fsm.core.chart import Chart
from durable_fsm.core.snapshot import Status
from durable_fsm.errors import quoted
from durable_fsm.frontends.locate import locate_chart, locate_charts

if TYPE_CHECKING:
    from durable_fsm.admin.client import Admin
    from durable_fsm.admin.problems import Diagnosis

KNOWN = ((1, 7),)
"""Versions of the Restate server, without the last number, on which everything is tested."""


PATIENCE_SECONDS = 2
"""How long `doctor` waits for an answer of a service."""


@click.command("list")
@click.argument("name", metavar="[CHART]", required=False)
@click.option("--state", help="Only machines in this state; with --chart also a state that contains others.")
@click.option("--status", type=click.Choice([str(status) for status in Status]), help="Only machines with this status.")
@click.option("--version", help="Only machines of this version of their chart.")
@click.option(
    "--older-than", type=DurationType(), metavar="DURATION", help="Only machines without an event for this time."
)
@click.option("--failed", is_flag=True, help="Only machines that failed.")
@click.option("--parked", is_flag=True, help="Only machines with deliveries that no deployment could process.")
@click.option(
    "--stuck", is_flag=True, help="Only machines whose key is blocked by an invocation that makes no progress."
)
@click.option("--failing", is_flag=True, help="Only machines with an activity that fails and is retried.")
@click.option(
    "--where",
    multiple=True,
    metavar="NAME=VALUE",
    help="Only machines of CHART with this value of an indexed field; may be given several times.",
)
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most this many machines.")
@click.option("--chart", "target", metavar="TARGET", help="The definition, to know which states contain others.")
@connected
@json_option
def list_machines(
    name: str | None,
    connection: Connection,
    *,
    state: str | None,
    status: str | None,
    version: str | None,
    older_than: timedelta | None,
    failed: bool,
    parked: bool,
    stuck: bool,
    failing: bool,
    where: tuple[str, ...],
    limit: int,
    target: str | None,
    as_json: bool,
) -> None:
    """List the machines of CHART, or those of all charts.

    They come from the server's SQL tables, sorted by key.

    \b
    Examples:
      durable-fsm list Order --state on_hold --older-than 1d
      durable-fsm list Order --where customer=ada
      durable-fsm list --failed
    """
    from durable_fsm.admin.client import Admin
    from durable_fsm.admin.inventory import Filter, charts_in, ensure_known, machines_of
    from durable_fsm.admin.readings import Stopwatch

    if failed and status not in (None, str(Status.FAILED)):
        raise click.UsageError("--failed and --status contradict each other.")
    if where and name is None:
        raise click.UsageError("With --where, name the CHART.")
    said = filter_of(where)
    wanted = Filter(
        state=state or said.state,
        status=str(Status.FAILED) if failed else status or said.status,
        version=version or said.version,
        older_than=older_than,
        parked=parked,
        stuck=stuck,
        failing=failing,
        fields=said.fields,
    )
    definitions = _definitions(target, name, state)
    watch = Stopwatch()
    with Admin(connection.admin, connection.http()) as admin:
        if name is not None:
            ensure_known(admin, name)
        charts = [name] if name is not None else list(definitions) or charts_in(admin)
        machines = (
            one
            for chart in charts
            for one in machines_of(admin, chart, wanted, definitions.get(chart), batch=limit + 1)
        )
        found = list(itertools.islice(machines, limit + 1))
    rows = [({} if name is not None else {"chart": one.chart}) | one.row for one in found[:limit]]
    if not as_json:
        empty = [name for name in ("changed", "parked", "stuck", "failing") if all(row[name] is None for row in rows)]
        rows = [{name: value for name, value in row.items() if name not in empty} for row in rows]
    show(rows or (rows if as_json else _none(name, state, definitions)), as_json)
    if len(found) > limit:
        click.echo(f"There are more: --limit {limit * 10}", err=True)
    if not as_json:
        click.echo(f"{str(watch.read()).capitalize()}.", err=True)


def _definitions(target: str | None, name: str | None, state: str | None) -> dict[str, Chart]:
    """The charts of --chart by name. One of them must have the state."""
    if target is None:
        return {}
    charts = locate_charts(target) if name is None else [locate_chart(target, name=name).chart]
    known = sorted({id for chart in charts for id in chart.states if id})
    if state is not None and state not in known:
        close = difflib.get_close_matches(state, known, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else f" There are {quoted(known)}."
        raise click.UsageError(f"'{target}' has no state '{state}'.{hint}")
    return {chart.name: chart for chart in charts}


def _none(name: str | None, state: str | None, definitions: Mapping[str, Chart]) -> str:
    of_chart = f" of {name}" if name is not None else ""
    if state is None or definitions:
        return f"No machine{of_chart} matches."
    return f"No machine{of_chart} matches. '{state}' is compared with innermost states; for others add --chart TARGET."


@click.command("doctor")
@click.argument("targets", nargs=-1)
@click.option(
    "--attempts",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Report an activity that has failed this often, or for --failing-for.",
)
@click.option(
    "--failing-for",
    type=DurationType(),
    default="1m",
    show_default=True,
    help="Report an activity that has been failing for this time, or --attempts times.",
)
@connected
@json_option
def doctor(
    targets: tuple[str, ...], connection: Connection, *, attempts: int, failing_for: timedelta, as_json: bool
) -> None:
    """Find problems, and print a remedy for each.

    It checks servers, machines, timers, activities, invocations and deployments. With TARGETS (charts or applications,
    'module:Name' or 'file.py:Name') it also checks the subscriptions that these charts declare. Exits with 1 if there is
    a problem.

    \b
    Examples:
      durable-fsm doctor
      durable-fsm doctor shop.service:app
    """
    from durable_fsm.admin.client import Admin
    from durable_fsm.admin.deployments import Services, missing_handlers
    from durable_fsm.admin.diagnosis import diagnoses
    from durable_fsm.admin.failing_activities import Patience
    from durable_fsm.admin.readability import CurrentBuilds
    from durable_fsm.admin.readings import Stopwatch
    from durable_fsm.restate.machine.object import handlers_of

    charts = [chart for target in targets for chart in locate_charts(target)]
    watch = Stopwatch()
    with Admin(connection.admin, connection.http()) as admin, connection.http(PATIENCE_SECONDS) as http:
        builds = CurrentBuilds(connection.ingress, http, admin)
        found = [*_about_servers(admin, connection), *diagnoses(admin, Patience(attempts, failing_for), builds)]
        services = Services.of(admin) if charts else None
        for chart in charts:
            if services is not None:
                found += missing_handlers(services, chart.name, set(handlers_of(chart)))
            found += _about_topics(admin, chart)
    if as_json:
        show([{"kind": one.kind, "what": one.what, "remedy": one.remedy} for one in found], as_json)
    elif not found:
        click.echo("Nothing is wrong.")
    for one in () if as_json else found:
        say(f"{one.kind}: {one.what}")
        say(f"    → {one.remedy}")
    if not as_json:
        click.echo(f"{str(watch.read()).capitalize()}.", err=True)
    if found:
        sys.exit(DIFFERS)


def _about_servers(admin: Admin, connection: Connection) -> Iterator[Diagnosis]:
    from httpx import HTTPError

    from durable_fsm.admin.problems import Diagnosis

    version = str(admin.ask("GET", "/version")["version"])
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) not in KNOWN:
        known = ", ".join(".".join(map(str, one)) for one in KNOWN)
        what = f"Restate {version} is not a version on which durable-fsm is tested."
        yield Diagnosis("version", what, f"use Restate {known}, or try your tests on {version}")
    try:
        with connection.http(5) as client:
            answer = client.get(f"{connection.ingress}/restate/health")
        problem = None if answer.is_success else f"it answers {answer.status_code}"
    except HTTPError as error:
        problem = str(error) or type(error).__name__
    if problem is not None:
        what = f"The ingress {connection.ingress} cannot be used: {problem}."
        yield Diagnosis("ingress", what, "start it, or name another with --ingress")


def _about_topics(admin: Admin, chart: object) -> Iterator[Diagnosis]:
    from durable_fsm.admin.client import AdminRefused
    from durable_fsm.admin.kafka_subscriptions import changes
    from durable_fsm.admin.problems import Diagnosis

    assert isinstance(chart, Chart)
    try:
        pending = changes(admin, [chart], {})
    except AdminRefused as error:
        yield Diagnosis("subscription", f"{chart.name}: {error}", "durable-fsm kafka TARGET --brokers NAME=HOST:PORT")
        return
    for change in pending:
        yield Diagnosis("subscription", f"{chart.name}: not done yet: {change.description}", "durable-fsm kafka TARGET")
