"""Finished machines: kept, deleted after a time or replaced by a tombstone; and keys of machines that do not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def restart(host: Host) -> None:
    """SIGKILL the service and the server, and start both again."""
    host.served.kill()
    host.server.kill()
    host.server.start()
    host.served.restart()


def test_a_key_is_free_some_time_after_its_machine_ended(ends: Host) -> None:
    key = ends.key("freed")
    ends.receipt("Freed", key, "increment")
    life = ends.snapshot("Freed", key)["life"]

    ends.receipt("Freed", key, "close")
    restart(ends)

    wait_until(lambda: ends.stored("Freed", key) == {}, what="the key to be free")
    assert ends.post("Freed", key, "snapshot").status_code == 404
    assert ends.receipt("Freed", key, "increment")["reply"] == 1
    assert ends.snapshot("Freed", key)["life"] != life
    ends.settled()


def test_until_its_key_is_free_a_finished_machine_is_kept_with_a_timer(ends: Host) -> None:
    key = ends.key("kept")

    ends.receipt("Long", key, "close")

    [timer] = ends.snapshot("Long", key)["timers"]
    assert timer["event"] == "after_end"
    assert timer["due"] is not None
    assert ends.post("Long", key, "increment").status_code == 410


def test_a_machine_that_is_gone_leaves_a_tombstone_that_answers_410(ends: Host) -> None:
    key = ends.key("gone")

    ends.receipt("Gone", key, "close")
    restart(ends)

    wait_until(lambda: "gone" in ends.stored("Gone", key).get("snapshot", ""), what="the machine to be gone")
    assert ends.stored("Gone", key).keys() == {"snapshot"}
    for handler in ("close", "create", "snapshot", "history", "repair"):
        body = {"migrate": True, "reason": "why not"} if handler == "repair" else None
        answer = ends.post("Gone", key, handler, body)
        assert (answer.status_code, answer.json()["metadata"]["type"]) == (410, "Gone"), handler
    assert answer.json()["message"] == (
        f"Gone/{key}: the machine has ended, and its snapshot is no longer kept. Use another key; 'delete' frees this one."
    )
    assert ends.receipt("Gone", key, "delete")["outcome"] == "deleted"
    assert ends.receipt("Gone", key, "create")["outcome"] == "created"
    ends.settled()


def test_the_deletion_timer_of_an_earlier_life_does_not_delete_a_later_one(ends: Host) -> None:
    key = ends.key("again")
    ends.receipt("Long", key, "close")
    [timer] = ends.snapshot("Long", key)["timers"]

    ends.receipt("Long", key, "delete")
    ends.receipt("Long", key, "increment")
    late = ends.server.call("Long", key, "send", {"event": "increment"})
    assert late["reply"] == 2
    wait_until(lambda: ends.scheduled("Long", key) == [], what="the timer to be cancelled")
    ends.receipt("Long", key, "close")

    [now] = ends.snapshot("Long", key)["timers"]
    assert now["token"] != timer["token"]
    assert len(ends.scheduled("Long", key)) == 1


def test_a_finished_machine_that_is_moved_back_is_not_deleted(ends: Host) -> None:
    key = ends.key("moved")
    ends.receipt("Long", key, "close")

    ends.receipt("Long", key, "repair", {"move": "open", "reason": "closed too early"})

    wait_until(lambda: ends.scheduled("Long", key) == [], what="the timer to be cancelled")
    assert ends.receipt("Long", key, "increment")["reply"] == 1
    assert ends.snapshot("Long", key)["timers"] == []


def test_a_configuration_with_create_first_is_not_started_by_an_event(ends: Host) -> None:
    key = ends.key("strict")

    refused = ends.post("StrictConfig", key, "close")
    assert (refused.status_code, refused.json()["metadata"]["type"]) == (404, "NotStarted")
    assert refused.json()["message"] == f"StrictConfig/{key}: there is no such machine. Start it with 'create'."
    assert ends.stored("StrictConfig", key) == {}
    ends.receipt("StrictConfig", key, "create")
    assert ends.receipt("StrictConfig", key, "close")["status"] == "done"


def test_the_receipt_of_the_last_event_tells_how_the_machine_ended(ends: Host) -> None:
    key = ends.key("fish")

    assert "output" not in ends.receipt("Fish", key, "create")
    sold = ends.receipt("Fish", key, "sell")
    waited = ends.receipt("Fish", key, "wait_for", {"status": "done"})

    assert [(told["status"], told["output"], told["failure"]) for told in (sold, waited)] == [
        ("done", {"grams": 250}, None)
    ] * 2


def test_a_configuration_can_fail_by_its_end(ends: Host) -> None:
    key = ends.key("fish")
    ends.receipt("Fish", key, "create")

    waited = ends.receipt("Fish", key, "wait_for", {"status": "done", "event": "wait"})

    failure = {"type": "Spoilt", "message": "it smells", "code": 410, "source": ""}
    assert (waited["status"], waited["output"], waited["failure"]) == ("done", None, failure)
