"""Timers: late, never early, never twice, and gone with their state."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

SHORT = timedelta(milliseconds=400)


def deliveries(host: Host, chart: str, key: str) -> list[str]:
    """Status of every delivery to the machine, oldest first."""
    return [row["status"] for row in host.invocations(chart, key, target_handler_name="_deliver")]


def outcomes(host: Host, chart: str, key: str) -> list[str]:
    """What became of the completed deliveries to the machine."""
    rows = host.invocations(chart, key, target_handler_name="_deliver", status="completed")
    return [host.server.output(row["id"])["outcome"] for row in rows]


def test_a_timer_fires_once_and_not_early(host: Host) -> None:
    oven = host.key("oven")

    sent = time.monotonic()
    host.receipt("Oven", oven, "bake")
    baked = host.wait_in("Oven", oven, "baked")
    fired = time.monotonic()

    assert fired - sent >= SHORT.total_seconds()
    assert baked["data"] == {"count": 1}
    assert baked["timers"] == []
    assert deliveries(host, "Oven", oven) == ["completed"]
    assert outcomes(host, "Oven", oven) == ["taken"]


def test_as_many_deliveries_are_scheduled_as_timers_are_in_the_snapshot(host: Host) -> None:
    cellar = host.key("cellar")

    host.receipt("Cellar", cellar, "fill")

    timers = host.snapshot("Cellar", cellar)["timers"]
    assert [timer["event"] for timer in timers] == ["taste", "forget"]
    assert len(host.scheduled("Cellar", cellar)) == len(timers)
    assert sorted(json.loads(host.stored("Cellar", cellar)["handles"])) == sorted(timer["token"] for timer in timers)


def test_timers_are_cancelled_for_real_when_their_state_is_left(host: Host) -> None:
    cellar = host.key("cellar")
    host.receipt("Cellar", cellar, "fill")

    host.receipt("Cellar", cellar, "clear")

    wait_until(lambda: not host.scheduled("Cellar", cellar), what="the end of all timers")
    assert host.snapshot("Cellar", cellar)["timers"] == []
    assert json.loads(host.stored("Cellar", cellar)["handles"]) == {}


def test_entering_a_state_again_arms_its_timers_anew_and_cancels_the_old_ones(host: Host) -> None:
    cellar = host.key("cellar")
    host.receipt("Cellar", cellar, "fill")
    before = {row["id"] for row in host.scheduled("Cellar", cellar)}

    host.receipt("Cellar", cellar, "start_again")

    wait_until(lambda: len(host.scheduled("Cellar", cellar)) == 2, what="the old timers' end")
    assert not before & {row["id"] for row in host.scheduled("Cellar", cellar)}


def test_a_timer_counts_from_the_last_entry_of_its_state(host: Host) -> None:
    oven = host.key("oven")
    host.receipt("Oven", oven, "bake")

    sent = time.monotonic()
    host.receipt("Oven", oven, "start_again")
    baked = host.wait_in("Oven", oven, "baked")

    assert time.monotonic() - sent >= SHORT.total_seconds()
    assert baked["data"] == {"count": 1}


def test_a_timer_that_was_not_worth_cancelling_is_dropped_when_it_arrives(host: Host) -> None:
    oven = host.key("oven")
    host.receipt("Forgetful", oven, "bake")
    host.receipt("Forgetful", oven, "open")
    host.receipt("Forgetful", oven, "bake")

    host.wait_in("Forgetful", oven, "baked")

    assert sorted(outcomes(host, "Forgetful", oven)) == ["stale", "taken"]
    assert "handles" not in host.stored("Forgetful", oven)


def test_timers_of_a_former_life_touch_nothing(host: Host) -> None:
    oven = host.key("oven")
    host.receipt("Forgetful", oven, "bake")
    host.receipt("Forgetful", oven, "delete")
    created = host.receipt("Forgetful", oven, "create")
    before = host.stored("Forgetful", oven)

    wait_until(lambda: deliveries(host, "Forgetful", oven) == ["completed"], what="the old timer's arrival")

    assert created["outcome"] == "created"
    assert outcomes(host, "Forgetful", oven) == ["stale"]
    assert host.stored("Forgetful", oven) == before


def test_a_timer_of_a_deleted_machine_creates_nothing(host: Host) -> None:
    oven = host.key("oven")
    host.receipt("Forgetful", oven, "bake")
    host.receipt("Forgetful", oven, "delete")

    wait_until(lambda: deliveries(host, "Forgetful", oven) == ["completed"], what="the old timer's arrival")

    assert host.stored("Forgetful", oven) == {}


def test_deleting_a_machine_cancels_its_timers(host: Host) -> None:
    cellar = host.key("cellar")
    host.receipt("Cellar", cellar, "fill")

    host.receipt("Cellar", cellar, "delete")

    wait_until(lambda: not host.scheduled("Cellar", cellar), what="the end of all timers")
    assert host.stored("Cellar", cellar) == {}


def test_a_machine_sends_itself_events_at_once_in_order_and_later(host: Host) -> None:
    talk = host.key("talk")

    receipt = host.receipt("Talkative", talk, "talk")

    machine = host.snapshot("Talkative", talk)
    assert receipt["seq"] == machine["seq"] == 4  # entered, talk with what it raised, two sends
    assert machine["data"]["log"] == ["raised", "sent first", "sent second"]
    assert [timer["id"] for timer in machine["timers"]] == ["later"]
    wait_until(lambda: host.snapshot("Talkative", talk)["data"]["log"][-1] == "much later", what="the last word")
    assert deliveries(host, "Talkative", talk) == ["completed"]


def test_timers_survive_the_death_of_service_and_server(host: Host) -> None:
    ovens = [host.key("oven") for _ in range(4)]

    sent = time.monotonic()
    for oven in ovens:
        host.receipt("Oven", oven, "bake")
    host.served.kill()
    host.server.kill()
    host.server.start()
    host.served.restart()

    for oven in ovens:
        assert host.wait_in("Oven", oven, "baked")["data"] == {"count": 1}
    assert time.monotonic() - sent >= SHORT.total_seconds()
    host.settled()
    assert all(deliveries(host, "Oven", oven) == ["completed"] for oven in ovens)
