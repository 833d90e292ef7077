"""Deferred events: taken in order once their machine can take them, despite crashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from durable_fsm.core.step import MOST_DEFERRED_BYTES
from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def test_deferred_events_are_taken_in_order_and_once_across_crashes(host: Host) -> None:
    desk = host.key("desk")
    host.receipt("Desk", desk, "begin")
    for number in range(3):
        assert host.receipt("Desk", desk, "ask", f"{number}")["outcome"] == "deferred"
        host.served.restart()

    rested = host.receipt("Desk", desk, "rest")

    assert rested["configuration"] == ["free"]
    machine = host.snapshot("Desk", desk)
    assert machine["data"]["asked"] == ["0", "1", "2"]
    assert machine["deferred"] == []


def test_deferred_events_survive_a_kill_of_the_server(awake: Host) -> None:
    host, desk = awake, awake.key("desk")
    host.receipt("Desk", desk, "begin")
    host.receipt("Desk", desk, "ask", "first")

    host.server.kill()
    host.server.start()

    host.receipt("Desk", desk, "rest")
    assert host.snapshot("Desk", desk)["data"]["asked"] == ["first"]


def test_the_payload_of_a_deferred_event_is_checked_when_it_is_sent(host: Host) -> None:
    desk = host.key("desk")
    host.receipt("Desk", desk, "begin")

    assert host.post("Desk", desk, "ask", 7).status_code == 422
    assert host.snapshot("Desk", desk)["deferred"] == []


def test_a_listed_event_is_ignored_and_an_unlisted_one_is_rejected(host: Host) -> None:
    desk = host.key("desk")
    assert host.receipt("Desk", desk, "hum")["outcome"] == "ignored"
    assert host.receipt("Desk", desk, "begin")["outcome"] == "taken"

    assert host.receipt("Desk", desk, "begin")["outcome"] == "ignored"
    assert host.receipt("Desk", desk, "hum")["outcome"] == "deferred"
    assert host.post("Desk", desk, "forbidden").status_code == 409


def test_a_snapshot_says_which_events_would_be_deferred_or_ignored(host: Host) -> None:
    desk = host.key("desk")
    host.receipt("Desk", desk, "begin")

    accepts = {event["event"]: event["accepts"] for event in host.snapshot("Desk", desk)["events"]}

    assert accepts == {
        "ask": "deferred",
        "begin": "ignored",
        "close": "deferred",
        "forbidden": "no",
        "hum": "deferred",
        "rest": "yes",
        "stumble": "deferred",
    }


def test_a_machine_defers_only_so_many_events(awake: Host) -> None:
    host, desk = awake, awake.key("desk")
    host.receipt("Desk", desk, "begin")
    long = "x" * (MOST_DEFERRED_BYTES // 10 - 2)
    answers = host.together([("Desk", desk, "ask", long)] * 13)

    assert sorted(answer.status_code for answer in answers) == [200] * 10 + [429] * 3
    refused = next(answer.json() for answer in answers if answer.status_code == 429)
    assert refused["metadata"]["type"] == "TooManyDeferred"
    host.receipt("Desk", desk, "rest")
    assert len(host.snapshot("Desk", desk)["data"]["asked"]) == 10


def test_the_end_of_a_machine_drops_its_deferred_events(host: Host) -> None:
    desk = host.key("desk")
    host.receipt("Desk", desk, "begin")
    host.receipt("Desk", desk, "close")
    host.receipt("Desk", desk, "ask", "too late")

    assert host.receipt("Desk", desk, "rest")["status"] == "done"

    assert host.snapshot("Desk", desk)["deferred"] == []
    dropped = host.receipt("Desk", desk, "history", {"last": 1})["entries"][0]
    assert (dropped["event"], dropped["outcome"], dropped["error"]["type"]) == ("ask", "rejected", "Finished")


def test_an_event_without_effect_is_answered_and_an_unknown_one_too_if_the_chart_says_so(ends: Host) -> None:
    fish, long = ends.key("fish"), ends.key("long")

    swum = ends.receipt("Fish", fish, "send", {"event": "swim", "payload": {"far": True}})
    pinged = ends.receipt("Long", long, "ping")

    assert (swum["outcome"], swum["configuration"]) == ("ignored", ["fresh"])
    assert (pinged["outcome"], pinged["configuration"]) == ("ignored", ["open"])
    assert ends.post("Long", long, "send", {"event": "pong"}).status_code == 404


def test_an_event_that_is_deferred_for_too_long_is_dropped_and_who_waits_for_it_is_told(host: Host) -> None:
    desk = host.key("desk")
    host.receipt("HurriedDesk", desk, "begin")
    assert host.receipt("HurriedDesk", desk, "ask", "first")["outcome"] == "deferred"

    waited = host.post("HurriedDesk", desk, "wait_for", {"event": "ask", "payload": "second", "any": [{"taken": True}]})
    wait_until(lambda: not host.snapshot("HurriedDesk", desk)["deferred"], what="the time to be over")
    host.receipt("HurriedDesk", desk, "rest")
    asked = host.receipt("HurriedDesk", desk, "ask", "third")

    assert (waited.status_code, waited.json()["metadata"]["type"]) == (408, "DeferredTooLong")
    machine = host.snapshot("HurriedDesk", desk)
    assert (asked["outcome"], machine["data"]["asked"], machine["timers"]) == ("taken", ["third"], [])
    entries = host.receipt("HurriedDesk", desk, "history", {"last": 9})["entries"]
    told = [entry["error"]["type"] for entry in entries if entry["outcome"] == "rejected"]
    assert told == ["DeferredTooLong", "DeferredTooLong"]
