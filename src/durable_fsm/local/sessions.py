"""The sessions that this Python has started: each is ended at its exit, or by the reaper at its sudden death."""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from durable_fsm.local import reaper

__all__ = ["SESSIONS"]

# A child tells the reaper itself, before it becomes its command: were that the parent's part, one that is killed right
# after the fork would leave a child that nobody knows. Its standard input is the reaper's until then.
_ANNOUNCED = ("/bin/sh", "-c", 'echo "+$$" >&0 && exec "$@" </dev/null', "sh")


class _Sessions:
    """The sessions this Python has started and not yet ended; ended at its exit, or by the reaper at its sudden death."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._reaper: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    def start(
        self, command: Sequence[str], env: Mapping[str, str], cwd: Path | None, output: int
    ) -> subprocess.Popen[bytes]:
        _ensure_found(command[0], env, cwd)
        with self._lock:
            reaper = self._ensure_reaper()
            child = subprocess.Popen(
                (*_ANNOUNCED, *command),
                env=env,
                cwd=cwd,
                stdin=reaper.stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running[child.pid] = child
            return child

    def ended(self, session: int) -> None:
        with self._lock:
            if self._running.pop(session, None) is not None:
                self._tell_reaper(f"-{session}")

    def end_all(self) -> None:
        if os.getpid() != self._owner:  # a fork of this Python owns nothing of it
            return
        with self._lock:
            for session, child in self._running.items():
                reaper.kill_session(session)
                child.wait()
            self._running.clear()
            if self._reaper is not None and self._reaper.stdin is not None:
                self._reaper.stdin.close()
                self._reaper.wait()
                self._reaper = None

    def _ensure_reaper(self) -> subprocess.Popen[bytes]:
        if os.getpid() != self._owner:
            self._owner, self._running, self._reaper = os.getpid(), {}, None
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
        with contextlib.suppress(BrokenPipeError):  # somebody killed it; the next start makes another
            self._reaper.stdin.write(f"{line}\n".encode())


def _ensure_found(program: str, env: Mapping[str, str], cwd: Path | None) -> None:
    """Raise what the system would, were it to start *program* itself."""
    place = str(cwd / program) if cwd is not None and os.sep in program else program
    if shutil.which(place, path=env.get("PATH")) is None:
        code = errno.EACCES if Path(place).exists() else errno.ENOENT
        raise OSError(code, os.strerror(code), program)


SESSIONS = _Sessions()
