"""Processes that run as a session of their own, are killed as a whole, and never outlive this Python."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from durable_fsm.local import reaper
from durable_fsm.local.closing import Closing
from durable_fsm.local.failures import ProcessFailed
from durable_fsm.local.fork_server import SEEDS, ForkRequest
from durable_fsm.local.free_ports import HOST, free_port
from durable_fsm.local.sessions import SESSIONS, SessionProcess
from durable_fsm.local.waiting import wait_until
from durable_fsm.serving import Listener, ServeJob, ServerName
from durable_fsm.serving.drain import READY

__all__ = ["HOST", "ServiceProcess", "free_port", "port_answers", "serve_command"]

START_PATIENCE = timedelta(seconds=60)
STOP_PATIENCE = timedelta(seconds=20)
_GONE_PATIENCE = timedelta(seconds=60)
_POLL_SECONDS = 0.02
_TAIL_LINES = 40


class ServiceProcess(Closing):
    """A command that serves on one port of the loopback, as a session of its own, with its log in a file.

    Every start gets another PYTHONHASHSEED (unless *env* sets one), so that nothing can depend on the order of a set.
    When this Python ends, even by SIGKILL, the process and its children are killed.

        with ServiceProcess.serving("shop:app", log=tmp_path / "shop.log") as service:
            service.kill()
            service.restart().wait_ready()

    Args:
        command: The program and its arguments.
        port: Where it will listen; the same after a restart.
        log: The file to which each start appends its output.
        health: A URL that answers 2xx when the process is ready; without one, an open port is enough.
        env: Added to the environment of this Python.
        cwd: Its working directory; by default that of this Python.
        name: Its name in messages; by default the program's name.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        log: Path,
        health: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        name: str = "",
    ) -> None:
        self.command = tuple(command)
        self.port = port
        self.log = log
        self.health = health
        self.env = dict(env or {})
        self.cwd = cwd
        self.name = name or Path(self.command[0]).name
        self.starts = 0
        self._child: SessionProcess | None = None
        self._ended: SessionProcess | None = None
        self._forked_with: tuple[str, ...] | None = None

    @classmethod
    def serving(
        cls,
        app: str,
        *,
        log: Path,
        port: int | None = None,
        env: Mapping[str, str] | None = None,
        app_dir: Path | None = None,
        fork: bool = False,
        by: ServerName = "hypercorn",
    ) -> Self:
        """Prepare a process that serves the ASGI application *app* (`"module:attribute"`), on a free port by default.

        The module is searched in *app_dir*, then where this Python would find it.

        Args:
            port: Where it will listen.
            log: The file to which each start appends its output.
            env: Added to the environment of this Python.
            app_dir: A directory in which modules are searched first.
            fork: On Linux, fork it from a process that has imported durable_fsm and the libraries below it, which saves
                most of the CPU of a start. Its restarts use four hash seeds in turn. A fork cannot change
                a variable that an interpreter reads when it starts: if *env* sets one, the process starts afresh.
            by: The server; hypercorn speaks both versions of HTTP.
        """
        port = free_port() if port is None else port
        places = [str(app_dir.absolute())] if app_dir else []
        places += [place or str(Path.cwd()) for place in sys.path]
        made = cls(
            serve_command(app, port, by),
            port=port,
            log=log,
            health=f"http://{HOST}:{port}{READY}",
            env={"PYTHONPATH": os.pathsep.join(places), **(env or {})},
            name=app,
        )
        if fork:
            made._forked_with = made.command[-1:]
        return made

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`"""
        return f"http://{HOST}:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether the command runs. It may not serve yet."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code of the last run, minus the signal's number if it was killed; None before its end."""
        return None if self._child is None else self._child.poll()

    @property
    def pid(self) -> int:
        """The pid of the command, and the id of its session."""
        if self._child is None:
            raise ProcessFailed(name=self.name, problem="it was never started. Call start() first.")
        return self._child.pid

    def pids(self) -> list[int]:
        """All processes of the session that run now: the command and its descendants."""
        return reaper.members(self.pid)

    def log_tail(self, lines: int = _TAIL_LINES) -> str:
        """The last lines of the log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    # ── start ──────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> Self:
        """Start the command and return at once; `wait_ready` waits for it."""
        if self.alive:
            raise self._failed(f"it runs already, as pid {self.pid}. kill(), stop() or restart() it.")
        if port_answers(self.port):
            raise self._failed(f"port {self.port} is in use by another process, so it cannot serve there.")
        self.starts += 1
        seed = str(self.starts if self._forked_with is None else (self.starts - 1) % SEEDS + 1)
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONUNBUFFERED": "1", **self.env}
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            output.write(f"--- start {self.starts}, PYTHONHASHSEED={environment['PYTHONHASHSEED']} ---\n".encode())
            output.flush()
            try:
                self._child = self._begun(environment, output.fileno())
            except OSError as error:
                raise self._failed(f"it cannot be started: {error}. The command is {self.command}.") from error
        return self

    def _begun(self, env: Mapping[str, str], output: int) -> SessionProcess:
        forked = None
        if self._forked_with is not None and "PYTHONHASHSEED" not in self.env:
            forked = SESSIONS.fork(ForkRequest(self._forked_with, env, str(self.cwd or Path.cwd())), output)
        return forked or SESSIONS.start(self.command, env, self.cwd, output)

    def wait_ready(self, url: str | None = None, timeout: timedelta = START_PATIENCE) -> Self:
        """Return once *url* (by default `health`, else the port) answers and the process is alive.

        Raises:
            ProcessFailed: It died, or *timeout* passed. The message shows the end of its log.
        """
        url = url or self.health
        deadline = time.monotonic() + timeout.total_seconds()
        while True:
            seen = _why_not_ready(url, self.port)
            if not self.alive:
                raise self._failed(f"it died with exit code {self.exit_code} before it was ready.")
            if seen is None:
                return self
            if time.monotonic() >= deadline:
                raise self._failed(f"it is not ready after {timeout.total_seconds():g} s. Seen last: {seen}.")
            time.sleep(_POLL_SECONDS)

    def restart(self, *, graceful: bool = False, env: Mapping[str, str] | None = None) -> Self:
        """Start again on the same port, after a SIGKILL, or after `stop` if *graceful*.

        Args:
            env: Added to its environment, from now on.
        """
        if self.alive:
            if graceful:
                self.stop()
            else:
                self.kill()
        self.env.update(env or {})
        return self.start()

    # ── end ────────────────────────────────────────────────────────────────────────────────────────────────────

    def kill(self) -> None:
        """SIGKILL the whole session; return when every process is gone and the port refuses connections.

        Raises:
            ProcessFailed: The process was dead before (such a kill proves nothing), or the port still answers.
        """
        if not self.alive:
            code = self.exit_code
            ended = "it was never started" if code is None else f"it ended by itself before, with exit code {code}"
            raise self._failed(f"there is nothing to kill: {ended}.")
        self._end()

    def stop(self, grace: timedelta = STOP_PATIENCE) -> int | None:
        """SIGTERM the command, and SIGKILL the rest of its session after *grace*; return its exit code.

        The code is -9 if it had to be killed. If the process ended or never started, nothing happens.
        """
        if self._child is None:
            return None
        if self.alive:
            self._child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(grace.total_seconds())
        self._end()
        return self.exit_code

    def close(self) -> None:
        """Kill whatever still runs of it."""
        self._end()

    def __enter__(self) -> Self:
        try:
            return self.start().wait_ready()
        except BaseException:
            self.close()
            raise

    def _end(self) -> None:
        if self._child is None or self._child is self._ended:
            return  # its pid may be another process's by now
        session = self._child.pid
        reaper.kill_session(session)
        self._child.wait()
        wait_until(lambda: not reaper.members(session), _GONE_PATIENCE, f"the end of {self.name}'s processes")
        SESSIONS.ended(session)
        self._ended = self._child
        _wait_for_silence(self.port, self)

    def _failed(self, problem: str) -> ProcessFailed:
        return ProcessFailed(name=self.name, problem=problem, log_tail=self.log_tail())


def serve_command(app: str, port: int, by: ServerName = "hypercorn") -> list[str]:
    """Return the command that serves the ASGI application *app* (`"module:attribute"`) on the loopback.

    One process, no workers.
    """
    return ServeJob(target=app, listener=Listener(HOST, port, by), announce=True).command


# ── ports ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def port_answers(port: int) -> bool:
    """Whether a process accepts connections on this port of the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        if probe.connect_ex((HOST, port)) != 0:
            return False
        met_itself: bool = probe.getsockname() == probe.getpeername()
        return not met_itself


def _why_not_ready(url: str | None, port: int) -> str | None:
    if url is None:
        return None if port_answers(port) else f"port {port} refuses connections"
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or HOST, place.port or port, timeout=2)
    try:
        connection.request("GET", place.path or "/")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{url}: {error!r}"
    finally:
        connection.close()
    return None if 200 <= status < 300 else f"{url} answered {status}"


def _wait_for_silence(port: int, service: ServiceProcess) -> None:
    deadline = time.monotonic() + _GONE_PATIENCE.total_seconds()
    while port_answers(port):
        if time.monotonic() >= deadline:
            raise ProcessFailed(
                name=service.name,
                problem=f"port {port} still answers although every process of its session is gone: a process that it started"
                " left the session.",
                log_tail=service.log_tail(),
            )
        time.sleep(_POLL_SECONDS)
