"""Invocations that end their process: which were running when a process died, and which of them are not run again at once.

An action that calls `os._exit`, or an extension that crashes, takes every machine of its process down. Restate then runs
the invocation again, and so on without end. An outage looks the same from Restate's side, so the processes that serve count
by themselves. Each has a file, mapped into memory, that outlives it: the first slot names the invocation whose code runs
in the event loop at this moment, the others those whose plain functions run in threads. A slot is empty while the code
waits, so an idle process that is killed blames nothing. Another process finds the file later, because its lock is free.

An invocation that was running when `DEADLY` processes died within `WINDOW_SECONDS` is *refused*: it is tried again after
`REST`, or when an operator resumes it, and each refusal allows one more try. Its key waits; all other keys continue.

The files are in one directory of the machine on which the processes run. Where that does not survive a restart, as in a
container without a volume, only processes that serve beside the dead one count.
"""

from __future__ import annotations

import atexit
import hashlib
import mmap
import os
import sys
import tempfile
import time
import types
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from durable_fsm.restate.names import ENDED_ITS_PROCESS
from durable_fsm.restate.observability.logging import log

if sys.platform != "win32":  # without locks of files, crashes are not counted there
    import fcntl

DEADLY = 3
"""So many processes may die while an invocation runs; then it is refused."""

WINDOW_SECONDS = 3_600.0
REST = timedelta(hours=1)

LOOK_SECONDS = 1.0
"""How often a process looks for others that died."""

DIRECTORY = "DURABLE_FSM_CRASH_DIR"
"""Environment variable: the directory of the files; empty for none."""

WIDTH = 64
SLOTS = 1_024

T = TypeVar("T")


class Deaths(msgspec.Struct):
    """When processes died in which an invocation was running, and how many there were when it was last refused."""

    at: list[float] = []
    refused: int = 0


_ledger = msgspec.json.Decoder(dict[str, Deaths])


class CrashRecorder:
    """The file of this process, and what is known of those that died."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True, parents=True)
        if directory.stat().st_uid != os.getuid():
            raise PermissionError(f"{directory} belongs to another user")
        self.process = os.getpid()
        self._directory = directory
        self._file = os.open(directory / f"{self.process}-{time.time_ns()}.running", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(self._file, SLOTS * WIDTH)
        self._running = mmap.mmap(self._file, SLOTS * WIDTH)
        self._free = list(range(1, SLOTS))
        self._known: dict[str, Deaths] = {}
        self._looked = 0.0

    # ── what runs ───────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, name: bytes) -> None:
        """The code of this invocation continues in the event loop, up to its next await."""
        self._running[:WIDTH] = name

    def wait(self) -> None:
        """It waits, or has ended."""
        self._running[0] = 0

    @contextmanager
    def in_thread(self, invocation: str) -> Generator[None]:
        """A plain function of this invocation runs in this thread."""
        slot = self._free.pop() if self._free else 0
        if not slot:
            yield
            return
        try:
            self._running[slot * WIDTH : (slot + 1) * WIDTH] = padded(invocation)
            yield
        finally:
            self._running[slot * WIDTH] = 0
            self._free.append(slot)

    def close(self) -> None:
        """The process ends in an orderly way: nothing that it cuts off is to blame."""
        if self.process == os.getpid():  # a fork shares the memory, and its end is not ours
            self._running[:] = bytes(SLOTS * WIDTH)

    # ── what has died ───────────────────────────────────────────────────────────────────────────────────────────────

    def refusal(self, invocation: str) -> str | None:
        """Why the invocation must not run now; None if it may."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._look()
        deaths = self._known.get(invocation)
        if deaths is None or len(deaths.at) < DEADLY or deaths.refused >= len(deaths.at):
            return None
        with self._locked_ledger() as ledger:
            deaths = self._known[invocation] = ledger.setdefault(invocation, deaths)
            deaths.refused = len(deaths.at)
        return (
            f"this invocation has {ENDED_ITS_PROCESS} {len(deaths.at)} times. It is tried again in {REST}, or when it is"
            " resumed; other keys continue. Fix the code that crashes, or cancel the invocation."
        )

    def _look(self) -> None:
        """Count the processes that have died, and read what others have counted."""
        dead = [path for path in self._directory.glob("*.running") if not path.name.startswith(f"{self.process}-")]
        with self._locked_ledger() as ledger:
            _forget_old(ledger)
            for path in dead:
                for invocation in _left_in(path):
                    deaths = ledger.setdefault(invocation, Deaths())
                    deaths.at.append(time.time())
                    log.warning("a process ended while invocation %s was running (%d)", invocation, len(deaths.at))
            self._known = ledger

    @contextmanager
    def _locked_ledger(self) -> Generator[dict[str, Deaths]]:
        """The deaths that are known, by invocation; written back if they change."""
        file = os.open(self._directory / "deaths", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.lockf(file, fcntl.LOCK_EX)
            before = os.read(file, 16 * 1024 * 1024)
            try:
                ledger = _ledger.decode(before or b"{}")
            except msgspec.DecodeError:  # its process died, too
                ledger = {}
            yield ledger
            after = msgspec.json.encode(ledger)
            if after != before:
                os.pwrite(file, after, 0)
                os.ftruncate(file, len(after))
        finally:
            os.close(file)


def _forget_old(ledger: dict[str, Deaths]) -> None:
    """Forget deaths of long ago, unless their invocation was refused and may still be tried again."""
    oldest = time.time() - WINDOW_SECONDS
    for invocation, deaths in list(ledger.items()):
        if deaths.at[-1] < oldest - REST.total_seconds():
            del ledger[invocation]
        elif not deaths.refused:
            deaths.at = [at for at in deaths.at if at >= oldest]
            if not deaths.at:
                del ledger[invocation]


def _left_in(path: Path) -> list[str]:
    """The invocations that a process was running when it died, and remove its file; none if it is alive."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return []
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        slots = os.read(file, SLOTS * WIDTH)
        path.unlink()
    except OSError:  # its process is alive
        return []
    finally:
        os.close(file)
    found = (slots[at : at + WIDTH] for at in range(0, len(slots), WIDTH) if slots[at])
    return sorted({name.rstrip(b"\0").decode("utf-8", "replace") for name in found})


def padded(invocation: str) -> bytes:
    return invocation.encode()[:WIDTH].ljust(WIDTH, b"\0")


@cache
def _recorder_of(_process: int) -> CrashRecorder | None:
    given = os.environ.get(DIRECTORY)
    if given == "" or sys.platform == "win32":
        return None
    try:
        made = CrashRecorder(Path(given) if given else _usual_directory())
    except OSError as error:
        log.warning("crashes of processes are not counted: %s", error)
        return None
    atexit.register(made.close)
    return made


def _usual_directory() -> Path:
    """One for each service: for processes that were begun by the same command in the same place."""
    begun = "\n".join([str(Path.cwd()), *sys.argv])
    service = hashlib.sha256(begun.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"durable_fsm-{os.getuid()}-{service}"


def recorder() -> CrashRecorder | None:
    """The recorder of this process; None if there is no directory for it."""
    return _recorder_of(os.getpid())


@types.coroutine
def recorded(work: Awaitable[T], ours: CrashRecorder, invocation: str) -> Generator[Any, Any, T]:
    """Await a coroutine, and keep its invocation in the recorder while its code runs."""
    name, running = padded(invocation), work.__await__()
    resume: Callable[[], Any] = partial(next, running)
    while True:
        ours.begin(name)
        try:
            waits_for = resume()
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            ours.wait()
        try:
            resume = partial(running.send, (yield waits_for))
        except GeneratorExit:
            running.close()
            raise
        except BaseException as thrown:  # noqa: BLE001 - the coroutine gets whatever it is
            resume = partial(running.throw, thrown)
