"""`durable-fsm console`: pages about every machine of a server, until Ctrl-C."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from durable_fsm.cli.app_arg import imports_of
from durable_fsm.cli.errors import USAGE, CommandError
from durable_fsm.cli.machine_arg import DurationType
from durable_fsm.cli.settings import Connection, connected
from durable_fsm.core.chart import Chart
from durable_fsm.diagram.words import duration
from durable_fsm.frontends.locate import locate_charts

if TYPE_CHECKING:
    from durable_fsm.console import ActingOptions
    from durable_fsm.console.reading import ServerReader

BIND = "127.0.0.1:9480"

INVITATION = "DURABLE_FSM_CONSOLE_INVITATION"
"""Environment variable with a token: its first bearer may do everything. `dev` sets it."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LEAST_POLL, MOST_POLL = timedelta(milliseconds=50), timedelta(minutes=1)


@click.command()
@click.argument("target", metavar="[APP]", required=False)
@click.option("--bind", default=BIND, show_default=True, metavar="HOST:PORT", help="Where to listen.")
@click.option(
    "--poll",
    type=DurationType(),
    default="200ms",
    show_default=True,
    metavar="DURATION",
    help="The shortest time between two reads of a machine on a page.",
)
@click.option("--no-data", is_flag=True, help="Show no data, payloads or texts of failures.")
@click.option(
    "--allow-host", multiple=True, metavar="NAME", help="Answer to this host name, too; may be given several times."
)
@click.option(
    "--coverage",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of pytest --fsm-coverage, or of explore --save or --json: the pages show which transitions tests took;"
    " may be given several times.",
)
@click.option(
    "--plan",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A plan of `durable-fsm plan`: the pages about versions show its verdicts.",
)
@click.option("--root-path", default="", metavar="PATH", help="The path under which a proxy mounts the console.")
@click.option(
    "--operators",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Let the people in this TOML file log in and act; see 'durable-fsm hash-password'.",
)
@click.option(
    "--behind-proxy",
    default="",
    metavar="HEADER",
    help="Let people act who have logged in at a proxy; it names them in this header.",
)
@connected
def console(
    target: str | None,
    connection: Connection,
    *,
    bind: str,
    poll: timedelta,
    no_data: bool,
    allow_host: tuple[str, ...],
    coverage: tuple[Path, ...],
    plan: Path | None,
    root_path: str,
    operators: Path | None,
    behind_proxy: str,
) -> None:
    """Show every machine of a server on live pages, until Ctrl-C.

    The charts come from the server, so you need no code, and it works even if no service is running. The pages show data,
    except redacted fields, to anyone who can open them: by default only this computer can.

    With --operators or --behind-proxy, named people can act: requests are signed with the first secret of
    DURABLE_FSM_OPERATOR_SECRETS, which the service needs, too. With APP, the code of the charts is here, and the console says
    exactly what an event would do.

    \b
    Examples:
      durable-fsm console
      durable-fsm console shop.service:app --operators operators.toml
    """
    host, port = _address(bind)
    if not LEAST_POLL <= poll <= MOST_POLL:
        raise click.UsageError(f"--poll must be between {duration(LEAST_POLL)} and {duration(MOST_POLL)}.")
    if host not in LOOPBACK and operators is None and not behind_proxy:
        raise CommandError(
            "other computers could reach it, and it asks for no login."
            " Name --operators FILE, or --behind-proxy HEADER if a proxy does that.",
            code=USAGE,
            kind="OpenToOthers",
        )
    ensure_installed()
    from durable_fsm.console import app

    charts = {} if target is None else {chart.name: chart for chart in locate_charts(target)}
    acting = _acting(connection, operators, behind_proxy, charts)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    site = app(
        admin_url=connection.admin,
        ingress_url=connection.ingress,
        token=connection.token,
        poll=poll,
        hide_data=no_data,
        allow_hosts=(*allow_host, host),
        root_path=_path(root_path),
        plan=checked_plan(plan),
        coverage=checked_coverage(coverage),
        acting=acting,
        imports=imports_of(charts.values()),
        verify=connection.verify,
    )
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}{_path(root_path)}"
    say_what_there_is(connection, url, acts=acting is not None)
    _serve(site, host, port)


def _acting(
    connection: Connection, operators: Path | None, proxy_header: str, charts: Mapping[str, Chart]
) -> ActingOptions | None:
    """The people who may act, and how; None for a console that only shows.

    Raises:
        click.UsageError: The file of operators, or the secret to sign with, cannot be used.
    """
    from durable_fsm.console import ActingOptions, OperatorBook

    invitation = os.environ.get(INVITATION, "")
    if operators is None and not proxy_header and not invitation:
        return None
    try:
        book = None if operators is None else OperatorBook.read(operators)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return ActingOptions(connection.secret, book, proxy_header, invitation, charts, asks_why=not invitation)


def is_installed() -> bool:
    """Whether the packages of the console are there."""
    return all(importlib.util.find_spec(name) is not None for name in ("jinja2", "starlette"))


def ensure_installed() -> None:
    """Check that the packages of the console are installed.

    Raises:
        CommandError: They are not; the message says how to install them.
    """
    if not is_installed():
        raise CommandError(
            "the console needs more packages. Run pip install 'durable-fsm[console]'.", code=USAGE, kind="NotInstalled"
        )


def say_what_there_is(connection: Connection, url: str, *, acts: bool) -> None:
    """Print where the console is, and the charts with their machines.

    Raises:
        AdminRefused: The server does not answer.
    """
    from durable_fsm.admin.client import Admin
    from durable_fsm.console.reading import ServerReader

    with Admin(connection.admin, connection.http()) as admin:
        lines = chart_lines(ServerReader(admin))
    click.echo(f"Console of {connection.admin} at {url}")
    for line in lines:
        click.echo(f"  {line}")
    click.echo("Operators may act." if acts else "Read-only. --operators FILE lets named people act.")


def chart_lines(reader: ServerReader) -> list[str]:
    """A line for each chart: `Order     10,001 machines   version 2 (9,001), 1 (1,000)`."""
    charts = reader.charts()
    counts = reader.versions()
    longest = max(map(len, charts), default=0)
    totals = {name: sum(counts.get(name, {}).values()) for name in charts}
    across = max((len(f"{total:,}") for total in totals.values()), default=0)
    lines: list[str] = []
    for name in charts:
        versions = sorted(counts.get(name, {}).items(), key=lambda one: -one[1])
        shown = ", ".join(f"{version} ({many:,})" if len(versions) > 1 else version for version, many in versions)
        things = "machine " if totals[name] == 1 else "machines"
        lines.append(f"{name:{longest}}  {totals[name]:>{across},} {things}" + (f"   version {shown}" if shown else ""))
    return lines or ["No chart is registered yet: durable-fsm register URL"]


def checked_coverage(files: tuple[Path, ...]) -> tuple[Path, ...]:
    """Files of coverage that can be read.

    Raises:
        click.UsageError: One of them is something else.
    """
    from durable_fsm.console.coverage import NotACoverage, read_coverage

    try:
        read_coverage(files)
    except NotACoverage as error:
        raise click.UsageError(str(error)) from error
    return files


def checked_plan(path: Path | None) -> Path | None:
    """The path of a plan that can be read.

    Raises:
        click.UsageError: The file is not a plan.
    """
    from durable_fsm.cli.plan_arg import plan_in

    if path is not None:
        plan_in(path)
    return path


def _serve(site: object, host: str, port: int) -> None:
    import uvicorn

    config = uvicorn.Config(
        site,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - an ASGI application
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,  # streams never end by themselves
    )
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run()


def _address(text: str) -> tuple[str, int]:
    """Read `HOST:PORT`, `[HOST]:PORT` or `:PORT`.

    Raises:
        click.UsageError: It is something else.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise click.UsageError(f"'{text}' is not an address. Write it as in --bind {BIND}.")
    return host.removeprefix("[").removesuffix("]") or LOOPBACK[0], int(port)


def _path(text: str) -> str:
    return f"/{text.strip('/')}" if text.strip("/") else ""
