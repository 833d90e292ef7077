"""A machine that an operator has paused takes nothing; what arrives by itself waits, and is taken when it is resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from durable_fsm.core.step import MOST_DEFERRED_BYTES
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
    assert "Resume it by 'repair' with {\"resume\": true}." in told["message"]
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


# ── events that are deferred meanwhile, by declaration ────────────────────────────────────────────────────────────────


def deferred(host: Host, key: str) -> list[tuple[str, object]]:
    return [(one["event"], one["payload"]) for one in host.snapshot("Patient", key)["deferred"]]


def test_declared_events_wait_in_order_across_crashes_and_are_taken_when_the_machine_is_resumed(awake: Host) -> None:
    ledger = awake.key("ledger")
    awake.receipt("Patient", ledger, "write", "before")
    pause(awake, "Patient", ledger)

    assert awake.receipt("Patient", ledger, "write", "first")["outcome"] == "deferred"
    awake.served.kill()
    awake.served.restart()
    told = awake.receipt("Patient", ledger, "send", {"event": "write", "payload": "second"})
    awake.server.kill()
    awake.server.start()
    waiting = awake.snapshot("Patient", ledger)

    assert (told["outcome"], told["reply"]) == ("deferred", None)
    assert (waiting["data"]["notes"], waiting["paused"]["reason"]) == (["before"], WHY)
    assert deferred(awake, ledger) == [("write", "first"), ("write", "second")]

    resume(awake, "Patient", ledger)

    assert awake.snapshot("Patient", ledger)["data"]["notes"] == ["before", "first", "second"]
    assert deferred(awake, ledger) == []
    assert awake.receipt("Patient", ledger, "write", "after")["reply"] == 4


def test_a_service_killed_while_it_resumes_a_machine_takes_what_has_waited_once(awake: Host) -> None:
    ledger = awake.key("ledger")
    awake.receipt("Patient", ledger, "create", {})
    pause(awake, "Patient", ledger)
    for event, payload in (("write", "first"), ("hold", {"effect": ledger}), ("write", "second")):
        awake.receipt("Patient", ledger, event, payload)

    with awake.effects.hold(f"before:{ledger}") as gate:
        asked = awake.server.send("Patient", ledger, "repair", {"resume": True, "reason": "done"})
        gate.wait_reached()
        awake.served.kill()
        gate.open()
    awake.served.restart()
    awake.server.output(asked)

    machine = awake.snapshot("Patient", ledger)
    assert (machine["data"]["notes"], machine["deferred"], machine["paused"]) == (["first", "second"], [], None)
    assert len(awake.effects_of(ledger)) == 1


def test_a_sender_that_waits_is_told_what_became_of_its_event_after_the_pause(host: Host) -> None:
    ledger = host.key("ledger")
    host.receipt("Patient", ledger, "create", {})
    pause(host, "Patient", ledger)
    wish: dict[str, object] = {"event": "write", "payload": "kept", "taken": True}
    asked = [
        host.server.send("Patient", ledger, "wait_for", one)
        for one in (wish, {"event": "forbidden", "taken": True}, {"state": "holding", "timeout": 0.2})
    ]
    wait_until(lambda: len(deferred(host, ledger)) == 2, what="both events")

    resume(host, "Patient", ledger)

    written = host.server.output(asked[0])
    assert (written["outcome"], written["reply"]) == ("taken", 1)
    for run, status in ((asked[1], 409), (asked[2], 408)):
        with pytest.raises(httpx.HTTPStatusError) as refused:
            host.server.output(run)
        assert refused.value.response.status_code == status


def test_an_event_that_can_never_be_taken_is_refused_although_the_machine_is_paused(host: Host) -> None:
    ledger = host.key("ledger")
    host.receipt("Patient", ledger, "create", {})
    pause(host, "Patient", ledger)

    answers = [
        host.post("Patient", ledger, "write", 7),
        host.post("Patient", ledger, "send", {"event": "wirte"}),
        host.post("Patient", ledger, "send", {"event": "done.invoke.patience"}),
        host.post("Patient", ledger, "write", "x" * (MOST_DEFERRED_BYTES + 1)),
    ]

    assert [answer.status_code for answer in answers] == [422, 404, 403, 429]
    assert deferred(host, ledger) == []


def test_a_repair_of_a_paused_machine_takes_no_deferred_event(host: Host) -> None:
    ledger = host.key("ledger")
    host.receipt("Patient", ledger, "create", {})
    pause(host, "Patient", ledger)
    host.receipt("Patient", ledger, "write", "kept")

    host.receipt("Patient", ledger, "repair", {"move": "idle", "reason": WHY})

    assert deferred(host, ledger) == [("write", "kept")]
    resume(host, "Patient", ledger)
    assert host.snapshot("Patient", ledger)["data"]["notes"] == ["kept"]
