"""`durable-fsm dev`: Restate, the service, its registration, and what happens; until Ctrl-C."""

from __future__ import annotations

import json
import os
import queue
import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from durable_fsm.cli.errors import INTERRUPTED, SERVER, CommandError
from durable_fsm.cli.settings import project
from durable_fsm.cli.supervise import Home, Signals, Told
from durable_fsm.local import native
from durable_fsm.local.failures import HarnessError, NotObserved
from durable_fsm.local.process import HOST, ServiceProcess, free_port, port_answers
from durable_fsm.local.server import RestateServer
from durable_fsm.local.waiting import wait_until

PORTS = {"ingress": 8080, "admin": 9070, "service": 9080}
LOOKED_AT_SECONDS = 0.1
GRACE = timedelta(seconds=3)
READ_PATIENCE = timedelta(seconds=60)
HOSTS = re.compile(r"^(\w+)\s*(?::[^=]*)?=\s*(?:durable_fsm\.)?app\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class App:
    """What is served: where it is looked for, and by what name."""

    target: str
    folder: Path


@click.command()
@click.argument("target", required=False)
@click.option("--ingress-port", type=click.IntRange(1, 65535), help="Where events are sent; 8080, or a free one.")
@click.option("--admin-port", type=click.IntRange(1, 65535), help="Restate's admin API; 9070, or a free one.")
@click.option("--service-port", type=click.IntRange(1, 65535), help="Where the service listens; 9080, or a free one.")
@click.option(
    "--reload/--no-reload", default=True, show_default=True, help="Serve what changes as soon as it is saved."
)
def dev(
    target: str | None,
    ingress_port: int | None,
    admin_port: int | None,
    service_port: int | None,
    *,
    reload: bool,
) -> None:
    """Run Restate and the service of TARGET here, until Ctrl-C.

    A TARGET is 'module:app', 'file.py:app' or a directory. Without one it is the 'app' of [tool.durable_fsm] in the
    nearest pyproject.toml, or the only application in this directory.

    The native Restate server is installed on first use. Machines are kept between runs in .durable_fsm/, next to the
    pyproject.toml; delete it to begin anew. A change that cannot be imported is shown, and what was served before goes on.
    """
    app = find_app(target)
    home, signals = Home(app.folder), Signals()
    wanted = {"ingress": ingress_port, "admin": admin_port, "service": service_port}
    code = INTERRUPTED
    with home.locked():
        run = _Run(app, home, signals)
        with signals.heard():
            try:
                run.begin(wanted)
                run.go_on(reload=reload)
            except Told as told:
                with suppress(OSError):  # the terminal may be what has ended
                    click.echo("\nStopping; machines are kept in .durable_fsm/.")
                code = INTERRUPTED if told.number == 2 else 128 + told.number
            finally:
                signals.over()
                run.end()
    sys.exit(code)


def find_app(target: str | None, here: Path | None = None) -> App:
    """The application that *target* names, or the one that is meant without.

    Raises:
        click.UsageError: there is none, or more than one; the message says what to type.
    """
    here = here or Path.cwd()
    if target is not None and not Path(target).is_dir():
        place, colon, name = target.rpartition(":")
        if not colon and target.endswith(".py"):
            return App(_only(_hosted_in([Path(target)]), target), here)
        if not (place and name):
            raise click.UsageError(
                f"'{target}' names no application. Write 'module:app', 'file.py:app' or a directory."
            )
        return App(target, here)
    folder = here if target is None else Path(target).absolute()
    path, table = project(folder)
    if isinstance(table.get("app"), str):
        return App(table["app"], path.parent)
    return App(_only(_hosted_in(sorted(folder.glob("*.py"))), str(folder)), folder)


def _hosted_in(files: list[Path]) -> list[str]:
    return [
        f"{file}:{name}"
        for file in files
        if file.is_file()
        for name in HOSTS.findall(file.read_text("utf-8", "replace"))
    ]


def _only(found: list[str], place: str) -> str:
    if len(found) == 1:
        return found[0]
    if found:
        raise click.UsageError(f"'{place}' has more than one application. Name one: {', '.join(found)}")
    raise click.UsageError(
        f"'{place}' has no application: no line 'app = durable_fsm.app(…)'. Write one, name it ('module:app'), or begin"
        " with durable-fsm new NAME."
    )


class _Run:
    """One run: its two processes, and what they are told."""

    def __init__(self, app: App, home: Home, signals: Signals) -> None:
        self.app = app
        self.home = home
        self.signals = signals
        self.log = home.path / "service.log"
        self.server: RestateServer | None = None
        self.service: ServiceProcess | None = None
        self.reader: ServiceProcess | None = None
        self._read = 0
        self._greeted = False

    # ── beginning and ending ──────────────────────────────────────────────────────────────────────────────────────

    def begin(self, wanted: dict[str, int | None]) -> None:
        """Start Restate; then serve and register, if what is there can be imported."""
        old = self.home.remembered()
        binary = native.obtain(click.echo)
        ports = {name: _port(name, given, old.get("ports", {}).get(name)) for name, given in wanted.items()}
        fabric = old.get("fabric") or free_port()
        if port_answers(fabric):
            fabric = free_port()
        self.server = RestateServer(
            base_dir=self.home.path.absolute() / "restate",
            binary=binary,
            ingress_port=ports["ingress"],
            admin_port=ports["admin"],
            env={"RESTATE_NODE_NAME": "dev", "RESTATE_BIND_PORT": str(fabric)},
        )
        self.server.base_dir.mkdir(parents=True, exist_ok=True)
        self.log.write_bytes(b"")
        self.service = ServiceProcess(
            [sys.executable, "-m", "durable_fsm.cli.served", self.app.target, "--bind", f"{HOST}:{ports['service']}"],
            port=ports["service"],
            log=self.log,
            health=f"http://{HOST}:{ports['service']}/health",
            env={"PYTHONPATH": _python_path(self.app.folder), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=self.app.folder,
            name="service",
        )
        self.reader = ServiceProcess(
            [*self.service.command[:-2], "--describe"],
            port=free_port(),
            log=self.home.path / "describe.log",
            env=self.service.env,
            cwd=self.app.folder,
            name="service",
        )
        self.home.remember(
            ports=ports,
            fabric=fabric,
            ingress=self.server.ingress_url,
            admin=self.server.admin_url,
            app=self.app.target,
        )
        click.echo(f"Starting Restate {native.VERSION} …")
        with self.signals.held():
            self.server.process.start()
        self.server.wait_ready()
        self.load(first=True)

    def load(self, *, first: bool) -> None:
        """Serve what is on disk now, if it can be imported; else what is served stays."""
        assert self.server is not None
        assert self.service is not None
        charts = self.describe(first=first)
        if charts is None:
            return
        click.echo(f"Starting {self.app.target} …")
        try:
            with self.signals.held():
                self.service.stop(GRACE)
                self.service.start()
            self.service.wait_ready()
            self._register()
        except HarnessError as error:
            click.echo(f"Error: {error}\nSave a file to try again.", err=True)
            return
        click.echo(_screen(self, charts) if first or not self._greeted else f"Reloaded: {_machines(charts)}.")
        self._greeted = True

    def _register(self) -> None:
        """Register what is served, in place. What runs before have begun is bound to where their service was."""
        assert self.server is not None
        assert self.service is not None
        before = self.home.remembered().get("registered")
        if before not in (None, self.service.url):
            for row in self.server.query(f"SELECT id, endpoint FROM sys_deployment WHERE endpoint LIKE '{before}%'"):
                self.server.readdress(row["id"], self.service.url)
        self.server.register(self.service.url, force=True)
        self.home.remember(registered=self.service.url)

    def describe(self, *, first: bool) -> list[dict[str, Any]] | None:  # Any: JSON of `served`
        """What would be served; None, and the reason is shown, if that cannot be imported."""
        assert self.reader is not None
        self.reader.log.unlink(missing_ok=True)
        with self.signals.held():
            self.reader.start()
        with suppress(NotObserved):  # what takes longer to import is ended, and told as not loaded
            wait_until(lambda: self.reader is None or not self.reader.alive, READ_PATIENCE)
        code = self.reader.exit_code
        self.reader.close()
        *lines, last = [line for line in self.reader.log_tail().splitlines() if not line.startswith("--- start ")] or [
            ""
        ]
        for line in lines if code == 0 else [*lines, last]:
            click.echo(line, err=True)
        if code == 0:
            charts: list[dict[str, Any]] = json.loads(last)
            return charts
        if code is None:
            click.echo(f"'{self.app.target}' was not imported within {READ_PATIENCE}.", err=True)
        stays = "Nothing is served yet" if first or not self._greeted else "What was served before goes on"
        click.echo(f"Not loaded. {stays}; save a file to try again.", err=True)
        return None

    def end(self) -> None:
        """Stop both, politely at first."""
        for process in (self.reader, self.service, self.server and self.server.process):
            if process is not None:
                process.stop(GRACE)
        if self.server is not None:
            self.server.close()

    # ── going on ──────────────────────────────────────────────────────────────────────────────────────────────────

    def go_on(self, *, reload: bool) -> None:
        """Show what happens, and reload what changes, until a signal ends it.

        Raises:
            CommandError: Restate has died.
        """
        assert self.server is not None
        assert self.service is not None
        changed: queue.SimpleQueue[str] = queue.SimpleQueue()
        if reload:
            threading.Thread(target=_watch, args=(self.app.folder, changed.put), daemon=True).start()
        served = True
        while True:
            try:
                names = {changed.get(timeout=LOOKED_AT_SECONDS)}
            except queue.Empty:
                names = set[str]()
            while not changed.empty():
                names.add(changed.get())
            self._tell()
            if names:
                click.echo(f"Changed: {', '.join(sorted(names))}")
                self.load(first=False)
                served = True
            if not self.server.process.alive:
                raise CommandError(f"Restate has ended.\n{self.server.process.log_tail()}", code=SERVER)
            if served and self.service.exit_code is not None:
                served = False
                click.echo(f"The service has ended with code {self.service.exit_code}; save a file to start it again.")

    def _tell(self) -> None:
        """Print what the service has logged since."""
        with self.log.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        whole, newline, _ = new.rpartition(b"\n")
        self._read += len(whole) + len(newline)
        for line in whole.decode(errors="replace").splitlines():
            if line and not line.startswith("--- start "):
                click.echo(line)


def _watch(folder: Path, tell: Callable[[str], None]) -> None:
    from watchfiles import PythonFilter, watch

    watched = PythonFilter(extra_extensions=(".scxml", ".json", ".yaml", ".toml"))
    ours = folder / ".durable_fsm"
    for changes in watch(folder, watch_filter=watched, raise_interrupt=False, debounce=300, step=50):
        for _, path in changes:
            if ours not in Path(path).parents:
                tell(str(Path(path).relative_to(folder)))


def _port(name: str, given: int | None, last: int | None) -> int:
    """The port that is asked for; else the latest one or the usual one; else any that is free."""
    if given is not None:
        if port_answers(given):
            raise CommandError(
                f"port {given} is taken by another process. Name another with --{name}-port, or leave it out.",
                code=SERVER,
                kind="PortTaken",
            )
        return given
    for port in (PORTS[name], last):
        if port is not None and not port_answers(port):
            return port
    port = free_port()
    click.echo(f"Port {PORTS[name]} is taken: {name} is at {port}.")
    return port


def _python_path(folder: Path) -> str:
    return os.pathsep.join([str(folder), *(place for place in sys.path if place)])


def _machines(charts: list[dict[str, Any]]) -> str:  # Any: JSON of `served`
    return ", ".join(f"{chart['chart']} ({_count(chart)})" for chart in charts) or "no machine of ours"


def _count(chart: dict[str, Any]) -> str:  # Any: as above
    return f"{chart['states']} states, {len(chart['events'])} events"


def _screen(run: _Run, charts: list[dict[str, Any]]) -> str:  # Any: as above
    assert run.server is not None
    assert run.service is not None
    lines = [
        "",
        f"  ingress  {run.server.ingress_url}",
        f"  admin    {run.server.admin_url}  (its own pages: {run.server.admin_url}/ui/)",
        f"  service  {run.service.url}  {run.app.target}",
        "  kept in  .durable_fsm/",
        "",
    ]
    for chart in charts:
        lines.append(f"  {chart['chart']}  {_count(chart)}")
        for event in chart["events"]:
            body = "-X POST" if event["example"] is None else f"--json '{json.dumps(event['example'])}'"
            lines.append(
                f"    {event['event']:<16} curl {run.server.ingress_url}/{chart['chart']}/one/{event['event']} {body}"
            )
    lines += ["", "Ready. Ctrl-C ends it.", ""]
    return "\n".join(lines)
