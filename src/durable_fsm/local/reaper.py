"""A process that kills what its parent started, if the parent dies without doing so.

`process` runs it as a script. It reads the lines `+<session>` and `-<session>`. When its input ends, or the parent is
gone, it kills every session on its list. Linux's death signal would not reach grandchildren, would depend on the thread
that started the child, and does not exist on macOS. The script imports the standard library only, so it starts quickly.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

_LOOK_AT_PARENT_SECONDS = 0.5
_PROC = Path("/proc")


def members(session: int) -> list[int]:
    """Return the pids of all processes of a session that run; zombies do not."""
    if _PROC.is_dir():
        return [pid for pid in _all_pids() if _runs_in(pid, session)]
    listed = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,stat="], capture_output=True, text=True, check=False)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [int(pid) for pid, group, state, *_ in rows if int(group) == session and not state.startswith("Z")]


def kill_session(session: int) -> list[int]:
    """SIGKILL every process of a session, also those that start meanwhile; return the killed pids."""
    hit: list[int] = []
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(session, signal.SIGKILL)
    while found := [pid for pid in members(session) if pid not in hit]:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        hit += found
    return hit


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _runs_in(pid: int, session: int) -> bool:
    try:
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return False
    state, _parent, _group, of = fields[:4]
    return int(of) == session and state not in ("Z", "X")


def main(parent: int) -> None:
    """Read the list until *parent* is gone, then kill what is on it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sessions: set[int] = set()
    unread = b""
    while received := _received(parent):
        *lines, unread = (unread + received).split(b"\n")
        for line in lines:
            (sessions.add if line.startswith(b"+") else sessions.discard)(int(line[1:]))
    for session in sessions:
        kill_session(session)


def _received(parent: int) -> bytes:
    """Return the next input, or nothing once the parent is gone and all its input is read."""
    while True:
        orphan = (
            os.getppid() != parent
        )  # checked first: input of the parent, or of a child it started, may still arrive
        if select.select([0], [], [], _LOOK_AT_PARENT_SECONDS)[0]:
            return os.read(0, 65536)
        if orphan:
            return b""


if __name__ == "__main__":
    main(int(sys.argv[1]))
