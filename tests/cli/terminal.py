"""`durable-fsm dev` in a pseudo-terminal."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pexpect

from durable_fsm.testing import free_port

PROGRAM = [sys.executable, "-m", "durable_fsm.cli"]
SERVING = "Ready. Ctrl-C ends it."


class Terminal:
    """`durable-fsm dev` in a pseudo-terminal, and the ports it was given."""

    def __init__(self, folder: Path) -> None:
        self.ports = {name: free_port() for name in ("ingress", "admin", "service")}
        flags = [f"--{name}-port={port}" for name, port in self.ports.items()]
        self.child = pexpect.spawn(
            PROGRAM[0],
            [*PROGRAM[1:], "dev", *flags],
            cwd=str(folder),
            encoding="utf-8",
            timeout=60,
            dimensions=(40, 160),
            preexec_fn=heed_signals,
        )
        self.url = f"http://127.0.0.1:{self.ports['ingress']}"

    def sees(self, words: str) -> str:
        """Wait until the terminal shows *words*; what it showed before them."""
        self.child.expect_exact(words)
        shown: str = self.child.before or ""
        return shown

    def ends(self) -> int:
        """Wait for its end; the exit code."""
        self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus if self.child.exitstatus is not None else -(self.child.signalstatus or 0)

    def close(self) -> None:
        if self.child.isalive():
            self.child.kill(signal.SIGKILL)
        self.child.close(force=True)


def heed_signals() -> None:
    """A terminal's programs can be interrupted and hung up on, even if these tests run in the background or under nohup."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
