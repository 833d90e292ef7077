"""Messages between machines: in order and exactly once despite crashes; one that is not taken returns to its sender."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def write(host: Host, to: str, event: str = "ping", number: Any = 1, *, sender: str = "Friend", **note: Any) -> str:
    key = host.key("friend")
    host.receipt(sender, key, "write", {"to": to, "event": event, "number": number, **note})
    return key


def heard(host: Host, key: str, chart: str = "Friend") -> list[int]:
    machine = host.snapshot(chart, key)
    found: list[int] = machine["data"]["heard"] if machine else []
    return found


def came_back(host: Host, key: str) -> dict[str, Any]:
    wait_until(lambda: host.snapshot("Friend", key)["data"]["back"], what="the message to come back")
    [one] = host.snapshot("Friend", key)["data"]["back"]
    return dict(one)


# ── to any machine ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_message_starts_a_machine_as_an_event_from_outside_would(family: Host) -> None:
    other = family.key("friend")

    write(family, other, number=5)

    wait_until(lambda: heard(family, other) == [5], what="the message")
    assert family.snapshot("Friend", other)["parent"] is None


def test_a_delayed_message_can_be_cancelled_only_by_its_sender(family: Host) -> None:
    other, never = family.key("friend"), family.key("friend")

    sender = write(family, other, after=0.3)
    patient = write(family, never, after=3600)
    [timer] = family.snapshot("Friend", patient)["timers"]

    assert (timer["to"], timer["id"]) == (f"Friend/{never}", "note")
    wait_until(lambda: heard(family, other) == [1], what="the message")
    assert family.snapshot("Friend", sender)["timers"] == []


def test_a_message_that_is_not_taken_returns_to_its_sender(family: Host) -> None:
    other = family.key("friend")
    family.receipt("Friend", other, "sleep")

    sender = write(family, other)

    assert came_back(family, sender) == {
        "type": "EventRejected",
        "message": f"Friend/{other}: event 'ping' is not accepted in state 'asleep'. Accepted now: 'shut_ears', 'story', 'wake'.",
        "code": 409,
        "event": "ping",
        "to": f"Friend/{other}",
        "sendid": "note",
    }
    assert heard(family, other) == []


def test_a_deferred_message_still_knows_its_sender(family: Host) -> None:
    other = family.key("friend")
    family.receipt("Friend", other, "sleep")
    sender = write(family, other, "story", 7)
    wait_until(lambda: family.snapshot("Friend", other)["deferred"], what="the story to be deferred")

    family.receipt("Friend", other, "wake")

    wait_until(lambda: heard(family, sender) == [7], what="the answer")


def test_a_deferred_message_that_is_turned_away_returns_to_its_sender(family: Host) -> None:
    other = family.key("friend")
    family.receipt("Friend", other, "sleep")
    sender = write(family, other, "story")
    [kept] = wait_until(lambda: family.snapshot("Friend", other)["deferred"], what="the story to be deferred")
    assert kept.keys() == {"token", "event", "payload", "sender"}

    family.receipt("Friend", other, "shut_ears")

    back = came_back(family, sender)
    assert (back["type"], back["event"], back["code"]) == ("EventRejected", "story", 409)
    assert back["message"].startswith(f"Friend/{other}: event 'story' is not accepted in state 'asleep'. No stories")


@pytest.mark.parametrize(
    ("event", "number", "error"),
    [
        ("ping", "one", "InvalidPayload"),
        ("secret", None, "Forbidden"),
        ("nonsense", None, "UnknownEvent"),
        ("stumble", None, "ActionError"),
    ],
)
def test_a_message_returns_to_its_sender_whatever_is_wrong_with_it(
    family: Host, event: str, number: Any, error: str
) -> None:
    sender = write(family, family.key("friend"), event, number)

    assert came_back(family, sender)["type"] == error


def test_a_message_to_a_finished_machine_returns_to_its_sender(family: Host) -> None:
    other = family.key("friend")
    family.receipt("Friend", other, "go")

    assert came_back(family, write(family, other))["type"] == "Finished"


def test_a_message_to_a_machine_that_must_be_created_first_returns_to_its_sender(family: Host) -> None:
    sender = write(family, family.key("letter"), chart="Letter")

    assert came_back(family, sender)["type"] == "NotStarted"


def test_a_returned_message_without_a_transition_is_logged(family: Host) -> None:
    other = family.key("friend")
    family.receipt("Friend", other, "sleep")

    sender = write(family, other, sender="Deaf")
    family.settled()

    machine = family.snapshot("Deaf", sender)
    assert (machine["status"], machine["seq"]) == ("running", 2)
    log = family.served.process.log.read_text()
    assert f"Deaf/{sender}: message 'ping' to Friend/{other} came back: Friend/{other}: event 'ping' is not" in log


def test_a_returned_message_does_not_reach_a_later_life_of_its_sender(family: Host) -> None:
    sender, other = family.key("friend"), family.key("friend")
    family.receipt("Friend", sender, "create")
    letter = {"kind": "returned", "error": {"type": "X", "message": "x", "metadata": {}}, "life": "another"}

    family.receipt("Postman", f"Friend/{sender}", "bring", letter)

    assert family.snapshot("Friend", sender)["data"]["back"] == []
    assert heard(family, other) == []


def test_a_message_to_a_chart_that_is_not_deployed_blocks_nothing(
    hosting: type[Host], effect_log: Any, fresh_server: Any, tmp_path: Any
) -> None:
    with hosting.on(fresh_server, effect_log, tmp_path / "first.log", "family_app:app") as host:
        sender = write(host, "x-1", chart="Strange")
        for number in range(3):
            host.receipt("Friend", sender, "ping", number)
        assert heard(host, sender) == [0, 1, 2]
        assert host.receipt("Friend", f"{sender} > Strange/x-1", "ping", 3)["outcome"] == "taken"

        with hosting.on(fresh_server, effect_log, tmp_path / "second.log", "family_app:strange_app") as other:
            wait_until(lambda: heard(other, "x-1", "Strange") == [1], what="the message")
            other.settled()


# ── in order, exactly once ────────────────────────────────────────────────────────────────────────────────────────────


def test_messages_of_each_sender_arrive_in_order(family: Host) -> None:
    other = family.key("friend")
    senders = [family.key("friend") for _ in range(4)]

    note = {"to": other, "number": 50}
    family.together([("Friend", sender, "write_many", note) for sender in senders])

    wait_until(lambda: len(heard(family, other)) == 200, what="all messages")
    assert sorted(heard(family, other)) == sorted([*range(50)] * 4)
    at = [0] * 50
    for number in heard(family, other):  # each sender's numbers rise: a number never comes before all its elders
        at[number] += 1
        assert number == 0 or at[number] <= at[number - 1]


def test_two_machines_answer_each_other_many_times(family: Host) -> None:
    pairs = [(family.key("friend"), family.key("friend")) for _ in range(4)]

    family.together([("Friend", one, "rally", {"to": other, "number": 49}) for one, other in pairs])

    for one, other in pairs:
        wait_until(lambda one=one, other=other: len(heard(family, one)) + len(heard(family, other)) == 50, what="all")
        assert heard(family, other) == [*range(49, 0, -2)]
        assert heard(family, one) == [*range(48, -1, -2)]


@pytest.mark.parametrize("server", ["family_awake", "family_replaying"])
def test_no_message_is_lost_or_repeated_although_both_services_and_the_server_are_killed(
    server: str, request: pytest.FixtureRequest, dice: random.Random, scale: int
) -> None:
    host: Host = request.getfixturevalue(server)
    pairs = [(host.key("friend"), host.key("friend")) for _ in range(4 * scale)]
    host.together([("Friend", one, "rally", {"to": other, "number": 79}) for one, other in pairs])
    other = host.key("friend")
    host.receipt("Friend", host.key("friend"), "write_many", {"to": other, "number": 60})

    for part in (dice.randrange(5, 25), dice.randrange(30, 70)):
        wait_until(lambda part=part: len(heard(host, pairs[0][0])) >= part // 2, what="some of it")
        victim = dice.choice(["service", "server", "both"])
        print(f"the {victim} dies after {part}")
        if victim != "server":
            host.served.kill()
        if victim != "service":
            host.server.kill()
            host.server.start()
        if victim != "server":
            host.served.restart()

    for one, two in pairs:
        wait_until(lambda one=one, two=two: 0 in heard(host, one), what="the last")
        assert heard(host, two) == [*range(79, 0, -2)]
        assert heard(host, one) == [*range(78, -1, -2)]
    wait_until(lambda: len(heard(host, other)) == 60, what="all messages")
    assert heard(host, other) == [*range(60)]
    host.settled()


# ── waiting for a deployment ──────────────────────────────────────────────────────────────────────────────────────────


def test_messages_that_a_deployment_cannot_read_wait_in_order(family: Host) -> None:
    other = family.key("friend")
    family.receipt("Friend", other, "create")
    whole = family.stored("Friend", other)["snapshot"]

    family.put("Friend", other, whole[:-10])
    sender = family.key("friend")
    family.receipt("Friend", sender, "write_many", {"to": other, "number": 5})
    wait_until(lambda: "letters" in family.stored("Friend", other), what="the messages to wait")
    family.settled()
    letters = family.stored("Friend", other)["letters"]
    mend(family, "Friend", other, whole, letters)

    wait_until(lambda: heard(family, other) == [0, 1, 2, 3, 4], what="the messages")
    assert "letters" not in family.stored("Friend", other)


def mend(host: Host, chart: str, key: str, snapshot: str, letters: str) -> None:
    """Write the snapshot behind the host's back, with what waits for it."""
    state = {"snapshot": list(snapshot.encode()), "letters": list(letters.encode())}
    body = {"object_key": key, "new_state": state}
    host.client.post(f"{host.server.admin_url}/services/{chart}/state", json=body).raise_for_status()


# ── in the family ─────────────────────────────────────────────────────────────────────────────────────────────────────


def office(host: Host) -> tuple[str, str]:
    key = host.key("office")
    host.receipt("Office", key, "begin", {"name": key})
    [child] = host.snapshot("Office", key)["machines"]
    wait_until(lambda: host.snapshot("Letter", child["key"]), what="the child to begin")
    return key, child["key"]


def back_at(host: Host, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = host.snapshot("Office", key)["data"]["back"]
    return found


def test_parent_and_child_exchange_messages_in_order(family: Host) -> None:
    offices = [office(family) for _ in range(4)]

    for number in range(20):
        family.together([("Office", key, "ping", number) for key, _ in offices])

    for key, letter in offices:
        wait_until(lambda key=key: len(heard(family, key, "Office")) == 20, what="all answers")
        assert heard(family, key, "Office") == heard(family, letter, "Letter") == [*range(20)]


def test_the_last_message_of_a_child_arrives_before_its_end(family: Host) -> None:
    offices = [office(family) for _ in range(5)]

    family.together([("Letter", letter, "sign", 9) for _, letter in offices])

    for key, _ in offices:
        assert family.wait_in("Office", key, "done")["data"]["heard"] == [9]


def test_a_message_that_a_child_does_not_take_returns_to_its_parent(family: Host) -> None:
    key, letter = office(family)

    family.receipt("Office", key, "tell", "nonsense")

    wait_until(lambda: back_at(family, key), what="the message to come back")
    [back] = back_at(family, key)
    assert (back["type"], back["event"], back["to"]) == ("EventRejected", "nonsense", "#_letter")
    assert back["message"].startswith(f"Letter/{letter}: event 'nonsense' is not accepted in state 'written'.")


def test_a_message_that_a_parent_does_not_take_is_logged_by_its_child(family: Host) -> None:
    _, letter = office(family)

    family.receipt("Letter", letter, "tell", "nonsense")
    family.settled()

    assert family.snapshot("Letter", letter)["status"] == "running"
    log = family.served.process.log.read_text()
    assert f"Letter/{letter}: message 'nonsense' to #_parent came back: " in log


def test_a_message_to_a_finished_child_returns_to_its_parent(family: Host) -> None:
    key = family.key("office")
    letters = [{"name": f"{key}-{number}"} for number in range(2)]
    family.receipt("Office", key, "spread", {"name": key, "letters": letters})
    [first, second] = [child["key"] for child in family.snapshot("Office", key)["machines"]]
    wait_until(lambda: family.snapshot("Letter", first), what="the child to begin")
    family.receipt("Letter", first, "send_off")
    wait_until(
        lambda: any(child["ended"] for child in family.snapshot("Office", key)["machines"]),
        what="the parent to hear of the end",
    )

    family.receipt("Office", key, "tell_all", "pause")

    wait_until(lambda: back_at(family, key), what="the message to come back")
    [back] = back_at(family, key)
    assert (back["type"], back["to"]) == ("Unreachable", "#_many.0")
    family.wait_in("Letter", second, "paused")


def test_a_child_defers_messages_as_it_defers_events(family: Host) -> None:
    key, letter = office(family)
    family.receipt("Letter", letter, "pause")

    family.receipt("Office", key, "ping", 3)

    wait_until(lambda: heard(family, key, "Office") == [3], what="the answer")


def test_a_second_message_under_one_id_replaces_the_first_which_never_arrives(family: Host) -> None:
    sender, receiver = family.key("friend"), family.key("friend")
    for number in (1, 2, 3):
        family.receipt("Friend", sender, "write", {"to": receiver, "number": number, "after": 3600})
    family.served.kill()
    family.served.restart()

    [timer] = family.snapshot("Friend", sender)["timers"]
    assert timer["payload"] == 3
    family.receipt("Friend", sender, "repair", {"timer": timer["event"], "reason": "the time is over"})
    wait_until(lambda: family.snapshot("Friend", receiver).get("data", {}).get("heard"), what="the message")
    family.settled()
    assert family.snapshot("Friend", receiver)["data"]["heard"] == [3]
