"""R02, building blocks: one machine uses each of them on the real server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest

from durable_fsm import chart_from
from durable_fsm.testing import Rehearsal, wait_until
from machines.building_blocks.machine import Blocks, Subscription
from tests.acceptance.applications import PATIENCE, Stage, hosted, rehearsed, staged

pytestmark = pytest.mark.server

SECONDS = 1.5
"""How long the machine waits and sleeps in these tests; five seconds by default."""


stage_awake, stage_replaying, stage = hosted(
    "stage", partial(staged, "building_blocks", env={"BLOCKS_SECONDS": str(SECONDS)})
)


def begin(stage: Stage, key: str) -> str:
    """Run a machine until it waits for its callback, and return the id to answer."""
    stage.post(f"BuildingBlocks/{key}/run", {"subscription": f"sub-{key}"}, idempotency_key=key).raise_for_status()
    wait_for(stage, key, "awaiting_callback")
    found: list[str] = wait_until(lambda: callbacks(stage, key), PATIENCE, "the callback to be seen")
    return found[0]


def callbacks(stage: Stage, key: str) -> list[str]:
    running = snapshot(stage, key)["activities"]
    return [one["id"] for activity in running for one in activity.get("callbacks", [])]


def snapshot(stage: Stage, key: str) -> dict[str, Any]:
    found: dict[str, Any] = stage.server.call("BuildingBlocks", key, "snapshot")
    return found


def wait_for(stage: Stage, key: str, state: str) -> None:
    answer = stage.post(f"BuildingBlocks/{key}/wait_for", {"state": state, "timeout": "20s"})
    assert answer.status_code == 200, answer.text


def say(stage: Stage, callback: str, word: str) -> httpx.Response:
    return stage.post(f"restate/awakeables/{callback}/resolve", word)


def test_every_block_works_although_the_service_is_killed_while_the_machine_sleeps(stage_awake: Stage) -> None:
    callback = begin(stage_awake, "all")
    assert say(stage_awake, callback, "hello").status_code == 202
    wait_for(stage_awake, "all", "sleeping")
    assert say(stage_awake, callback, "too late").status_code == 202
    stage_awake.restart()
    wait_for(stage_awake, "all", "done")

    data = snapshot(stage_awake, "all")["data"]
    assert (data["word"], data["trouble"]) == ("hello", "")
    assert len(stage_awake.outside.done("/subscriptions", subscription="sub-all")) == 2
    [charge] = stage_awake.outside.done("/charges", machine="all")
    assert charge["body"]["word"] == "hello"
    assert charge["key"].startswith("BuildingBlocks/all/")
    assert data["receipt"] == charge["answer"]["receipt"]


def test_a_message_for_tomorrow_is_scheduled_in_restate(stage: Stage) -> None:
    begin(stage, "tomorrow")

    scheduled = stage.server.query(
        "SELECT target_handler_name AS handler, scheduled_at, scheduled_start_at AS start FROM sys_invocation"
        " WHERE status = 'scheduled' AND target_service_key = 'tomorrow' AND target_service_name = 'BuildingBlocks'"
    )
    due = [datetime.fromisoformat(row["start"]).replace(tzinfo=UTC) for row in scheduled]
    assert any(abs(one - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=1) for one in due), scheduled
    assert "end" in [timer["event"] for timer in snapshot(stage, "tomorrow")["timers"]]


def test_a_callback_without_an_answer_times_out(stage: Stage) -> None:
    begin(stage, "silent")
    wait_for(stage, "silent", "timed_out")

    assert callbacks(stage, "silent") == []
    assert stage.outside.done("/charges", machine="silent") == []


def test_a_repeated_request_gets_the_same_answer_and_does_nothing(stage: Stage) -> None:
    first = stage.post("BuildingBlocks/twice/run", {"subscription": "sub-twice"}, idempotency_key="twice")
    again = stage.post("BuildingBlocks/twice/run", {"subscription": "sub-twice"}, idempotency_key="twice")

    assert (first.status_code, again.content) == (200, first.content)
    wait_for(stage, "twice", "timed_out")
    assert len(stage.outside.done("/subscriptions", subscription="sub-twice")) == 2


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    edges = {(edge.source, edge.targets) for edge in chart_from(Blocks).transitions}

    assert edges >= {
        ("new", ("calling",)),
        ("calling", ("messaging",)),
        ("messaging", ("awaiting_callback",)),
        ("awaiting_callback", ("sleeping",)),
        ("awaiting_callback", ("timed_out",)),
        ("sleeping", ("charging",)),
        ("charging", ("done",)),
    }


def test_the_server_does_what_the_rehearsal_does(stage: Stage) -> None:
    subscription = Rehearsal(Subscription, key="sub-told")
    rehearsal = Rehearsal(Blocks, key="told", beside=subscription)
    rehearsal.send("run", {"subscription": "sub-told"})
    subscription.finish("creating", "subscription-1")
    rehearsal.finish("awaiting_callback", "hello")
    rehearsal.advance(timedelta(minutes=1))
    rehearsal.finish("charging", "receipt-1")

    say(stage, begin(stage, "told"), "hello")
    wait_for(stage, "told", "done")

    recorded = [step for step in stage.recorded("BuildingBlocks", "told") if any(step)]
    assert recorded == [step for step in rehearsed(rehearsal) if any(step)]


def test_restate_has_completed_the_requests(stage: Stage) -> None:
    say(stage, begin(stage, "asked"), "hello")
    wait_for(stage, "asked", "done")

    done = stage.server.query(
        "SELECT target_service_name AS service, target_handler_name AS handler FROM sys_invocation WHERE"
        " status = 'completed' AND completion_result = 'success' AND target_service_key IN ('asked', 'sub-asked')"
    )
    assert {("BuildingBlocks", "run"), ("SubscriptionService", "_mail")} <= {
        (row["service"], row["handler"]) for row in done
    }


def test_the_commands_of_the_readme_do_what_it_says(stage: Stage) -> None:
    ran, waited, shown = stage.run_readme({"news": "sub-page", "b-1": "page-1"})

    assert ran["configuration"] == ["calling"]
    assert "awaiting_callback" in waited["configuration"]
    [callback] = [one["id"] for activity in shown["activities"] for one in activity.get("callbacks", [])]
    assert callback.startswith("sign_1")
