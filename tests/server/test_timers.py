"""Timers: perhaps late, never early, never twice, and cancelled with their state."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from durable_fsm.testing import wait_until
from tests.server.ticking_charts import TICK

if TYPE_CHECKING:
    from durable_fsm.admin.client import Row
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

SHORT = timedelta(milliseconds=400)


def deliveries(host: Host, chart: str, key: str) -> list[str]:
    """Status of every delivery to the machine, oldest first."""
    return [row["status"] for row in host.invocations(chart, key, target_handler_name="_deliver")]


def outcomes(host: Host, chart: str, key: str) -> list[str]:
    """The outcomes of the completed deliveries to the machine."""
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


def test_each_timer_in_the_snapshot_has_one_scheduled_delivery(host: Host) -> None:
    cellar = host.key("cellar")

    host.receipt("Cellar", cellar, "fill")

    timers = host.snapshot("Cellar", cellar)["timers"]
    assert [timer["event"] for timer in timers] == ["taste", "forget"]
    assert len(host.scheduled("Cellar", cellar)) == len(timers)
    assert sorted(json.loads(host.stored("Cellar", cellar)["handles"])) == sorted(timer["token"] for timer in timers)


def test_the_sends_of_timers_are_cancelled_when_their_state_is_left(host: Host) -> None:
    cellar = host.key("cellar")
    host.receipt("Cellar", cellar, "fill")

    host.receipt("Cellar", cellar, "clear")

    wait_until(lambda: not host.scheduled("Cellar", cellar), what="the end of all timers")
    assert host.snapshot("Cellar", cellar)["timers"] == []
    assert json.loads(host.stored("Cellar", cellar)["handles"]) == {}


def test_entering_a_state_again_cancels_its_timers_and_arms_new_ones(host: Host) -> None:
    cellar = host.key("cellar")
    host.receipt("Cellar", cellar, "fill")
    before = {row["id"] for row in host.scheduled("Cellar", cellar)}

    host.receipt("Cellar", cellar, "start_again")

    wait_until(lambda: len(host.scheduled("Cellar", cellar)) == 2, what="the old timers' end")
    assert not before & {row["id"] for row in host.scheduled("Cellar", cellar)}


def test_a_timer_counts_from_the_last_entry_of_its_state(host: Host) -> None:
    oven, sent = _started_again(host)

    baked = host.wait_in("Oven", oven, "baked")

    assert time.monotonic() - sent >= SHORT.total_seconds()
    assert baked["data"] == {"count": 1}


def _started_again(host: Host) -> tuple[str, float]:
    """An oven that was started again while it baked, and when; on a busy machine one may be ready too soon."""
    while True:
        oven = host.key("oven")
        host.receipt("Oven", oven, "bake")
        sent = time.monotonic()
        if host.post("Oven", oven, "start_again").status_code == 200:
            return oven, sent


def test_a_short_timer_that_was_not_cancelled_is_dropped_when_it_arrives(host: Host) -> None:
    oven = host.key("oven")
    host.receipt("Forgetful", oven, "bake")
    host.receipt("Forgetful", oven, "open")
    host.receipt("Forgetful", oven, "bake")

    host.wait_in("Forgetful", oven, "baked")

    assert sorted(outcomes(host, "Forgetful", oven)) == ["stale", "taken"]
    assert "handles" not in host.stored("Forgetful", oven)


def test_timers_of_an_earlier_life_change_nothing(host: Host) -> None:
    oven = host.key("oven")
    host.receipt("Forgetful", oven, "bake")
    host.receipt("Forgetful", oven, "delete")
    created = host.receipt("Forgetful", oven, "create")
    before = host.stored("Forgetful", oven)

    wait_until(lambda: deliveries(host, "Forgetful", oven) == ["completed"], what="the old timer's arrival")

    assert created["outcome"] == "created"
    assert outcomes(host, "Forgetful", oven) == ["stale"]
    assert host.stored("Forgetful", oven) == before


def test_a_timer_of_a_deleted_machine_does_not_start_it_again(host: Host) -> None:
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


def test_events_that_a_machine_sends_itself_are_taken_in_order_and_when_due(host: Host) -> None:
    talk, lecture = host.key("talk"), host.key("lecture")

    receipt = host.receipt("Talkative", lecture, "lecture")

    machine = host.snapshot("Talkative", lecture)
    assert receipt["seq"] == machine["seq"] == 4  # entered, lecture with what it raised, two sends
    assert machine["data"]["log"] == ["raised", "sent first", "sent second"]
    assert [timer["id"] for timer in machine["timers"]] == ["later"]
    host.receipt("Talkative", talk, "talk")
    wait_until(lambda: host.snapshot("Talkative", talk)["data"]["log"][-1] == "much later", what="the last word")
    assert deliveries(host, "Talkative", talk) == ["completed"]


def test_timers_survive_a_kill_of_service_and_server(host: Host) -> None:
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


# ── computed, set to an instant, recurring, renewed ───────────────────────────────────────────────────────────────────


def test_a_computed_timer_takes_its_duration_from_the_data(host: Host) -> None:
    sleeper, clock = host.key("clock"), host.key("clock")
    host.receipt("Clock", sleeper, "nap", {"seconds": 500})
    sent = time.monotonic()
    host.receipt("Clock", clock, "nap", {"seconds": 0.5})

    [timer] = host.snapshot("Clock", sleeper)["timers"]
    assert (timer["event"], timer["after_ms"]) == ("wake", 500_000)
    host.wait_in("Clock", clock, "rung")
    assert time.monotonic() - sent >= 0.5


def test_a_timer_fires_at_an_instant(host: Host) -> None:
    sleeper, clock = host.key("clock"), host.key("clock")
    at, soon = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) + timedelta(seconds=1)
    host.receipt("Clock", sleeper, "nap", {"at": at.isoformat()})
    host.receipt("Clock", clock, "nap", {"at": soon.isoformat()})

    [timer] = host.snapshot("Clock", sleeper)["timers"]
    assert (timer["event"], datetime.fromisoformat(timer["at"])) == ("ring", at)
    assert abs(datetime.fromisoformat(timer["due"]) - at) < timedelta(milliseconds=2)
    host.served.restart()
    host.wait_in("Clock", clock, "rung")
    assert datetime.now(UTC) >= soon


def test_a_timer_for_an_instant_in_the_past_fires_at_once(host: Host) -> None:
    clock = host.key("clock")
    host.receipt("Clock", clock, "nap", {"at": "2001-01-01T00:00:00+00:00"})

    host.wait_in("Clock", clock, "rung")


def test_a_recurring_timer_fires_until_its_state_is_left(host: Host) -> None:
    clock, sent = host.key("clock"), time.monotonic()
    host.receipt("Clock", clock, "begin")

    wait_until(lambda: host.snapshot("Clock", clock)["data"]["beats"] >= 2, what="two beats")
    host.served.restart()
    wait_until(lambda: host.snapshot("Clock", clock)["data"]["beats"] >= 4, what="two more")
    assert time.monotonic() - sent >= 4 * 0.2
    host.receipt("Clock", clock, "stop")
    wait_until(lambda: not host.scheduled("Clock", clock), what="the end of the timer")

    beats = host.snapshot("Clock", clock)["data"]["beats"]
    assert outcomes(host, "Clock", clock).count("taken") == beats
    assert host.snapshot("Clock", clock)["timers"] == []


def test_a_renewed_timer_starts_again_from_now(host: Host) -> None:
    clock, renewed, tokens = _renewed(host)

    host.wait_in("Clock", clock, "rung")

    assert len(tokens) == 2
    assert time.monotonic() - renewed >= 1


def _renewed(host: Host) -> tuple[str, float, set[str]]:
    """A clock whose timer was renewed, when that was, and the tokens before and after.

    On a busy machine a timer may fire too soon; then there is another clock.
    """
    while True:
        clock = host.key("clock")
        host.receipt("Clock", clock, "rest")
        before = host.snapshot("Clock", clock)["timers"]
        renewed = time.monotonic()
        answer = host.post("Clock", clock, "touch")
        again = host.snapshot("Clock", clock)["timers"]
        if before and answer.status_code == 200 and again:
            return clock, renewed, {timer["token"] for timer in (*before, *again)}


# ── many ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _napping(host: Host, count: int) -> tuple[list[str], datetime]:
    """So many clocks that all wait for one instant, which is still to come: on a busy machine they get more time."""
    patience = timedelta(seconds=4 + count / 100)
    while True:
        clocks = [host.key("clock") for _ in range(count)]
        at = datetime.now(UTC) + patience
        body = {"at": at.isoformat()}
        for place in range(0, count, 100):
            answers = host.together([("Clock", clock, "nap", body) for clock in clocks[place : place + 100]])
            assert {answer.status_code for answer in answers} == {200}
        if datetime.now(UTC) < at:
            return clocks, at
        patience *= 3


def test_every_timer_of_many_machines_fires_once_and_not_early_although_the_server_is_killed(
    awake: Host, scale: int
) -> None:
    """A thousand machines at SCALE=10, otherwise two hundred; the server is killed while all of them wait."""
    host, count = awake, max(200, 100 * scale)
    clocks, at = _napping(host, count)

    host.server.kill()
    host.server.start()

    names = ", ".join(f"'{clock}'" for clock in clocks)
    asked = (
        "SELECT target_service_key AS key, created_at, completed_at, scheduled_start_at FROM sys_invocation"
        f" WHERE target_service_name = 'Clock' AND target_handler_name = '_deliver' AND target_service_key IN ({names})"
    )

    def delivered() -> list[Row]:
        found = host.server.query(asked)
        return found if len(found) >= count and all(row.get("completed_at") for row in found) else []

    rows = wait_until(delivered, timedelta(seconds=60 + count / 2), "all timers to be delivered")
    late = sorted((datetime.fromisoformat(row["completed_at"]) - at).total_seconds() for row in rows)
    print(
        f"{len(rows)} timers, seconds late: least {late[0]:.3f}, median {late[len(late) // 2]:.3f}, most {late[-1]:.3f}"
    )
    assert sorted(row["key"] for row in rows) == sorted(clocks)
    assert late[0] >= 0
    for clock in clocks[:: max(1, count // 50)]:
        assert host.snapshot("Clock", clock)["configuration"] == ["rung"]
    rung = host.server.query(
        f"SELECT count(*) AS n FROM state WHERE service_name = 'Clock' AND service_key IN ({names})"
        ' AND value_utf8 LIKE \'%"configuration":["rung"]%\''
    )
    assert rung == [{"n": count}]


# ── again and again ───────────────────────────────────────────────────────────────────────────────────────────────────


def due(host: Host, chart: str, key: str) -> dict[str, datetime]:
    """When the timers of a machine are due."""
    timers = host.snapshot(chart, key)["timers"]
    return {timer["event"]: datetime.fromisoformat(timer["due"]) for timer in timers}


def test_ticks_keep_their_phase_whatever_was_late(host: Host) -> None:
    metronome, gong = host.key("metronome"), host.key("gong")
    for chart, key in (("Metronome", metronome), ("Gong", gong)):
        host.post(chart, key, "create", {})
    first = due(host, "Metronome", metronome)["tick"], due(host, "Gong", gong)["ring"]
    wait_until(lambda: host.snapshot("Metronome", metronome)["data"]["count"] > 1, what="two ticks")

    host.served.kill()
    stopped = datetime.now(UTC)
    host.served.restart()
    counted = host.snapshot("Metronome", metronome)["data"]["count"]
    wait_until(lambda: host.snapshot("Metronome", metronome)["data"]["count"] > counted + 2, what="more ticks")
    later = due(host, "Metronome", metronome)["tick"]
    wait_until(lambda: due(host, "Gong", gong)["ring"] > stopped, what="the ticks that were missed")
    rung = due(host, "Gong", gong)["ring"]

    taken = [
        entry
        for entry in host.post("Gong", gong, "history", {"last": 100}).json()["entries"]
        if entry["event"] == "ring"
    ]
    assert (later - first[0]) % TICK == timedelta(0)
    assert (rung - first[1]) % TICK == timedelta(0)
    assert len(taken) >= (rung - first[1]) // TICK
    host.receipt("Metronome", metronome, "stop")
    host.receipt("Gong", gong, "switch_off")


def test_the_next_instant_of_a_calendar_is_in_the_snapshot(host: Host) -> None:
    bell = host.key("bell")

    before = datetime.now(UTC)
    host.post("Bell", bell, "create", {})
    found = due(host, "Bell", bell)
    after = datetime.now(UTC)

    minute = timedelta(minutes=1)
    assert found["ring"] - minute <= after
    assert before < found["ring"]
    assert (found["ring"].second, found["ring"].microsecond) == (0, 0)
    closing = found["close"].astimezone(ZoneInfo("Europe/Berlin"))
    assert (closing.hour, closing.minute, closing.weekday() < 5) == (18, 0, True)
    assert host.receipt("Bell", bell, "take_down")["configuration"] == ["down"]
