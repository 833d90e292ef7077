"""A process that has the imports of a service done, and forks services: for tests, which start hundreds of them.

An interpreter spends half a second of CPU on the imports of a service; a fork of this process has them already. It must
not differ otherwise from a fresh process, therefore:

- The fork server opens nothing and starts neither thread nor event loop before it forks. It imports only modules that
  read no setting of durable_fsm when they are imported; the application itself is imported by the fork.
- A fork has a session of its own, the environment, directory, module path and standard streams it was asked for, and
  the signal dispositions of a fresh process. It returns from `main` into the code that `python -m durable_fsm.serving`
  runs, and ends as an interpreter ends.
- The hash seed is fixed when an interpreter starts. So every seed has a fork server of its own.

Client and server share a stream socket. A request is its length in four bytes, JSON, and three descriptors: the
output, the reaper's pipe and a pipe for the exit code. The fork answers with its pid, in eight bytes, once its session
exists and the reaper knows it. A fork server ends when the client's side closes.

Only Linux: macOS does not allow a fork without exec once its frameworks are loaded. Elsewhere processes start afresh.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

from durable_fsm.local import reaper

__all__ = ["SEEDS", "ForkRequest", "ForkServer", "ForkedProcess", "settings_of"]

SEEDS = 4
"""Starts of one service use this many hash seeds in turn."""

PRELOADED = (
    "durable_fsm.client",
    "durable_fsm.core.turn",
    "durable_fsm.frontends.documents",
    "durable_fsm.frontends.statemachine",
    "durable_fsm.restate.app",
    "durable_fsm.serving.__main__",
    "durable_fsm.testing.effects",
    "hypercorn.asyncio",
    "pydantic.types",
    "restate.discovery",
    "restate.ext.tracing",
    "restate.server",
)
PRELOADED_IF_INSTALLED = ("durable_fsm.frontends.transitions", "transitions")

_READ_AT_START = ("LD_", "OTEL_", "PYDANTIC_", "PYTHON")
"""The interpreter, its loader and the preloaded modules read these when they start; a fork may differ in all others."""

_MAY_DIFFER = ("PYTHONHASHSEED", "PYTHONPATH", "PYTHONUNBUFFERED")
_KILLED = -signal.SIGKILL
_PATIENCE_SECONDS = 60.0
_LENGTH_BYTES = 4
_PID_BYTES = 8


def settings_of(env: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """The variables that a fork has to share with its fork server."""
    return frozenset(
        (name, value) for name, value in env.items() if name.startswith(_READ_AT_START) and name not in _MAY_DIFFER
    )


@dataclass(frozen=True, slots=True)
class ForkRequest:
    """A process to fork: the arguments of `python -m durable_fsm.serving`, its environment and its directory."""

    arguments: Sequence[str]
    env: Mapping[str, str]
    cwd: str


# ── the client's side ─────────────────────────────────────────────────────────────────────────────────────────────────


class ForkedProcess:
    """A fork, as its client sees it: the part of `subprocess.Popen` that is used here."""

    def __init__(self, pid: int, code: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._code = code
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        with self._lock:
            if self.returncode is None and select.select([self._code], [], [], 0)[0]:
                told = os.read(self._code, 64)
                os.close(self._code)
                if not told:  # the fork server is gone, so the end of its fork could not be seen any more
                    while reaper.members(self.pid):
                        reaper.kill_session(self.pid)
                self.returncode = int(told) if told else _KILLED
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended.

        Raises:
            subprocess.TimeoutExpired: It runs longer than *timeout* seconds.
        """
        if (code := self.poll()) is not None:
            return code
        select.select([self._code], [], [], timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(f"fork {self.pid}", timeout or 0)
        return code

    def terminate(self) -> None:
        """Send SIGTERM, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            if self.poll() is None:
                os.kill(self.pid, signal.SIGTERM)


class ForkServer:
    """The client of one fork server.

    Args:
        process: A process that runs `command`.
        control: Its end of the socket.
    """

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self.process = process
        self._control = control
        control.settimeout(_PATIENCE_SECONDS)

    def close(self) -> None:
        """Let the fork server end."""
        self._control.close()

    @staticmethod
    def command(control: int) -> list[str]:
        """The command line of a fork server whose end of the socket is the descriptor *control*."""
        return [sys.executable, "-m", "durable_fsm.local.fork_server", str(control)]

    def fork(self, request: ForkRequest, output: int, reaping: int) -> ForkedProcess:
        """Fork a process that writes to *output*, and return it when the reaper at the end of *reaping* knows it.

        Raises:
            OSError: The fork server has ended, cannot fork, or does not answer.
        """
        body = json.dumps(asdict(request)).encode()
        code, told = os.pipe()
        try:
            socket.send_fds(self._control, [len(body).to_bytes(_LENGTH_BYTES)], [output, reaping, told])
            self._control.sendall(body)
            pid = int.from_bytes(_received(self._control, _PID_BYTES))
        except OSError:
            os.close(code)
            raise
        finally:
            os.close(told)
        return ForkedProcess(pid, code)


def _received(stream: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        more = stream.recv(size - len(received))
        if not more:
            raise ConnectionResetError("the other side has ended")
        received += more
    return received


# ── the server's side ─────────────────────────────────────────────────────────────────────────────────────────────────


def main(control: socket.socket) -> int:
    """Fork what is asked for until the client is gone. In a fork: serve, and return the exit code."""
    for name in PRELOADED:
        importlib.import_module(name)
    for name in PRELOADED_IF_INSTALLED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if threading.active_count() > 1:
        raise RuntimeError(f"An import has started a thread, which a fork would lack: {threading.enumerate()}.")
    gc.freeze()  # what is imported stays, and forks share it
    arguments = _Forking(control).until_a_fork()
    if arguments is None:
        return 0
    from durable_fsm.serving import __main__ as serving

    return serving.main(arguments)


class _Forking:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._codes: dict[int, int] = {}
        self._wake, self._woken = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _wake_up)

    def until_a_fork(self) -> list[str] | None:
        """Return the arguments in each fork, and None in the fork server when the client is gone."""
        while True:
            ready, _, _ = select.select([self._control.fileno(), self._wake], [], [])
            if self._wake in ready:
                self._reap()
            if self._control.fileno() in ready:
                try:
                    head, descriptors, _, _ = socket.recv_fds(self._control, _LENGTH_BYTES, 3)
                    if not head:
                        return None
                    asked = ForkRequest(**json.loads(_received(self._control, int.from_bytes(head))))
                except ConnectionError:
                    return None
                output, reaping, told = descriptors
                pid = os.fork()
                if pid == 0:
                    return self._become(asked, output, reaping, told)
                self._codes[pid] = told
                os.close(output)
                os.close(reaping)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake, 4096):
                pass
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                pid, status = ended
                told = self._codes.pop(pid)
                with contextlib.suppress(BrokenPipeError):  # the client does not wait for it
                    os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
                os.close(told)

    def _become(self, asked: ForkRequest, output: int, reaping: int, told: int) -> list[str]:
        """Turn this fork into the process that was asked for."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.write(reaping, f"+{os.getpid()}\n".encode())
        self._control.sendall(os.getpid().to_bytes(_PID_BYTES))
        self._control.close()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for descriptor, place in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(descriptor, place)
        for descriptor in (nothing, output, reaping, told, self._wake, self._woken, *self._codes.values()):
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(asked.env)
        os.chdir(asked.cwd)
        given = [str(Path(place).absolute()) for place in asked.env.get("PYTHONPATH", "").split(os.pathsep) if place]
        sys.path[:] = dict.fromkeys([asked.cwd, *given, *sys.path[1:]])
        sys.argv[1:] = asked.arguments
        importlib.invalidate_caches()
        random.seed()
        return list(asked.arguments)


def _wake_up(_number: int, _frame: FrameType | None) -> None:
    """Let a signal interrupt `select`; without a handler it would be ignored."""


if __name__ == "__main__":
    sys.exit(main(socket.socket(fileno=int(sys.argv[1]))))
