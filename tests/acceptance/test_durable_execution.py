"""R01, durable execution: a payment and any number of subscriptions are each done once, despite kills."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from durable_fsm.testing import Rehearsal
from machines.durable_execution.machine import Subscribe
from tests.acceptance.applications import Stage, edges, hosted, staged

pytestmark = pytest.mark.server

RUN = "SubscriptionService.flow/run"


stage_awake, stage_replaying, stage = hosted("stage", partial(staged, "durable_execution"))


def wanted(user: str, *subscriptions: str, card: str = "5555") -> dict[str, Any]:
    return {"user_id": user, "credit_card": card, "subscriptions": list(subscriptions)}


def test_each_step_is_done_once_although_steps_fail_and_the_service_is_killed(stage_awake: Stage) -> None:
    stage_awake.outside.trouble("/payments", times=2)
    stage_awake.outside.withhold("/subscriptions", after=1)

    with ThreadPoolExecutor() as caller:
        asked = caller.submit(stage_awake.post, RUN, wanted("ada", "news", "chess", "tea"), idempotency_key="ada")
        stage_awake.outside.wait_done("/subscriptions", user_id="ada", subscription="chess")
        stage_awake.restart()
        answer = asked.result()

    assert (answer.status_code, answer.json()["subscriptions"]) == (200, 3)
    [payment, *subscriptions] = stage_awake.outside.done(user_id="ada")
    assert payment["path"] == "/payments"
    assert [one["body"]["subscription"] for one in subscriptions] == ["news", "chess", "tea"]
    ids = {one["body"]["payment_id"] for one in (payment, *subscriptions)}
    assert ids == {payment["key"]}

    again = stage_awake.post(RUN, wanted("ada", "news", "chess", "tea"), idempotency_key="ada")
    assert again.json() == answer.json()
    assert len(stage_awake.outside.done(user_id="ada")) == 4


def test_a_declined_card_is_reported_to_the_caller_and_nothing_is_subscribed(stage: Stage) -> None:
    answer = stage.post(RUN, wanted("eve", "news", card="4000"))

    assert (answer.status_code, answer.json()["message"]) == (402, "the card was declined")
    assert stage.outside.done(user_id="eve") == []


def test_the_payment_stays_if_a_subscription_is_refused_for_good(stage: Stage) -> None:
    stage.outside.trouble("/subscriptions", status=410, reason="sold out")

    answer = stage.post(RUN, wanted("bob", "news", "chess"))

    assert (answer.status_code, answer.json()["message"]) == (410, "sold out")
    assert [one["path"] for one in stage.outside.done(user_id="bob")] == ["/payments"]


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    assert edges(Subscribe) == [
        ("paying", "done.invoke.paying", ("subscribing",)),
        ("paying", "done.invoke.paying", ("done",)),
        ("paying", "error.invoke.paying", ("failed",)),
        ("subscribing", "done.invoke.subscribing", ("subscribing",)),
        ("subscribing", "done.invoke.subscribing", ("done",)),
        ("subscribing", "error.invoke.subscribing", ("failed",)),
    ]


def test_the_server_does_what_the_rehearsal_does(stage: Stage) -> None:
    asked: list[str] = []
    answers = {"paying": lambda data: asked.append("pay") or "payment", "subscribing": lambda data: asked.append("sub")}
    rehearsal = Rehearsal(Subscribe, answers=answers)
    rehearsal.create(wanted("told", "news", "chess"))
    assert (rehearsal.configuration, asked) == (("done",), ["pay", "sub", "sub"])

    stage.post(RUN, wanted("told", "news", "chess"), idempotency_key="told")

    journal = stage.server.query(
        "SELECT j.entry_type AS kind FROM sys_journal j JOIN sys_invocation i ON i.id = j.id WHERE"
        " i.target_service_name = 'SubscriptionService.flow' AND i.idempotency_key = 'told' ORDER BY j.index"
    )
    commands = [row["kind"].removeprefix("Command: ") for row in journal if row["kind"].startswith("Command: ")]
    assert (commands.count("Call"), commands[-1]) == (len(asked), "Output")


def test_restate_has_completed_the_requests(stage: Stage) -> None:
    stage.post(RUN, wanted("asked", "news"), idempotency_key="asked")
    stage.post(RUN, wanted("denied", card="4000"), idempotency_key="denied")

    rows = stage.server.query(
        "SELECT idempotency_key, completion_result, completion_failure FROM sys_invocation WHERE status = 'completed'"
        " AND target_service_name = 'SubscriptionService.flow' AND idempotency_key IN ('asked', 'denied')"
    )
    found = {row["idempotency_key"]: row for row in rows}
    assert found["asked"]["completion_result"] == "success"
    assert "the card was declined" in found["denied"]["completion_failure"]


def test_the_commands_of_the_readme_do_what_it_says(stage: Stage) -> None:
    first, again, refused = stage.run_readme({"ada": "page", "s-1": "page-1"})

    assert (first, first["subscriptions"]) == (again, 2)
    assert refused["message"] == "the card was declined"
    assert [one["path"] for one in stage.outside.done(user_id="page")] == [
        "/payments",
        "/subscriptions",
        "/subscriptions",
    ]
