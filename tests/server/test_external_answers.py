"""Callbacks that an activity waits for, answered over HTTP by a program outside."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def callbacks_of(bench: Host, key: str, count: int = 1) -> dict[str, str]:
    """Ids of the callbacks that the machine shows, by name, once there are that many."""

    def shown() -> dict[str, str]:
        running = bench.snapshot("Signing", key).get("activities", [])
        found = {one["name"]: one["id"] for activity in running for one in activity.get("callbacks", [])}
        return found if len(found) == count else {}

    return wait_until(shown, what="the callbacks to be shown")


@pytest.mark.parametrize("how", ["wait", "wait_alone"])
def test_an_external_answer_is_the_result_of_the_callback(bench: Host, how: str) -> None:
    work = bench.key("signed")
    bench.server.send("Signing", work, how, {})

    bench.answer(callbacks_of(bench, work)["signature"], "resolve", '{"by": "Ada"}')

    assert bench.wait_in("Signing", work, "over")["data"]["result"] == "{'by': 'Ada'}"
    bench.settled()
    assert bench.stored("Signing.callbacks", work) == {}


def test_an_external_answer_reaches_an_activity_after_service_and_server_were_killed(bench: Host) -> None:
    work = bench.key("signed")
    bench.receipt("Signing", work, "wait", {})
    id = callbacks_of(bench, work)["signature"]

    bench.served.kill()
    bench.server.kill()
    bench.server.start()
    bench.served.restart()
    assert callbacks_of(bench, work) == {"signature": id}
    bench.answer(id, "resolve", "[1]")

    assert bench.wait_in("Signing", work, "over")["data"]["result"] == "[1]"
    bench.answer(id, "resolve", "[2]")  # is accepted, and changes nothing
    bench.settled()
    assert bench.snapshot("Signing", work)["data"]["result"] == "[1]"


def test_a_rejected_callback_is_an_error_of_the_activity(bench: Host) -> None:
    work = bench.key("signed")
    bench.receipt("Signing", work, "wait", {})

    bench.answer(callbacks_of(bench, work)["signature"], "reject", "cancelled")

    assert bench.wait_in("Signing", work, "failed")["data"]["error"] == {
        "type": "CallbackRejected", "message": "callback 'signature' was rejected: cancelled", "code": 500,
        "metadata": {"callback": "signature"},
    }  # fmt: skip


@pytest.mark.parametrize("body", ["no JSON", "NaN", '"\\ud83d"'])
def test_an_answer_that_is_not_valid_json_is_an_error_of_the_activity(bench: Host, body: str) -> None:
    work = bench.key("signed")
    bench.receipt("Signing", work, "wait", {})

    bench.answer(callbacks_of(bench, work)["signature"], "resolve", body)

    error = bench.wait_in("Signing", work, "failed")["data"]["error"]
    assert error["type"] == "CallbackUnreadable"
    assert error["message"].startswith("the answer to callback 'signature' cannot be read: ")


def test_a_callback_that_times_out_is_an_error_of_the_activity(bench: Host) -> None:
    work = bench.key("signed")

    began = time.monotonic()
    bench.receipt("Signing", work, "hurry", {})

    error = bench.wait_in("Signing", work, "failed")["data"]["error"]
    assert time.monotonic() - began >= 0.4
    assert (error["type"], error["metadata"]) == ("CallbackTimeout", {"callback": "signature"})
    bench.settled()
    assert bench.stored("Signing.callbacks", work) == {}


def test_the_id_of_a_callback_can_be_sent_out_before_the_activity_waits_for_it(bench: Host) -> None:
    work = bench.key("signed")
    bench.receipt("Signing", work, "ask_two", {"effect": work})
    sent = bench.wait_for_effect(work)
    ids = callbacks_of(bench, work, 2)
    assert ids["first"] == sent

    bench.answer(ids["second"], "resolve", "2")
    bench.answer(ids["first"], "resolve", "1")

    assert bench.wait_in("Signing", work, "over")["data"]["result"] == "[1, 2]"


def test_a_callback_that_was_answered_is_not_shown_while_the_activity_waits_for_another(bench: Host) -> None:
    work = bench.key("signed")
    bench.receipt("Signing", work, "ask_two", {"effect": work})
    ids = callbacks_of(bench, work, 2)

    bench.answer(ids["first"], "resolve", "1")

    assert callbacks_of(bench, work, 1) == {"second": ids["second"]}
    bench.answer(ids["second"], "resolve", "2")
    assert bench.wait_in("Signing", work, "over")["data"]["result"] == "[1, 2]"


def test_a_callback_is_forgotten_when_its_state_is_left(bench: Host) -> None:
    work = bench.key("signed")
    bench.receipt("Signing", work, "wait", {})
    id = callbacks_of(bench, work)["signature"]

    bench.receipt("Signing", work, "leave")
    bench.settled()
    bench.answer(id, "resolve", '"too late"')

    assert bench.snapshot("Signing", work)["configuration"] == ["idle"]
    assert bench.stored("Signing.callbacks", work) == {}
