"""How steps are stopped in their process: once, with their clean-up, and never what comes after."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from durable_fsm.core.chart import Retry
from durable_fsm.core.events import Failure
from durable_fsm.restate.activities import attempts
from durable_fsm.restate.activities.attempts import REMEMBERED, Attempt, RunningAttempts
from durable_fsm.restate.observability.places import place_in

MOMENT = timedelta(milliseconds=50)
ONCE = Retry(attempts=1)


class Bench:
    """One job with the token `t`; notes what its steps do."""

    def __init__(self) -> None:
        self.attempts = RunningAttempts()
        self.log: list[str] = []
        self.begun = asyncio.Event()

    def attempt(
        self, step: Callable[[], Any], *, timeout: timedelta | None = None, retry: Retry = ONCE
    ) -> asyncio.Task[Attempt]:
        return asyncio.create_task(self.attempts.run("t", "step", step, retry, timeout=timeout))

    async def hang(self) -> None:
        try:
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            self.log.append("cleaning")
            await asyncio.sleep(0.05)
            self.log.append("clean")

    async def quick(self) -> int:
        self.log.append("quick")
        return 1


def run(story: Callable[[Bench], Any]) -> Bench:
    async def told() -> Bench:
        bench = Bench()
        await story(bench)
        return bench

    return asyncio.run(told())


def test_a_step_that_is_stopped_cleans_up_however_often_it_is_told() -> None:
    async def story(bench: Bench) -> None:
        attempt = bench.attempt(bench.hang)
        await bench.begun.wait()
        bench.attempts.stop("t")
        await asyncio.sleep(0)
        bench.attempts.stop("t")
        assert await attempt == Attempt(stopped=True)

    assert run(story).log == ["cleaning", "clean"]


def test_a_step_that_begins_after_its_job_was_stopped_does_nothing() -> None:
    async def story(bench: Bench) -> None:
        bench.attempts.stop("t")
        assert await bench.attempt(bench.quick) == Attempt(stopped=True)

    assert run(story).log == []


def test_a_job_that_knows_has_its_step_ended_and_may_do_more() -> None:
    async def story(bench: Bench) -> None:
        attempt = bench.attempt(bench.hang)
        await bench.begun.wait()
        await bench.attempts.end("t")
        assert bench.log == ["cleaning", "clean"]
        assert (await asyncio.gather(attempt, return_exceptions=True))[0].__class__ is asyncio.CancelledError
        bench.attempts.stop("t")  # late
        assert await bench.attempt(bench.quick) == Attempt(result=1)

    run(story)


def test_the_end_of_the_platforms_attempt_ends_the_step() -> None:
    async def story(bench: Bench) -> None:
        attempt = bench.attempt(bench.hang)
        await bench.begun.wait()
        attempt.cancel()
        await asyncio.gather(attempt, return_exceptions=True)
        assert attempt.cancelled()
        await asyncio.sleep(0.2)

    assert run(story).log == ["cleaning", "clean"]


def test_a_step_that_takes_too_long_has_failed_when_it_has_cleaned_up() -> None:
    async def story(bench: Bench) -> None:
        late = Failure("timeout", "step 'step' did not end within 0:00:00.050000.", place=place_in(bench.hang))
        assert await bench.attempt(bench.hang, timeout=MOMENT) == Attempt(error=late)
        assert bench.log == ["cleaning", "clean"]
        final = await bench.attempt(bench.hang, timeout=MOMENT, retry=Retry(give_up_on=(TimeoutError,)))
        assert final.terminal is True

    run(story)


def test_a_clean_up_without_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "CLEANUP", MOMENT)
    over = asyncio.Event()

    async def cling() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await over.wait()

    async def story(bench: Bench) -> None:
        assert (await bench.attempt(cling, timeout=MOMENT)).error
        over.set()

    run(story)


def test_a_plain_function_is_given_up_and_runs_on() -> None:
    go, gone = threading.Event(), threading.Event()

    def block() -> None:
        go.wait(10)
        gone.set()

    async def story(bench: Bench) -> None:
        late = await bench.attempt(block, timeout=MOMENT)
        assert late.error
        assert not gone.is_set()
        go.set()
        assert await asyncio.to_thread(gone.wait, 10)

    run(story)


def test_a_step_that_cancels_itself_has_failed() -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError("of its own")

    async def story(bench: Bench) -> None:
        failure = (await bench.attempt(give_up)).error
        assert failure is not None
        assert (failure.type, failure.message) == ("CancelledError", "of its own")

    run(story)


def test_what_was_told_to_many_jobs_is_forgotten_in_time() -> None:
    async def story(bench: Bench) -> None:
        bench.attempts.stop("t")
        for number in range(REMEMBERED):
            bench.attempts.stop(f"other-{number}")
        assert await bench.attempt(bench.quick) == Attempt(result=1)

    run(story)
