"""A machine that an operator has paused takes nothing; what arrives by itself waits, and is taken when it is resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

WHY = "see ticket 4711"


def pause(host: Host, chart: str, key: str) -> dict[str, Any]:
    return host.receipt(chart, key, "repair", {"pause": True, "reason": WHY})


def resume(host: Host, chart: str, key: str) -> dict[str, Any]:
    return host.receipt(chart, key, "repair", {"resume": True, "reason": "done"})


def test_events_are_refused_and_timers_wait_until_the_machine_is_resumed(host: Host) -> None:
    work = host.key("work")
    host.receipt("Fragile", work, "wait")

    assert pause(host, "Fragile", work)["outcome"] == "repaired"
    refused = [
        host.post("Fragile", work, "begin", {"effect": work}),
        host.post("Fragile", work, "create", {}),
        host.post("Fragile", work, "wait_for", {"state": "done", "event": "wait"}),
    ]
    [timer] = wait_until(lambda: host.snapshot("Fragile", work)["parked"], what="the timer to be parked")
    host.served.kill()
    host.served.restart()
    machine = host.snapshot("Fragile", work)
    told = refused[0].json()

    assert [answer.status_code for answer in refused] == [503] * 3
    assert (told["metadata"]["type"], told["metadata"]["reason"]) == ("Paused", WHY)
    assert "'repair' with {\"resume\": true} lets it go on." in told["message"]
    assert (timer["event"], timer["type"]) == ("timer", "Paused")
    assert (machine["configuration"], machine["paused"]["reason"]) == (["waiting"], WHY)

    assert resume(host, "Fragile", work)["configuration"] == ["done"]

    after = host.snapshot("Fragile", work)
    assert (after["paused"], after["parked"], after["data"]["rounds"]) == (None, [], 1)
    entries = host.receipt("Fragile", work, "history", {"last": 9})["entries"]
    assert [entry["note"] for entry in entries if "note" in entry and "resend" not in entry["note"]] == [
        {"pause": True, "reason": WHY},
        {"resume": True, "reason": "done"},
    ]


def test_messages_wait_in_order_until_the_machine_is_resumed(family: Host) -> None:
    sender, receiver = family.key("friend"), family.key("friend")
    family.receipt("Friend", receiver, "ping", 0)
    pause(family, "Friend", receiver)
    for number in (1, 2, 3):
        family.receipt("Friend", sender, "write", {"to": receiver, "number": number})
    wait_until(lambda: "letters" in family.stored("Friend", receiver), what="the messages to wait")
    assert family.snapshot("Friend", receiver)["data"]["heard"] == [0]

    resume(family, "Friend", receiver)

    wait_until(lambda: len(family.snapshot("Friend", receiver)["data"]["heard"]) == 4, what="the messages")
    assert family.snapshot("Friend", receiver)["data"]["heard"] == [0, 1, 2, 3]


def test_a_paused_machine_can_be_read_repaired_and_deleted(awake: Host) -> None:
    ticket, other = awake.key("ticket"), awake.key("ticket")
    for key in (ticket, other):
        awake.receipt("Ticket", key, "create")
        pause(awake, "Ticket", key)

    assert awake.receipt("Ticket", ticket, "repair", {"move": "sold", "reason": WHY})["configuration"] == ["sold"]
    assert awake.post("Ticket", ticket, "use").status_code == 503
    assert awake.receipt("Ticket", ticket, "history", {"last": 1})["entries"][0]["event"] == "repair"
    resume(awake, "Ticket", ticket)
    assert awake.receipt("Ticket", ticket, "use")["status"] == "done"
    assert awake.post("Ticket", ticket, "repair", {"resume": True, "reason": WHY}).status_code == 409
    assert awake.receipt("Ticket", other, "delete", {})["outcome"] == "deleted"
    assert awake.post("Ticket", awake.key("none"), "repair", {"pause": True, "reason": WHY}).status_code == 404
