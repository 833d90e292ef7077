"""What `durable-fsm dev` keeps in order: one run per directory, and no process that outlives it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from durable_fsm.cli.errors import SERVER, CommandError

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Told(BaseException):
    """A signal has come that ends the run; `number` says which."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Signals:
    """Turns the first signal that should end the run into `Told`, but never between a process's start and its record."""

    def __init__(self) -> None:
        self._held = 0
        self._pending: int | None = None
        self._over = False

    @contextmanager
    def heard(self) -> Generator[None]:
        """Listen; a signal that was ignored before (as by nohup) still is."""
        before = {number: signal.getsignal(number) for number in STOPPING}
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._told)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def held(self) -> Generator[None]:
        """Let a signal wait until the block is done."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if self._pending is not None and not self._held and not self._over:
            self._over = True
            raise Told(self._pending)

    def over(self) -> None:
        """From now on signals change nothing: what they ask for is being done."""
        self._over = True

    def _told(self, number: int, _frame: FrameType | None) -> None:
        if self._over:
            return
        if self._held:
            self._pending = number
            return
        self._over = True
        raise Told(number)


class Home:
    """`.durable_fsm/`: what one directory's runs remember, and the lock that lets only one of them be."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / ".durable_fsm"
        self._run = self.path / "dev.json"

    @contextmanager
    def locked(self) -> Generator[None]:
        """Be the only run here. The system frees the lock, however the process ends.

        Raises:
            CommandError: another one is; the message says where.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        ignore = self.path / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        with (self.path / "dev.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError(self._who(), code=SERVER, kind="AlreadyRunning", **self.remembered()) from None
            yield

    def remembered(self) -> dict[str, Any]:  # Any: JSON that `remember` wrote
        """What the latest run has written down; empty before the first."""
        try:
            found: dict[str, Any] = json.loads(self._run.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def remember(self, **facts: object) -> None:
        """Write down what this run is and does, beside what is known already."""
        fresh = self._run.with_suffix(".new")
        fresh.write_text(json.dumps({**self.remembered(), "pid": os.getpid(), **facts}), encoding="utf-8")
        fresh.replace(self._run)

    def _who(self) -> str:
        run = self.remembered()
        place = f" as process {run['pid']}: ingress {run['ingress']}, admin {run['admin']}" if "ingress" in run else ""
        return (
            f"durable-fsm dev runs in {self.path.parent} already{place}."
            " Use that one, or end it first (Ctrl-C in its terminal)."
        )
