"""Several processes that serve, and the one that looks after them."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType

from durable_fsm.serving.process import ENDING

log = logging.getLogger("durable_fsm.serving")

PAUSE = 1.0
"""Seconds between the end of a worker and its successor's beginning."""

LEFT = timedelta(seconds=5)
"""How much longer than its drain time a worker may take to end, before it is killed."""


@dataclass(slots=True)
class Worker:
    """A process: its command, which is given `--ready FD --parent FD`, and what messages call it."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    ready: int = -1
    listening: bool = False
    due: float = 0.0


def supervise(workers: Sequence[Worker], *, drain: timedelta, ready: Callable[[], object]) -> int:
    """Run *workers* until SIGTERM or SIGINT, which are handed on to them; return the exit code.

    A worker that ends by itself is begun again. They end with this process, however it ends: each holds a pipe to it.

    Args:
        drain: how long they may take to come to rest.
        ready: called once, when all of them are listening.
    """
    supervisor = _Supervisor(workers, ready)
    before = {number: signal.signal(number, supervisor.told) for number in ENDING}
    try:
        return supervisor.run(drain)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Supervisor:
    def __init__(self, workers: Sequence[Worker], ready: Callable[[], object]) -> None:
        self.workers = workers
        self.tell_ready: Callable[[], object] | None = ready
        self.life, self.ours = os.pipe()
        self.heard, self.signals = os.pipe()
        self.signal = 0
        os.set_inheritable(self.life, True)  # noqa: FBT003 - as os has it

    def told(self, number: int, _frame: FrameType | None) -> None:
        """A signal has come: hand it on."""
        self.signal = number
        os.write(self.signals, b".")

    def run(self, drain: timedelta) -> int:
        while not self.signal:
            now = time.monotonic()
            for worker in self.workers:
                if worker.process is None and now >= worker.due:
                    self.begin(worker)
            self.look()
        for worker in self.workers:
            if worker.process is not None:
                with suppress(ProcessLookupError):
                    worker.process.send_signal(signal.SIGTERM)
        return self.end(drain + LEFT)

    def begin(self, worker: Worker) -> None:
        worker.ready, tell = os.pipe()
        worker.listening = False
        worker.process = subprocess.Popen(
            [*worker.command, "--ready", str(tell), "--parent", str(self.life)],
            stdin=subprocess.DEVNULL,
            pass_fds=(tell, self.life),
            start_new_session=True,  # a terminal's Ctrl-C is handed on once, by us
        )
        os.close(tell)

    def look(self) -> None:
        """Wait a little for what happens: a signal, a worker that is ready, or one that has ended."""
        pending = [worker for worker in self.workers if worker.ready >= 0]
        found, _, _ = select.select([self.heard, *(worker.ready for worker in pending)], [], [], PAUSE / 4)
        for worker in pending:
            if worker.ready in found:
                worker.listening = bool(os.read(worker.ready, 1))
                if worker.listening:
                    log.debug("%s is listening", worker.name)
                else:
                    log.error("%s has ended before it was listening", worker.name)
                os.close(worker.ready)
                worker.ready = -1
        if self.tell_ready is not None and all(one.listening for one in self.workers):
            self.tell_ready()
            self.tell_ready = None
        for worker in self.workers:
            if worker.process is not None and worker.process.poll() is not None and not self.signal:
                log.error("%s has ended with %d; it is begun again", worker.name, worker.process.returncode)
                worker.process, worker.due = None, time.monotonic() + PAUSE

    def end(self, patience: timedelta) -> int:
        """Wait until all have ended, and kill those that do not; 0 if all ended well."""
        deadline = time.monotonic() + patience.total_seconds()
        codes: list[int] = []
        for worker in self.workers:
            if worker.process is None:
                continue
            try:
                codes.append(worker.process.wait(max(0.0, deadline - time.monotonic())))
            except subprocess.TimeoutExpired:
                log.error("%s does not end, and is killed", worker.name)  # noqa: TRY400 - there is nothing to trace
                worker.process.kill()
                codes.append(worker.process.wait())
        return 0 if not any(codes) else 1
