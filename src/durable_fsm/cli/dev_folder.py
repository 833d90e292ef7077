"""The directory `.durable_fsm/`: what `durable-fsm dev` remembers between runs, and the lock that allows one run."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from durable_fsm.cli.errors import SERVER, CommandError


class DevFolder:
    """`.durable_fsm/` of one project: facts about its runs, and a lock."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / ".durable_fsm"
        self._run = self.path / "dev.json"

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold the lock of this directory. The system frees it, however the process ends.

        Raises:
            CommandError: Another run holds it; the message says where.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        ignore = self.path / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        with (self.path / "dev.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError(self._taken(), code=SERVER, kind="AlreadyRunning", **self.remembered()) from None
            yield

    def remembered(self) -> dict[str, Any]:  # Any: JSON that `remember` wrote
        """Read what the latest run wrote; empty before the first."""
        try:
            found: dict[str, Any] = json.loads(self._run.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def remember(self, **facts: object) -> None:
        """Add facts about this run to those already written."""
        fresh = self._run.with_suffix(".new")
        fresh.write_text(json.dumps({**self.remembered(), "pid": os.getpid(), **facts}), encoding="utf-8")
        fresh.replace(self._run)

    def _taken(self) -> str:
        run = self.remembered()
        place = f" as process {run['pid']}: ingress {run['ingress']}, admin {run['admin']}" if "ingress" in run else ""
        return (
            f"durable-fsm dev runs in {self.path.parent} already{place}."
            " Use that one, or end it first (Ctrl-C in its terminal)."
        )
