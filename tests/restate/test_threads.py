"""Threads of plain functions: bounded, replaced when they hang, and without part in a step's timeout."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from durable_fsm.core.chart import Retry
from durable_fsm.restate.activities import threads
from durable_fsm.restate.activities.attempts import Attempt, RunningAttempts
from durable_fsm.restate.activities.threads import ThreadCounts, WorkerThreads, counts_of_this_process
from durable_fsm.restate.names import PROBLEM

ONCE = Retry(attempts=1)
MOMENT = timedelta(milliseconds=50)


class Work:
    """Plain functions that hang until they are let go."""

    def __init__(self, most: int) -> None:
        self.threads = WorkerThreads(most)
        self.attempts = RunningAttempts(self.threads)
        self.free = threading.Event()
        self.begun: list[int] = []

    def hang(self) -> None:
        self.begun.append(1)
        self.free.wait(20)

    def attempt(self, step: Callable[[], object], timeout: timedelta | None = None) -> asyncio.Task[Attempt]:
        return asyncio.create_task(self.attempts.run(f"t{time.perf_counter()}", "step", step, ONCE, timeout=timeout))

    async def until(self, counts: ThreadCounts) -> None:
        async with asyncio.timeout(20):
            while self.threads.counts()._replace(longest_seconds=0) != counts:  # noqa: ASYNC110 - threads set no event
                await asyncio.sleep(0.001)


def run(most: int, story: Callable[[Work], Any]) -> None:
    async def told() -> None:
        work = Work(most)
        try:
            await story(work)
        finally:
            work.free.set()
            await work.until(ThreadCounts())
            assert work.threads.metadata == {}

    asyncio.run(told())


def test_functions_that_hang_are_replaced_as_soon_as_their_time_is_over(caplog: pytest.LogCaptureFixture) -> None:
    async def story(work: Work) -> None:
        late = await asyncio.gather(*(work.attempt(work.hang, MOMENT) for _ in range(4)))
        assert {one.error.type for one in late if one.error} == {"timeout"}
        await work.until(ThreadCounts(given_up=4))
        assert work.threads.metadata == {
            PROBLEM: "Threads that were given up are still running: 4, such as step 'step'."
        }
        assert await work.attempt(lambda: 7) == Attempt(result=7)

    run(2, story)
    assert sum("was given up after" in record.getMessage() for record in caplog.records) == 4
    assert sum("although it was given up" in record.getMessage() for record in caplog.records) == 4


def test_the_time_that_a_function_waits_for_a_thread_is_not_time_that_it_takes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(work: Work) -> None:
        holding = work.attempt(work.hang)
        await work.until(ThreadCounts(running=1))
        waiting = work.attempt(lambda: "in time", MOMENT)
        other = work.attempt(lambda: "too", MOMENT)
        await asyncio.sleep(3 * MOMENT.total_seconds())
        assert work.threads.counts().waiting == 2
        assert work.threads.metadata == {PROBLEM: "All 1 threads of plain functions are busy, and 2 calls wait."}
        work.free.set()
        assert await asyncio.gather(holding, waiting, other) == [
            Attempt(result=None),
            Attempt(result="in time"),
            Attempt(result="too"),
        ]

    run(1, story)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "all 1 threads of plain functions are busy, and calls wait. The longest is step 'step', for 0 s."
    ]


def test_a_step_that_is_stopped_while_it_waits_never_begins() -> None:
    async def story(work: Work) -> None:
        holding = work.attempt(work.hang)
        await work.until(ThreadCounts(running=1))
        waiting = work.attempt(work.hang)
        await work.until(ThreadCounts(running=1, waiting=1))
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        work.free.set()
        await holding
        assert work.begun == [1]

    run(1, story)


def test_threads_that_are_given_up_are_replaced_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "MOST_GIVEN_UP", 1)

    async def story(work: Work) -> None:
        await asyncio.gather(*(work.attempt(work.hang, MOMENT) for _ in range(2)))
        waiting = work.attempt(lambda: "at last")
        await work.until(ThreadCounts(given_up=2, waiting=1))
        work.free.set()
        assert await waiting == Attempt(result="at last")

    run(1, story)


def test_a_system_that_has_no_thread_left_fails_the_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    async def story(work: Work) -> None:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        failed = await work.attempt(lambda: 1)
        monkeypatch.undo()
        assert failed.error is not None
        assert failed.error.message == "can't start new thread"
        assert await work.attempt(lambda: 1) == Attempt(result=1)

    run(1, story)


def test_an_exit_of_a_function_ends_no_thread_and_no_loop() -> None:
    async def story(work: Work) -> None:
        failed = await work.attempt(lambda: sys.exit(3))
        assert failed.error is not None
        assert (failed.error.type, failed.error.message) == ("SystemExit", "3")
        assert counts_of_this_process().running == 0

    run(1, story)


def test_a_loop_that_is_closed_hears_nothing_of_its_threads() -> None:
    free, over = threading.Event(), threading.Event()

    def outlive() -> None:
        free.wait(20)
        over.set()

    async def story() -> None:
        workers = WorkerThreads(1)
        asyncio.get_running_loop().call_later(0.01, asyncio.current_task().cancel)  # type: ignore[union-attr]
        await workers.run("work", outlive, asyncio.Event())

    with suppress(asyncio.CancelledError):
        asyncio.run(story())
    free.set()
    assert over.wait(20)
