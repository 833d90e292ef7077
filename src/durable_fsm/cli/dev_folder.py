"""The directory `.durable_fsm/`: what `durable-fsm dev` remembers between runs, and the lock that allows one run."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from durable_fsm.cli.errors import SERVER, CommandError

PROBES = 5
PAUSE = 0.05
"""How often, and after how many seconds, the lock is tried again."""


class DevFolder:
    """`.durable_fsm/` of one project: facts about its runs, and a lock."""

    @classmethod
    def around(cls, here: Path, project: Path) -> DevFolder | None:
        """Return that of the directory *here*, or of one above it in the directory *project*, if dev ever ran there."""
        folders = [here, *here.parents]
        inside = folders[: folders.index(project) + 1] if project in folders else [here]
        return next((found for folder in inside if (found := cls(folder)).remembered()), None)

    def __init__(self, folder: Path) -> None:
        self.path = folder / ".durable_fsm"
        self._run = self.path / "dev.json"

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold the lock of this directory. The system frees it, however the process ends.

        The file `dev.lock` contains the pid of this process.

        Raises:
            CommandError: Another run holds it; the message says where.
        """
        self._made()
        with (self.path / "dev.lock").open("a+") as lock:
            if not self._acquired(lock):
                raise CommandError(self._taken(), code=SERVER, kind="AlreadyRunning", **self.remembered())
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            yield

    @property
    def is_running(self) -> bool:
        """Whether a run of dev holds the lock."""
        try:
            with (self.path / "dev.lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def _made(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            ignore = self.path / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
        except OSError as error:
            problem = (
                f"'{self.path}' cannot be written: {error.strerror}. durable-fsm dev keeps machines in this directory."
            )
            raise CommandError(problem, code=SERVER) from error

    def remembered(self) -> dict[str, Any]:  # Any: JSON that `remember` wrote
        """Read what the latest run wrote; empty before the first."""
        try:
            found: dict[str, Any] = json.loads(self._run.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def remember(self, **facts: object) -> None:
        """Add facts about this run to those already written."""
        self._made()
        fresh = self._run.with_suffix(".new")
        fresh.write_text(json.dumps({**self.remembered(), "pid": os.getpid(), **facts}), encoding="utf-8")
        fresh.replace(self._run)

    def _acquired(self, lock: IO[str]) -> bool:
        for _ in range(PROBES):  # another command may look at this moment whether dev runs
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            time.sleep(PAUSE)
        return False

    def _taken(self) -> str:
        run = self.remembered()
        place = f" as process {run['pid']}: ingress {run['ingress']}, admin {run['admin']}" if "ingress" in run else ""
        return (
            f"durable-fsm dev runs in {self.path.parent} already{place}."
            " Use that one, or end it first (Ctrl-C in its terminal)."
        )
