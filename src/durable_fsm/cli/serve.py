"""`durable-fsm serve`: serve an application to a Restate server, in one process or several."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import click

from durable_fsm.cli.app_arg import find_app
from durable_fsm.cli.errors import SERVER, CommandError
from durable_fsm.cli.machine_arg import DurationType
from durable_fsm.serving import (
    DEFAULT,
    SERVERS,
    Listener,
    NotInstalled,
    ServedPart,
    ServedProtocol,
    ServeJob,
    ServerName,
    Worker,
    configure_logs,
    run,
    supervise,
)
from durable_fsm.serving.servers import ensure_installed

PROTOCOLS = get_args(ServedProtocol)
PARTS = get_args(ServedPart)


def _address(_ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, int] | None:
    """Split `HOST:PORT`, `:PORT` or `[::1]:PORT`."""
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        problem = f"'{value}' is not an address to listen at. Write it as in 0.0.0.0:9080."
        raise click.BadParameter(problem, param=param)
    return host.strip("[]") or "0.0.0.0", int(port)


@click.command()
@click.argument("target", required=False)
@click.option(
    "--bind",
    metavar="HOST:PORT",
    callback=_address,
    default="127.0.0.1:9080",
    show_default=True,
    help="Where to listen; 0.0.0.0 for all interfaces.",
)
@click.option("--server", type=click.Choice(list(SERVERS)), default=DEFAULT, show_default=True, help="The ASGI server.")
@click.option(
    "--protocol",
    type=click.Choice(PROTOCOLS),
    default="auto",
    show_default=True,
    help="How Restate talks to the server; auto: bidirectional (bidi) over HTTP/2, request/response over HTTP/1.1.",
)
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="The number of processes.")
@click.option(
    "--drain",
    metavar="DURATION",
    type=DurationType(),
    default="30s",
    show_default=True,
    help="How long running work may take to finish on SIGTERM.",
)
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TLS certificate (PEM).")
@click.option(
    "--tls-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Key of the certificate (PEM)."
)
@click.option(
    "--identity-key",
    "identity_keys",
    multiple=True,
    metavar="KEY",
    help="Public key of a Restate server that may call, publickeyv1_…; may be given several times. Replaces"
    " DURABLE_FSM_IDENTITY_KEYS.",
)
@click.option(
    "--part",
    type=click.Choice(PARTS),
    default="all",
    show_default=True,
    help="Serve only the machines, or only their activities (runners); serve the rest in another process.",
)
@click.option(
    "--runner-bind",
    metavar="HOST:PORT",
    callback=_address,
    help="Serve the activities here, in separate processes.",
)
@click.option(
    "--runner-server", type=click.Choice(list(SERVERS)), help="The ASGI server for the activities; default: --server."
)
@click.option("--runner-protocol", type=click.Choice(PROTOCOLS), help="How Restate talks to them; default: --protocol.")
@click.option(
    "--runner-workers",
    type=click.IntRange(1, 256),
    help="The number of processes for the activities; default: --workers.",
)
def serve(
    target: str | None,
    bind: tuple[str, int],
    server: ServerName,
    protocol: ServedProtocol,
    workers: int,
    drain: timedelta,
    tls_cert: Path | None,
    tls_key: Path | None,
    identity_keys: tuple[str, ...],
    part: ServedPart,
    runner_bind: tuple[str, int] | None,
    runner_server: ServerName | None,
    runner_protocol: ServedProtocol | None,
    runner_workers: int | None,
) -> None:
    """Serve an application in production.

    TARGET is an application or a statechart ('module:Name', 'file.py:Name'), or a directory. The default is the 'app' of
    [tool.durable_fsm] in the nearest pyproject.toml, or the only application or chart in this directory. Register
    the address with `durable-fsm register`.

    On SIGTERM or Ctrl-C serve drains: it accepts no new invocations (/ready answers 503), suspends those that wait, and
    lets a running step finish. Then it exits with 0. When --drain is over, it cuts off the rest, which the next process
    repeats. A second signal ends serve at once.

    \b
    Examples:
      durable-fsm serve shop.service:app --bind 0.0.0.0:9080
      durable-fsm serve shop.service:app --workers 4 --drain 60s
    """
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key go together.")
    if runner_bind is None and (runner_server or runner_protocol or runner_workers):
        raise click.UsageError("--runner-server, --runner-protocol and --runner-workers need --runner-bind.")
    if runner_bind is not None and part != "all":
        raise click.UsageError("--part and --runner-bind do not go together: --runner-bind serves both parts.")
    if identity_keys:
        os.environ["DURABLE_FSM_IDENTITY_KEYS"] = " ".join(identity_keys)
    app = find_app(target)

    def job(part: ServedPart, at: tuple[str, int], by: ServerName, protocol: ServedProtocol, count: int) -> ServeJob:
        if by == "uvicorn" and protocol == "bidi":
            raise click.UsageError("uvicorn speaks HTTP/1.1 only; bidi needs HTTP/2. Use hypercorn or granian.")
        listener = Listener(*at, by, tls_cert, tls_key, shared=count > 1)
        return ServeJob(
            target=app.target,
            folder=str(app.folder),
            listener=listener,
            part=part,
            protocol=protocol,
            drain=drain,
            logs="lines",
        )

    if runner_bind is None:
        jobs = [(job(part, bind, server, protocol, workers), workers)]
    else:
        runners = runner_workers or workers
        by, mentioned = runner_server or server, runner_protocol or protocol
        jobs = [
            (job("machines", bind, server, protocol, workers), workers),
            (job("runners", runner_bind, by, mentioned, runners), runners),
        ]
    sys.exit(_serve(jobs, drain))


def _serve(jobs: list[tuple[ServeJob, int]], drain: timedelta) -> int:
    configure_logs("lines")
    applications = [_application(job) for job, _ in jobs]

    def ready() -> None:
        for job, count in jobs:
            processes = f", {count} processes" if count > 1 else ""
            click.echo(f"Serving {job.words}{processes}.")
        click.echo(f"Ready. SIGTERM or Ctrl-C ends it, within {drain.total_seconds():g} s.")

    [(job, count), *more] = jobs
    if count == 1 and not more:
        app, lifespan = applications[0]
        return run(app, job.listener, drain=drain, lifespan=lifespan, ready=ready)
    workers = [
        Worker(f"{job.part if more else 'worker'} {number}", job.command)
        for job, count in jobs
        for number in range(1, count + 1)
    ]
    return supervise(workers, drain=drain, ready=ready)


def _application(job: ServeJob) -> tuple[Any, bool]:  # Any: an ASGI application
    """Import it, and raise once, here, what every worker would otherwise report."""
    application = job.application()
    try:
        ensure_installed(job.listener.server)
        job.listener.bound().close()
    except NotInstalled as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise CommandError(
            f"cannot listen at {job.listener.url}: {error.strerror}. Name another address with --bind.",
            code=SERVER,
            kind="AddressTaken",
        ) from error
    return application
