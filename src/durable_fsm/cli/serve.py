"""`durable-fsm serve`: an application, served for others; and, run as a module, one of its processes."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args

import click

from durable_fsm.cli.dev import App, find_app
from durable_fsm.cli.errors import SERVER, CommandError
from durable_fsm.core.durations import duration_of
from durable_fsm.frontends.locate import locate_object
from durable_fsm.serving import DEFAULT, SERVERS, Listener, NotInstalled, ServerName, Worker, run, supervise
from durable_fsm.serving.servers import ensure_installed

Protocol = Literal["auto", "bidi", "request_response"]
Part = Literal["all", "machines", "runners"]
PROTOCOLS = get_args(Protocol)
PARTS = get_args(Part)


@dataclass(frozen=True, slots=True)
class Job:
    """What one process serves, and where."""

    part: Part
    listener: Listener
    protocol: Protocol

    @property
    def words(self) -> str:
        """What it is, in a line."""
        what = {"all": "machines and activities", "machines": "machines", "runners": "activities"}[self.part]
        return f"{what} at {self.listener.url} by {self.listener.server}"


def _address(_ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, int] | None:
    """Take `HOST:PORT`, `:PORT` or `[::1]:PORT` apart."""
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        problem = f"'{value}' is no address to listen at. Write it as in 0.0.0.0:9080."
        raise click.BadParameter(problem, param=param)
    return host.strip("[]") or "0.0.0.0", int(port)


def _duration(_ctx: click.Context, param: click.Parameter, value: str) -> timedelta:
    try:
        return duration_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param=param) from error


@click.command()
@click.argument("target", required=False)
@click.option(
    "--bind",
    metavar="HOST:PORT",
    callback=_address,
    default="127.0.0.1:9080",
    show_default=True,
    help="Where to listen; 0.0.0.0 for everybody.",
)
@click.option("--server", type=click.Choice(list(SERVERS)), default=DEFAULT, show_default=True, help="Who listens.")
@click.option(
    "--protocol",
    type=click.Choice(PROTOCOLS),
    default="auto",
    show_default=True,
    help="How Restate talks to it; auto: both ways at once (bidi) over HTTP/2, else request by request.",
)
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes that listen.")
@click.option(
    "--drain",
    metavar="DURATION",
    callback=_duration,
    default="30s",
    show_default=True,
    help="How long what is under way may take to rest.",
)
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Certificate, PEM.")
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its key, PEM.")
@click.option(
    "--identity-key",
    "identity_keys",
    multiple=True,
    metavar="KEY",
    help="Public key of a Restate server that may call, publickeyv1_…; several times for several. Replaces"
    " DURABLE_FSM_IDENTITY_KEYS.",
)
@click.option(
    "--part",
    type=click.Choice(PARTS),
    default="all",
    show_default=True,
    help="Serve only the machines, or only their activities (runners); another process serves the rest.",
)
@click.option(
    "--runner-bind",
    metavar="HOST:PORT",
    callback=_address,
    help="Serve activities apart, in processes of their own, here.",
)
@click.option("--runner-server", type=click.Choice(list(SERVERS)), help="Who listens there; as --server.")
@click.option("--runner-protocol", type=click.Choice(PROTOCOLS), help="How Restate talks to them; as --protocol.")
@click.option("--runner-workers", type=click.IntRange(1, 256), help="How many processes; as --workers.")
def serve(
    target: str | None,
    bind: tuple[str, int],
    server: ServerName,
    protocol: Protocol,
    workers: int,
    drain: timedelta,
    tls_cert: Path | None,
    tls_key: Path | None,
    identity_keys: tuple[str, ...],
    part: Part,
    runner_bind: tuple[str, int] | None,
    runner_server: ServerName | None,
    runner_protocol: Protocol | None,
    runner_workers: int | None,
) -> None:
    """Serve TARGET for a Restate server, until SIGTERM or Ctrl-C.

    A TARGET is 'module:app', 'file.py:app' or a directory. Without one it is the 'app' of [tool.durable_fsm] in the
    nearest pyproject.toml, or the only application in this directory. Register where it listens with `durable-fsm
    register`.

    On SIGTERM it takes no new invocations (/ready answers 503), and has those under way come to rest: what waits is
    suspended, a step that runs may end. Then it ends with 0. What is not at rest when --drain is over is cut off, and
    done again by the next process. A second signal ends it at once.
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

    def job(part: Part, at: tuple[str, int], by: ServerName, spoken: Protocol, count: int) -> tuple[Job, int]:
        if by == "uvicorn" and spoken == "bidi":
            raise click.UsageError("uvicorn speaks HTTP/1.1 only; bidi needs HTTP/2. Take hypercorn or granian.")
        return Job(part, Listener(*at, by, tls_cert, tls_key, shared=count > 1), spoken), count

    jobs = [job(part if runner_bind is None else "machines", bind, server, protocol, workers)]
    if runner_bind is not None:
        jobs.append(
            job("runners", runner_bind, runner_server or server, runner_protocol or protocol, runner_workers or workers)
        )
    _serve(app, jobs, drain)


def _serve(app: App, jobs: list[tuple[Job, int]], drain: timedelta) -> None:
    configure_logs()
    sys.path.insert(0, str(app.folder))
    for job, _ in jobs:
        _hosted(app.target, job)  # whatever is wrong is told once, before a process is begun
        try:
            ensure_installed(job.listener.server)
            job.listener.bound().close()
        except NotInstalled as error:
            raise click.UsageError(str(error)) from error
        except OSError as error:
            raise CommandError(
                f"nobody can listen at {job.listener.url}: {error.strerror}. Name another address with --bind.",
                code=SERVER,
                kind="AddressTaken",
            ) from error

    def ready() -> None:
        for job, count in jobs:
            processes = f", {count} processes" if count > 1 else ""
            click.echo(f"Serving {job.words}{processes}.")
        click.echo(f"Ready. SIGTERM or Ctrl-C ends it, within {drain.total_seconds():g} s.")

    [(job, count), *more] = jobs
    if count == 1 and not more:
        hosted, lifespan = _hosted(app.target, job)
        code = run(hosted, job.listener, drain=drain, lifespan=lifespan, ready=ready)
    else:
        code = supervise(
            [
                Worker(f"{job.part if more else 'worker'} {number}", _command(app, job, drain))
                for job, count in jobs
                for number in range(1, count + 1)
            ],
            drain=drain,
            ready=ready,
        )
    if code:
        sys.exit(code)


# Any: an ASGI application
def _hosted(target: str, job: Job) -> tuple[Any, bool]:
    """The application that a job serves, and whether it knows ASGI's lifespan."""
    from durable_fsm.restate.app import charts_of, part_of

    app = locate_object(target)
    if not callable(app):
        raise click.UsageError(f"'{target}' is no application. Write app = durable_fsm.app(Chart, …).")
    if job.part == "all" and job.protocol == "auto":
        return app, not charts_of(app)
    try:
        return part_of(app, job.part, protocol=None if job.protocol == "auto" else job.protocol), False
    except ValueError as error:
        raise click.UsageError(f"'{target}' cannot be served so: {error}") from error


def configure_logs() -> None:
    """Tell of machines on standard output, unless the application has said how."""
    from durable_fsm.restate.observability.formatter import LineFormatter

    lines = logging.StreamHandler(sys.stdout)
    lines.setFormatter(LineFormatter())
    logging.basicConfig(handlers=[lines], level=logging.WARNING)
    logging.getLogger("durable_fsm").setLevel(logging.INFO)


# ── one process of several ────────────────────────────────────────────────────────────────────────────────────────────


def _command(app: App, job: Job, drain: timedelta) -> list[str]:
    listener = job.listener
    facts: dict[str, object] = {
        "target": app.target,
        "folder": str(app.folder),
        "part": job.part,
        "protocol": job.protocol,
        "drain": drain.total_seconds(),
        "host": listener.host,
        "port": listener.port,
        "server": listener.server,
        "cert": listener.cert and str(listener.cert),
        "key": listener.key and str(listener.key),
        "shared": listener.shared,
    }
    return [sys.executable, "-m", "durable_fsm.cli.serve", json.dumps(facts)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve as a worker of `durable-fsm serve`."""
    parser = argparse.ArgumentParser(prog="python -m durable_fsm.cli.serve")
    parser.add_argument("facts")
    parser.add_argument("--ready", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    options = parser.parse_args(arguments)
    facts = json.loads(options.facts)
    configure_logs()
    sys.path.insert(0, facts["folder"])
    listener = Listener(
        facts["host"],
        facts["port"],
        facts["server"],
        facts["cert"] and Path(facts["cert"]),
        facts["key"] and Path(facts["key"]),
        shared=facts["shared"],
    )
    hosted, lifespan = _hosted(facts["target"], Job(facts["part"], listener, facts["protocol"]))

    def ready() -> None:
        os.write(options.ready, b".")
        os.close(options.ready)

    return run(
        hosted,
        listener,
        drain=timedelta(seconds=facts["drain"]),
        lifespan=lifespan,
        ready=ready,
        parent=options.parent,
    )


if __name__ == "__main__":
    sys.exit(main())
