"""Data and payloads on the real server: nothing is lost between two steps, and clients are told what the machine keeps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def test_members_with_aliases_are_kept_shown_and_passed_on(host: Host) -> None:
    member = host.key("member")

    created = host.receipt("Member", member, "create", {"memberNumber": 7})
    renamed = host.receipt("Member", member, "rename", {"newName": "Ada"})
    host.receipt("Member", member, "adopt", {"givenName": "Rex"})
    told = host.receipt("Member", member, "tell")
    host.receipt("Member", member, "relay", {"newName": "Grace"})

    assert (created["outcome"], renamed["reply"], told["reply"]) == ("created", "Ada", "Ada")
    assert host.receipt("Member", member, "tell")["reply"] == "Grace"
    assert host.snapshot("Member", member)["data"] == {
        "memberNumber": 7,
        "nickName": "Grace",
        "petsOwned": [{"givenName": "Rex"}],
        "greetedAs": "",
    }


def test_an_activity_receives_and_returns_members_with_aliases(host: Host) -> None:
    member = host.key("member")
    host.receipt("Member", member, "create", {"memberNumber": 7, "nickName": "Ada"})

    host.receipt("Member", member, "greet")

    assert host.wait_in("Member", member, "greeted")["data"]["greetedAs"] == "Ada of 7"


def test_the_published_names_are_those_that_are_accepted(host: Host) -> None:
    member = host.key("member")
    host.receipt("Member", member, "create", {"memberNumber": 7})

    shown = {one["event"]: one["payload"] for one in host.snapshot("Member", member)["events"]}
    refused = host.post("Member", member, "rename", {"name": "Ada"})

    assert shown["rename"]["required"] == [*shown["rename"]["properties"]] == ["newName"]
    assert (refused.status_code, "at $.newName" in refused.text) == (422, True)


# ── defaults that differ from call to call ────────────────────────────────────────────────────────────────────────────


def test_random_defaults_are_drawn_once_and_the_client_is_told_what_the_machine_keeps(host: Host) -> None:
    raffle = host.key("raffle")

    number, id = host.receipt("Raffle", raffle, "place", {})["reply"]
    kept = host.snapshot("Raffle", raffle)["data"]
    noted = host.receipt("Raffle", raffle, "note", {})["reply"]

    assert (kept["number"], kept["latest"]) == (number, id)
    assert host.snapshot("Raffle", raffle)["data"] == {**kept, "latest": noted}


def test_a_created_machine_keeps_what_it_drew_beside_what_it_was_given(host: Host) -> None:
    raffle = host.key("raffle")
    host.receipt("Raffle", raffle, "create", {"heads": True})
    drawn = host.snapshot("Raffle", raffle)["data"]

    assert host.receipt("Raffle", raffle, "create", {"heads": True})["outcome"] == "exists"
    assert host.receipt("Raffle", raffle, "place", {})["reply"][0] == drawn["number"]
    assert drawn["heads"] is True


def test_guards_decide_alike_however_often_the_step_runs(host: Host) -> None:
    raffles = [host.key("raffle") for _ in range(6)]

    placed = host.together([("Raffle", raffle, "place", {}) for raffle in raffles])
    flipped = host.together([("Raffle", raffle, "flip", None) for raffle in raffles])

    assert {answer.status_code for answer in (*placed, *flipped)} == {200}
    for raffle in raffles:
        seen = host.snapshot("Raffle", raffle)
        won = seen["data"]["heads"]
        assert (seen["configuration"], len(seen["timers"])) == ((["won"], 1) if won else (["lost"], 2))


def test_a_deferred_payload_keeps_the_default_that_it_drew_when_it_arrived(host: Host) -> None:
    raffle = host.key("raffle")
    host.receipt("Raffle", raffle, "create")
    host.receipt("Raffle", raffle, "note", {})
    (kept,) = host.snapshot("Raffle", raffle)["deferred"]

    host.receipt("Raffle", raffle, "place", {})

    assert host.snapshot("Raffle", raffle)["data"]["latest"] == kept["payload"]["id"]


def test_a_child_and_a_machine_without_a_type_draw_once_too(host: Host) -> None:
    raffle, plainly = host.key("raffle"), host.key("plainly")
    host.receipt("Raffle", raffle, "place", {})
    host.receipt("Raffle", raffle, "ship")
    told = host.receipt("Plainly", plainly, "place")["reply"]

    (child,) = host.snapshot("Raffle", raffle)["machines"]
    arrived = host.receipt("Prize", child["key"], "arrive")

    assert host.snapshot("Prize", child["key"])["output"] == host.snapshot("Prize", child["key"])["data"]["number"]
    assert arrived["status"] == "done"
    assert host.snapshot("Plainly", plainly)["data"] == {"number": told}


def test_a_message_that_leaves_such_a_default_open_is_refused(host: Host) -> None:
    raffle = host.key("raffle")
    host.receipt("Raffle", raffle, "place", {})

    refused = host.post("Raffle", raffle, "tell")

    assert refused.status_code == 500
    assert (
        "expected a value, because the default differs whenever the step runs (use ids.uuid()) at $.id" in refused.text
    )


def test_a_drawn_default_costs_one_entry_of_the_journal_and_other_values_none(host: Host) -> None:
    drawn = host.post("Raffle", host.key("raffle"), "create")
    given = host.post("Raffle", host.key("raffle"), "create", {"number": "1", "heads": False})

    assert host.journal(drawn.headers["x-restate-id"]) == ["Input", "GetEagerState", "Run", "SetState", "Output"]
    assert host.journal(given.headers["x-restate-id"]) == ["Input", "GetEagerState", "SetState", "Output"]


# ── nested too deeply, and numbers that JSON cannot express ───────────────────────────────────────────────────────────


@pytest.mark.parametrize("levels", [101, 220, 400, 2_000])
def test_a_result_that_is_nested_too_deep_is_a_failure_of_its_activity(host: Host, levels: int) -> None:
    mine = host.key("mine")

    host.receipt("Mine", mine, "dig", levels)

    told = host.wait_in("Mine", mine, "failed")["data"]["told"]
    assert told == "the result cannot be written as JSON: it is nested more than 100 levels deep."


def test_a_result_that_is_nested_as_deep_as_it_may_arrives(host: Host) -> None:
    mine = host.key("mine")

    host.receipt("Mine", mine, "dig", 100)

    assert host.wait_in("Mine", mine, "found")["data"]["levels"] == 100


@pytest.mark.parametrize("event", ["answer", "post", "keep"])
@pytest.mark.parametrize("levels", [250, 2_000])
def test_a_callback_that_makes_something_nested_too_deep_is_told(host: Host, event: str, levels: int) -> None:
    mine = host.key("mine")
    host.receipt("Mine", mine, "create")
    before = host.stored("Mine", mine)

    answer = host.post("Mine", mine, event, levels)

    if event == "keep":
        assert (answer.status_code, host.stored("Mine", mine)) == (500, before)
        assert "ActionError" in answer.text
    else:
        assert host.snapshot("Mine", mine)["data"]["told"].endswith("it is nested more than 100 levels deep")


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_number_that_json_cannot_express_is_refused_with_its_path(host: Host, number: str) -> None:
    mine = host.key("mine")
    host.receipt("Mine", mine, "create")

    refused = host.post("Mine", mine, "lose", number)

    assert refused.status_code == 500
    assert f"{number} has no form in JSON at $.left.numbers[1]" in refused.text
    assert host.snapshot("Mine", mine)["data"]["left"] is None


# ── times that come from clients ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("event", "chosen", "told"),
    [
        ("wait", 8e12, "timer 'ring' is 92592592 days, longer than any timer can be; use 36525 or less"),
        ("remind", 8e12, "after= of 'reminded' is 92592592 days, longer than any timer can be; use 36525 or less"),
        ("wait", 8e20, "OverflowError"),
        ("wait_until", "9999-12-31T23:59:59.999999-11:00", "later than any timer can be; use 9999-01-01 or earlier"),
        ("wait_until", "9999-12-31T00:00:00Z", "later than any timer can be; use 9999-01-01 or earlier"),
        ("wait_until", "2030-01-01T00:00:00", "an instant needs a time zone"),
    ],
)
def test_a_time_beyond_what_a_timer_can_be_is_refused_and_named(
    host: Host, event: str, chosen: object, told: str
) -> None:
    vigil = host.key("vigil")
    host.receipt("Vigil", vigil, "create")
    before = host.stored("Vigil", vigil)

    refused = host.post("Vigil", vigil, event, chosen)

    assert (refused.status_code, told in refused.text) == (500, True), refused.text
    assert host.stored("Vigil", vigil) == before


@pytest.mark.parametrize(
    ("event", "chosen"),
    [("wait", 36_525 * 86_400), ("wait", -5e9), ("remind", 3e9), ("wait_until", "9998-12-31T00:00:00Z")],
)
def test_a_time_that_a_timer_can_be_is_taken_and_shown(host: Host, event: str, chosen: object) -> None:
    vigil = host.key("vigil")

    host.receipt("Vigil", vigil, event, chosen)

    timers = host.snapshot("Vigil", vigil)["timers"]
    assert all(timer["due"][:2] in ("20", "21", "99") for timer in timers)


def test_a_timer_without_a_date_that_an_earlier_build_took_is_shown_and_leaves(host: Host) -> None:
    vigil = host.key("vigil")
    host.receipt("Vigil", vigil, "remind", 60)
    record = json.loads(host.stored("Vigil", vigil)["snapshot"])
    (timer,) = record["timers"]
    timer["after_ms"] = 8 * 10**15
    record["due"] = {timer["token"]: 8 * 10**15}
    host.put("Vigil", vigil, json.dumps(record))

    (shown,) = host.snapshot("Vigil", vigil)["timers"]

    assert shown["due"] == "9999-01-01T00:00:00.000+00:00"
    assert host.receipt("Vigil", vigil, "wait", 60)["configuration"] == ["waiting"]


def test_a_field_that_an_earlier_build_did_not_have_is_drawn_once(host: Host) -> None:
    raffle = host.key("raffle")
    host.receipt("Raffle", raffle, "create")
    record = json.loads(host.stored("Raffle", raffle)["snapshot"])
    record["data"] = {"heads": True}
    host.put("Raffle", raffle, json.dumps(record))

    number, _ = host.receipt("Raffle", raffle, "place", {})["reply"]
    host.receipt("Raffle", raffle, "note", {})

    assert host.snapshot("Raffle", raffle)["data"]["number"] == number


def test_a_flow_draws_once_too(host: Host) -> None:
    told = host.server.call("Prizes.flow", None, "run", {"heads": True})

    assert told["drawn"] == told["seen"]


def test_the_result_that_an_operator_gives_is_completed_once(host: Host) -> None:
    errand = host.key("errand")
    host.receipt("Errand", errand, "create")
    wait_until(lambda: host.snapshot("Errand", errand)["status"] == "failed", what="the failure")

    told = host.receipt("Errand", errand, "repair", {"skip": "working", "result": {}, "reason": "done by hand"})

    assert told["reply"] == host.snapshot("Errand", errand)["data"]["latest"]
