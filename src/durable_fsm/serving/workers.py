"""Supervise several processes that serve.

The supervisors of uvicorn and granian do not replace this module. They run copies of one server, while `--runner-bind`
needs two kinds of workers. Their workers serve on after a `kill -9` of the parent. And with uvicorn's, a Ctrl-C reaches a
worker twice, from the terminal and from the parent; here a second signal cuts off what is in flight.
"""

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
"""Seconds between the end of a worker and the start of its successor."""

LEFT = timedelta(seconds=5)
"""A worker that has not ended this long after its drain time is killed."""


@dataclass(slots=True)
class Worker:
    """A process: its name in messages, and its command, to which `--ready FD --parent FD` is added."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    ready: int = -1
    listening: bool = False
    due: float = 0.0


def supervise(workers: Sequence[Worker], *, drain: timedelta, ready: Callable[[], object]) -> int:
    """Run *workers* until SIGTERM or SIGINT, and pass the signal on to them; return the exit code.

    A worker that ends by itself is started again. All of them end with this process, even if it is killed: each holds a
    pipe to it, and ends when the pipe closes.

    Args:
        drain: How long they may take to drain.
        ready: Called once, when all of them listen.
    """
    supervisor = _Supervisor(workers, ready)
    before = {number: signal.signal(number, supervisor.receive) for number in ENDING}
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

    def receive(self, number: int, _frame: FrameType | None) -> None:
        """Remember the signal, and wake `look`."""
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
            start_new_session=True,  # a terminal's Ctrl-C must not reach the workers directly: we pass it on, once
        )
        os.close(tell)

    def look(self) -> None:
        """Wait a moment for a signal, a worker that listens, or one that ended."""
        pending = [worker for worker in self.workers if worker.ready >= 0]
        found, _, _ = select.select([self.heard, *(worker.ready for worker in pending)], [], [], PAUSE / 4)
        for worker in pending:
            if worker.ready in found:
                worker.listening = bool(os.read(worker.ready, 1))
                if worker.listening:
                    log.debug("%s listens", worker.name)
                else:
                    log.error("%s ended before it listened", worker.name)
                os.close(worker.ready)
                worker.ready = -1
        if self.tell_ready is not None and all(one.listening for one in self.workers):
            self.tell_ready()
            self.tell_ready = None
        for worker in self.workers:
            if worker.process is not None and worker.process.poll() is not None and not self.signal:
                log.error("%s ended with %d; starting it again", worker.name, worker.process.returncode)
                worker.process, worker.due = None, time.monotonic() + PAUSE

    def end(self, patience: timedelta) -> int:
        """Wait until all ended, and kill those that take too long; return 0 if all ended well."""
        deadline = time.monotonic() + patience.total_seconds()
        codes: list[int] = []
        for worker in self.workers:
            if worker.process is None:
                continue
            try:
                codes.append(worker.process.wait(max(0.0, deadline - time.monotonic())))
            except subprocess.TimeoutExpired:
                log.error("%s does not end: killing it", worker.name)  # noqa: TRY400 - there is nothing to trace
                worker.process.kill()
                codes.append(worker.process.wait())
        return 0 if not any(codes) else 1
