"""Start sessions that never outlive this Python: it kills them at its exit, or the reaper does if it is killed."""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from durable_fsm.local import reaper
from durable_fsm.local.fork_server import ForkedProcess, ForkRequest, ForkServer, settings_of

__all__ = ["SESSIONS", "SessionProcess"]

SessionProcess: TypeAlias = subprocess.Popen[bytes] | ForkedProcess

_SOURCES = str(Path(__file__).parents[2])

# A child tells the reaper about itself before it becomes its command. If the parent did it, a parent that is killed right
# after the fork would leave a child that the reaper does not know. Until then the child's standard input is the reaper's.
_ANNOUNCED = ("/bin/sh", "-c", 'echo "+$$" >&0 && exec "$@" </dev/null', "sh")


class _Sessions:
    """The running sessions of this Python."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[int, SessionProcess] = {}
        self._fork_servers: dict[tuple[str, frozenset[tuple[str, str]]], ForkServer] = {}
        self._reaper: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    def start(
        self, command: Sequence[str], env: Mapping[str, str], cwd: Path | None, output: int
    ) -> subprocess.Popen[bytes]:
        """Start a fresh process.

        Raises:
            OSError: The program cannot be started.
        """
        _ensure_found(command[0], env, cwd)
        with self._lock:
            return self._begin(command, env, cwd, output)

    def fork(self, request: ForkRequest, output: int) -> ForkedProcess | None:
        """Fork a process from a fork server with its hash seed; None if only a fresh process will do."""
        settings = settings_of(request.env)
        if sys.platform != "linux" or settings != settings_of(os.environ):
            return None
        with self._lock:
            reaping = self._ensure_reaper()
            assert reaping.stdin is not None
            key = (request.env["PYTHONHASHSEED"], settings)
            if (server := self._fork_servers.get(key)) is None:
                server = self._fork_servers[key] = self._begin_fork_server(request.env["PYTHONHASHSEED"], output)
            try:
                child = server.fork(request, output, reaping.stdin.fileno())
            except OSError:
                del self._fork_servers[key]
                server.close()
                self._kill(server.process)
                return None
            self._running[child.pid] = child
            return child

    def ended(self, session: int) -> None:
        with self._lock:
            self._forget(session)

    def end_all(self) -> None:
        if os.getpid() != self._owner:  # a fork of this Python does not own its sessions
            return
        with self._lock:
            for server in self._fork_servers.values():
                server.close()
            self._fork_servers.clear()
            for child in tuple(self._running.values()):
                self._kill(child)
            if self._reaper is not None and self._reaper.stdin is not None:
                self._reaper.stdin.close()
                self._reaper.wait()
                self._reaper = None

    def _begin(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        cwd: Path | None,
        output: int,
        pass_fds: tuple[int, ...] = (),
    ) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            (*_ANNOUNCED, *command),
            env=env,
            cwd=cwd,
            stdin=self._ensure_reaper().stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
        )
        self._running[child.pid] = child
        return child

    def _begin_fork_server(self, seed: str, output: int) -> ForkServer:
        places = [_SOURCES, *filter(None, [os.environ.get("PYTHONPATH")])]
        env = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(places),
        }
        ours, its = socket.socketpair()
        with its:
            process = self._begin(ForkServer.command(its.fileno()), env, Path("/"), output, (its.fileno(),))
        return ForkServer(process, ours)

    def _kill(self, child: SessionProcess) -> None:
        reaper.kill_session(child.pid)
        child.wait()
        self._forget(child.pid)

    def _forget(self, session: int) -> None:
        if self._running.pop(session, None) is not None:
            self._tell_reaper(f"-{session}")

    def _ensure_reaper(self) -> subprocess.Popen[bytes]:
        if os.getpid() != self._owner:
            self._owner, self._running, self._fork_servers, self._reaper = os.getpid(), {}, {}, None
        if self._reaper is None:
            atexit.register(self.end_all)
        elif self._reaper.poll() is None:
            return self._reaper
        self._reaper = subprocess.Popen(
            [sys.executable, "-I", "-S", reaper.__file__, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            bufsize=0,
        )
        for session in self._running:
            self._tell_reaper(f"+{session}")
        return self._reaper

    def _tell_reaper(self, line: str) -> None:
        assert self._reaper is not None
        assert self._reaper.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it was killed; the next start makes another
            self._reaper.stdin.write(f"{line}\n".encode())


def _ensure_found(program: str, env: Mapping[str, str], cwd: Path | None) -> None:
    """Raise the error that the system would raise if it started *program* directly."""
    place = str(cwd / program) if cwd is not None and os.sep in program else program
    if shutil.which(place, path=env.get("PATH")) is None:
        code = errno.EACCES if Path(place).exists() else errno.ENOENT
        raise OSError(code, os.strerror(code), program)


SESSIONS = _Sessions()
