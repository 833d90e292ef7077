"""Threads of our own, in which the plain functions of activities run.

Python cannot stop a thread. So a call that is not awaited any more (its timeout is over, its activity was stopped) is
*given up*: it may run on, but it counts no longer among those that run at once, and another thread takes its place.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import NamedTuple, TypeAlias
from weakref import WeakSet

from durable_fsm.core.author_code import ANYTHING
from durable_fsm.restate.names import PROBLEM
from durable_fsm.restate.observability import tracing
from durable_fsm.restate.observability.logging import log
from durable_fsm.restate.settings import MOST_THREADS

MOST_GIVEN_UP = 256
"""How many threads may be given up and run on. Beyond that a thread that is given up is not replaced."""

QUIET_SECONDS = 60.0
"""How often the log says that calls wait for a thread."""

Ended: TypeAlias = tuple[object, BaseException | None]
"""The result of a plain function, or its exception: a future takes no StopIteration, and a SystemExit ends the loop."""

_of_this_process: WeakSet[WorkerThreads] = WeakSet()


class ThreadCounts(NamedTuple):
    """How many plain functions run, wait for a thread, and run on although they were given up; seconds of the longest."""

    running: int = 0
    waiting: int = 0
    given_up: int = 0
    longest_seconds: int = 0


class WorkerCall:
    """One call of a plain function; *name* is for people."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.since = time.monotonic()
        self.is_given_up = False
        self.holds_slot = True

    @property
    def seconds(self) -> int:
        return int(time.monotonic() - self.since)


class WorkerThreads:
    """Runs plain functions, each in a thread, at most so many at once; the others wait in order.

    Attributes:
        metadata: of a handler, for discovery: whether there is a problem now. `doctor` asks for it.
    """

    def __init__(self, most: int = MOST_THREADS) -> None:
        self.most = most
        self.metadata: dict[str, str] = {}
        self._slots = asyncio.Semaphore(most)
        self._calls: set[WorkerCall] = set()
        self._waiting = 0
        self._told = -QUIET_SECONDS
        _of_this_process.add(self)

    async def run(self, name: str, function: Callable[[], object], begun: asyncio.Event) -> Ended:
        """Call the function in a thread, as soon as there is one; *begun* is set then."""
        await self._wait_for_slot()
        begun.set()
        loop, call = asyncio.get_running_loop(), WorkerCall(name)
        ended: asyncio.Future[Ended] = loop.create_future()
        context = copy_context()

        def work() -> None:
            outcome = context.run(_outcome_of, function)
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(self._end, call, ended, outcome)

        self._calls.add(call)
        try:
            threading.Thread(target=work, name=f"durable_fsm {name}", daemon=True).start()
        except RuntimeError as error:  # the system lets no other thread begin
            self._end(call, ended, (None, error))
        try:
            return await ended
        except asyncio.CancelledError:
            self._give_up(call)
            raise

    def counts(self) -> ThreadCounts:
        given_up = sum(call.is_given_up for call in self._calls)
        longest = max((call.seconds for call in self._calls), default=0)
        return ThreadCounts(len(self._calls) - given_up, self._waiting, given_up, longest)

    async def _wait_for_slot(self) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        self._tell_that_calls_wait()
        self._waiting += 1
        self._note()
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
            self._note()

    def _note(self) -> None:
        """Keep the problem for discovery up to date."""
        given_up = [call for call in self._calls if call.is_given_up]
        problems: list[str] = []
        if given_up:
            problems.append(
                f"Threads that were given up are still running: {len(given_up)}, such as {given_up[0].name}."
            )
        if self._waiting:
            problems.append(f"All {self.most} threads of plain functions are busy, and {self._waiting} calls wait.")
        self.metadata.clear()
        if problems:
            self.metadata[PROBLEM] = " ".join(problems)

    def _tell_that_calls_wait(self) -> None:
        now = time.monotonic()
        if now - self._told < QUIET_SECONDS:
            return
        self._told = now
        slowest = max(self._calls, key=lambda call: call.seconds)
        words = "all %d threads of plain functions are busy, and calls wait. The longest is %s, for %d s."
        log.warning(words, self.most, slowest.name, slowest.seconds)

    def _end(self, call: WorkerCall, ended: asyncio.Future[Ended], outcome: Ended) -> None:
        self._calls.discard(call)
        if call.holds_slot:
            self._slots.release()
        if call.is_given_up:
            self._note()
            log.warning(
                "%s has ended after %d s, although it was given up; its result is dropped.", call.name, call.seconds
            )
        if not ended.done():
            ended.set_result(outcome)

    def _give_up(self, call: WorkerCall) -> None:
        if call not in self._calls:  # it has just ended
            return
        call.is_given_up = True
        self._note()
        given_up = self.counts().given_up
        if given_up <= MOST_GIVEN_UP:
            call.holds_slot = False
            self._slots.release()
        words = "%s was given up after %d s; its thread keeps running. %d such threads run in this process, and end with it."
        log.warning(words, call.name, call.seconds, given_up)


def _outcome_of(function: Callable[[], object]) -> Ended:
    try:
        return function(), None
    except ANYTHING as error:
        return None, error


def counts_of_this_process() -> ThreadCounts:
    """The counts of all applications in this process together."""
    found = [threads.counts() for threads in _of_this_process]
    if not found:
        return ThreadCounts()
    running, waiting, given_up, longest = zip(*found, strict=True)
    return ThreadCounts(sum(running), sum(waiting), sum(given_up), max(longest))


def _by_state() -> dict[str, int]:
    counts = counts_of_this_process()
    return {"running": counts.running, "waiting": counts.waiting, "given_up": counts.given_up}


tracing.observe(tracing.THREADS, "Plain functions of activities: running, waiting, given up.", "state", _by_state)
