"""How long an attempt of an activity may take, and which errors end its attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def test_an_attempt_that_exceeds_its_timeout_is_cancelled_and_retried(bench: Host) -> None:
    work = bench.key("slow")

    bench.receipt("Given", work, "try_slow", {"effect": work})

    error = bench.wait_in("Given", work, "failed")["data"]["error"]
    assert (error["type"], error["message"]) == ("timeout", "step 'slow' did not end within 0:00:00.400000.")
    assert len(bench.effects_of(work)) == len(bench.effects_of(f"{work}-cleaned")) == 3


def test_an_attempt_in_time_after_one_that_timed_out_succeeds(bench: Host) -> None:
    work = bench.key("slow")
    bench.served.restart()  # with a memory of its own

    bench.receipt("Given", work, "try_slow_once", {"effect": work})

    assert bench.wait_in("Given", work, "over")["data"]["result"] == "in time"
    assert len(bench.effects_of(work)) == 2


def test_a_plain_function_times_out_although_its_thread_runs_on(bench: Host) -> None:
    work = bench.key("slow")

    bench.receipt("Given", work, "try_slow_thread", {"effect": work})

    assert bench.wait_in("Given", work, "failed")["data"]["error"]["type"] == "timeout"
    assert len(bench.effects_of(work)) == 2


@pytest.mark.parametrize(("what", "type"), [("declined", "CardDeclined"), ("impatient", "timeout")])
def test_an_error_that_the_retry_excludes_is_final_at_once(bench: Host, what: str, type: str) -> None:
    work = bench.key(what)

    bench.receipt("Given", work, f"try_{what}", {"effect": work})

    assert bench.wait_in("Given", work, "failed")["data"]["error"]["type"] == type
    assert len(bench.effects_of(work)) == 1


def test_an_error_of_an_exclusive_activity_keeps_code_and_metadata(bench: Host) -> None:
    work = bench.key("refused")

    bench.receipt("Given", work, "try_refused", {})

    assert bench.snapshot("Given", work)["data"]["error"] == {
        "type": "TerminalError", "message": "this cannot work", "code": 418, "metadata": {"reason": "teapot"},
    }  # fmt: skip
