"""`durable-fsm dev`: run Restate and the service, register it, and show the log, until Ctrl-C."""

from __future__ import annotations

import json
import os
import queue
import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from durable_fsm.cli import ports
from durable_fsm.cli.app_arg import AppTarget, find_app
from durable_fsm.cli.dev_console import DevConsole
from durable_fsm.cli.dev_folder import DevFolder
from durable_fsm.cli.errors import INTERRUPTED, LOG_LINES, SERVER, CommandError, as_shown, exit_code_of
from durable_fsm.cli.interrupts import Interrupted, Interrupts
from durable_fsm.cli.settings import SECRETS
from durable_fsm.errors import DefinitionError, counted
from durable_fsm.local import native
from durable_fsm.local.failures import HarnessError, NotObserved
from durable_fsm.local.process import HOST, ServiceProcess, free_port, port_answers
from durable_fsm.local.server import RestateServer
from durable_fsm.local.waiting import wait_until
from durable_fsm.serving import Listener, ServeJob
from durable_fsm.serving.drain import READY

POLL_SECONDS = 0.1
WATCH_MS = 500
GRACE = timedelta(seconds=3)
IMPORT_PATIENCE = timedelta(seconds=60)


@click.command()
@click.argument("target", required=False)
@click.option("--ingress-port", type=click.IntRange(1, 65535), help="Where events are sent; 8080, or a free port.")
@click.option("--admin-port", type=click.IntRange(1, 65535), help="Restate's admin API; 9070, or a free port.")
@click.option("--service-port", type=click.IntRange(1, 65535), help="Where the service listens; 9080, or a free port.")
@click.option("--reload/--no-reload", default=True, show_default=True, help="Reload the service when a file is saved.")
def dev(
    target: str | None,
    ingress_port: int | None,
    admin_port: int | None,
    service_port: int | None,
    *,
    reload: bool,
) -> None:
    """Run Restate and your service here, until Ctrl-C.

    TARGET is an application or a statechart ('module:Name', 'file.py:Name'), or a directory. The default is the 'app' of
    [tool.durable_fsm] in the nearest pyproject.toml, or the only application or chart in this directory.

    The first run installs the native Restate server. Machines are kept between runs in .durable_fsm/, next to the
    pyproject.toml; delete that directory to start over. If a change cannot be imported, dev shows the error and
    continues to serve the previous version.

    \b
    Examples:
      durable-fsm dev
      durable-fsm dev shop.orders:Order
    """
    app = find_app(target)
    folder, interrupts = DevFolder(app.folder), Interrupts()
    wanted = {"ingress": ingress_port, "admin": admin_port, "service": service_port}
    code = INTERRUPTED
    with folder.locked(), interrupts.heard():
        run = None
        try:
            run = _prepared(app, folder, interrupts, wanted)
            if reload:
                run.watch()
            run.start()
            run.follow()
        except Interrupted as signal:
            with suppress(OSError):  # the terminal may be gone
                click.echo("\nStopping; machines are kept in .durable_fsm/.")
            code = INTERRUPTED if signal.number == 2 else 128 + signal.number
        finally:
            interrupts.over()
            if run is not None:
                run.end()
    sys.exit(code)


def _prepared(app: AppTarget, folder: DevFolder, interrupts: Interrupts, wanted: dict[str, int | None]) -> _Run:
    """Install Restate if needed and choose the ports; start nothing."""
    old = folder.remembered()
    binary = native.obtain(click.echo)
    chosen = {name: _port(name, given, old.get("ports", {}).get(name)) for name, given in wanted.items()}
    fabric = old.get("fabric") or free_port()
    if port_answers(fabric):
        fabric = free_port()
    server = RestateServer(
        base_dir=folder.path.absolute() / "restate",
        binary=binary,
        ingress_port=chosen["ingress"],
        admin_port=chosen["admin"],
        env={"RESTATE_NODE_NAME": "dev", "RESTATE_BIND_PORT": str(fabric)},
    )
    server.base_dir.mkdir(parents=True, exist_ok=True)
    folder.remember(ports=chosen, fabric=fabric, ingress=server.ingress_url, admin=server.admin_url, app=app.target)
    if ports.tell_readme(app.folder, chosen):
        click.echo("README.md names these ports now.")
    return _Run(app, folder, interrupts, server, chosen["service"])


class _Run:
    """One run of dev: its processes, and how far its log was shown."""

    def __init__(
        self, app: AppTarget, folder: DevFolder, interrupts: Interrupts, server: RestateServer, port: int
    ) -> None:
        self.app = app
        self.folder = folder
        self.interrupts = interrupts
        self.server = server
        self.service = self._process(
            "service", ServeJob(target=app.target, listener=Listener(HOST, port), logs="short").command, port
        )
        self.importer = self._process(
            "describe", [sys.executable, "-m", "durable_fsm.cli.describe", app.target], free_port()
        )
        self.service.log.write_bytes(b"")
        self._changed: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._watching = threading.Event()
        self._watching.set()
        self._shown = 0
        self._served = False
        self.console = DevConsole()
        self.service.env[SECRETS] = self.console.secrets

    def _process(self, name: str, command: list[str], port: int) -> ServiceProcess:
        path = os.pathsep.join([str(self.app.folder), *(place for place in sys.path if place)])
        record = os.environ.get("DURABLE_FSM_RECORD", "1")
        return ServiceProcess(
            command,
            port=port,
            log=self.folder.path / f"{name}.log",
            health=f"http://{HOST}:{port}{READY}",
            env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "DURABLE_FSM_RECORD": record},
            cwd=self.app.folder,
            name="service",
        )

    def _console_process(self, command: list[str], port: int, env: dict[str, str]) -> ServiceProcess:
        process = self._process("console", command, port)
        process.health, process.env, process.name = f"{process.url}/health", {**process.env, **env}, "console"
        return process

    # ── start and end ─────────────────────────────────────────────────────────────────────────────────────────────

    def watch(self) -> None:
        """Notice from now on when a file is saved."""
        self._watching.clear()
        watching = (self.app.folder, self._changed.put, self._watching.set)
        threading.Thread(target=_watch, args=watching, daemon=True).start()

    def start(self) -> None:
        """Import the application; then start Restate, serve and register.

        Raises:
            SystemExit: The application cannot be imported. Nothing was started.
        """
        code, found = self._describe()
        if found is None:
            raise SystemExit(code)
        click.echo(f"Starting Restate {native.VERSION} …")
        with self.interrupts.held():
            self.server.process.start()
        self.server.wait_ready()
        self._watching.wait(IMPORT_PATIENCE.total_seconds())  # so that no change after 'Ready' is missed
        self.console.listen()
        self._serve(found)

    def reload(self) -> None:
        """Serve the files as they are now. If they cannot be imported, continue with what is served."""
        _, found = self._describe()
        if found is not None:
            self._serve(found)
        else:
            state = "The previous version is still served" if self._served else "Nothing is served yet"
            click.echo(f"Not loaded. {state}; save a file to try again.", err=True)

    def _serve(self, found: dict[str, Any]) -> None:  # Any: JSON of `describe`
        click.echo(f"Starting {self.app.shown} …")
        try:
            with self.interrupts.held():
                self.service.stop(GRACE)
                self.service.start()
            self.service.wait_ready()
            self._register(found["mounts"])
        except HarnessError as error:
            click.echo(f"Error: {as_shown(error).message}\nSave a file to try again.", err=True)
            return
        charts = found["charts"]
        click.echo(f"Reloaded: {_machines(charts)}." if self._served else self._screen(charts))
        self._served = True

    def _describe(self) -> tuple[int, dict[str, Any] | None]:  # Any: JSON of `describe`
        """Import the application in a process of its own; None after showing why it cannot be imported."""
        importer = self.importer
        importer.log.unlink(missing_ok=True)
        with self.interrupts.held():
            importer.start()
        with suppress(NotObserved):  # an import that takes longer is ended below
            wait_until(lambda: not importer.alive, IMPORT_PATIENCE)
        code = importer.exit_code
        importer.close()
        *lines, last = _without_marks(importer.log_tail()) or [""]
        for line in lines if code == 0 else [*lines, last]:
            click.echo(line, err=True)
        if code == 0:
            found: dict[str, Any] = json.loads(last)
            return code, found
        if code is None:
            click.echo(f"'{self.app.shown}' was not imported within {IMPORT_PATIENCE}.", err=True)
        return code if code is not None and code > 0 else exit_code_of(DefinitionError), None

    def _register(self, mounts: list[str]) -> None:
        """Register the service, under the deployments of earlier runs too: their invocations are pinned to them."""
        before = self.folder.remembered().get("registered")
        if before not in (None, self.service.url):
            for row in self.server.query(f"SELECT id, endpoint FROM sys_deployment WHERE endpoint LIKE '{before}%'"):
                path = row["endpoint"].removeprefix(before).rstrip("/")
                self.server.readdress(row["id"], f"{self.service.url}{path}")
        for path in mounts:
            self.server.register(f"{self.service.url}{path}", force=True)
        self.folder.remember(registered=self.service.url)

    def end(self) -> None:
        """Stop the processes: by SIGTERM, and after a while by SIGKILL."""
        self.console.close()
        for process in (self.console.process, self.importer, self.service, self.server.process):
            if process is not None:
                process.stop(GRACE)
        self.server.close()

    # ── in between ────────────────────────────────────────────────────────────────────────────────────────────────

    def follow(self) -> None:
        """Show the log and reload changed files, until a signal ends it.

        Raises:
            CommandError: Restate ended.
        """
        told_end = False
        while True:
            try:
                names = {self._changed.get(timeout=POLL_SECONDS)}
            except queue.Empty:
                names = set[str]()
            while not self._changed.empty():
                names.add(self._changed.get())
            self._show_log()
            if self.console.is_wanted:
                with self.interrupts.held():
                    self.console.start(self._console_process, self.server, self.app.target)
            if names:
                click.echo(f"Changed: {', '.join(sorted(names))}")
                self.reload()
                told_end = False
            if not self.server.process.alive:
                raise CommandError(f"Restate ended.\n{self.server.process.log_tail(LOG_LINES)}", code=SERVER)
            if self.service.exit_code is not None and not told_end:
                told_end = True
                click.echo(f"The service ended with code {self.service.exit_code}; save a file to start it again.")

    def _show_log(self) -> None:
        """Print the whole lines that the service logged since."""
        with self.service.log.open("rb") as log:
            log.seek(self._shown)
            new = log.read()
        whole, newline, _ = new.rpartition(b"\n")
        self._shown += len(whole) + len(newline)
        for line in _without_marks(whole.decode(errors="replace")):
            if line:
                click.echo(line)

    def _screen(self, charts: list[dict[str, Any]]) -> str:  # Any: JSON of `describe`
        ingress, admin = self.server.ingress_url, self.server.admin_url
        lines = [
            "",
            f"  ingress  {ingress}",
            f"  admin    {admin}  (Restate's own pages: {admin}/ui/)",
            f"  service  {self.service.url}  {self.app.shown}",
            f"  console  {self.console.link}",
            "  kept in  .durable_fsm/",
            "",
        ]
        for chart in charts:
            lines.append(f"  {chart['chart']}  {_count(chart)}")
            lines += [f"    {words}" for words in _requests(chart, ingress)]
        return "\n".join([*lines, "", "Ready. Ctrl-C ends it.", ""])


def _watch(folder: Path, tell: Callable[[str], None], ready: Callable[[], None]) -> None:
    """Tell the name of each file that changes; *ready* is called once none can be missed any more."""
    from watchfiles import PythonFilter, watch

    watched = PythonFilter(extra_extensions=(".scxml", ".json", ".yaml", ".toml"))
    ours = folder / ".durable_fsm"
    changed = watch(
        folder,
        watch_filter=watched,
        raise_interrupt=False,
        yield_on_timeout=True,  # the first timeout says that it watches
        rust_timeout=WATCH_MS,
        debounce=300,
        step=50,
    )
    try:
        for changes in changed:
            ready()
            for _, path in changes:
                if ours not in Path(path).parents:
                    tell(str(Path(path).relative_to(folder)))
    finally:
        ready()


def _port(name: str, given: int | None, last: int | None) -> int:
    """Return the port asked for, or else one that is free."""
    if given is None:
        port = ports.chosen(name, last)
        if port not in (ports.USUAL[name], last):
            click.echo(f"Port {ports.USUAL[name]} is in use: {name} is at {port}.")
        return port
    if port_answers(given):
        raise CommandError(
            f"port {given} is in use by another process. Name another with --{name}-port, or omit the option.",
            code=SERVER,
            kind="PortTaken",
        )
    return given


def _without_marks(log: str) -> list[str]:
    return [line for line in log.splitlines() if not line.startswith("--- start ")]


def _machines(charts: list[dict[str, Any]]) -> str:  # Any: JSON of `describe`
    return ", ".join(f"{chart['chart']} ({_count(chart)})" for chart in charts) or "no durable_fsm chart"


def _count(chart: dict[str, Any]) -> str:  # Any: as above
    return f"{counted(chart['states'], 'state')}, {counted(chart['events'], 'event')}"


def _requests(chart: dict[str, Any], ingress: str) -> Iterator[str]:  # Any: as above
    """One line for each request that a person can send, and for each webhook."""
    for one in chart["requests"]:
        body = f"--json {shlex.quote(json.dumps(one['body']))}" if one["has_body"] else "-X POST"
        line = f"curl {ingress}/{one['path']} {body}"
        if not one["guessed"]:
            line += "   # replace this payload: its type refuses it"
        yield f"{one['event']:<16} {line}"
    for webhook in chart["webhooks"]:
        yield f"{webhook['name']:<16} {ingress}{webhook['path']}   # a webhook, {webhook['note']}"
