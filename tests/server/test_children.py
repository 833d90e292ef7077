"""Child machines: they start with a state of their parent, report how they end, and stop with that state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def begin(host: Host, *, chart: str = "Office", event: str = "begin", **work: Any) -> str:
    key = host.key("office")
    host.receipt(chart, key, event, {"name": key, **work})
    return key


def children(host: Host, key: str, chart: str = "Office") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = host.snapshot(chart, key)["machines"]
    return found


def only_child(host: Host, key: str, chart: str = "Office") -> str:
    """The key of the one child, once it has begun."""
    [child] = children(host, key, chart)
    wait_until(lambda: host.snapshot(child["chart"], child["key"]), what="the child to begin")
    return child["key"]


def gone(host: Host, chart: str, key: str) -> bool:
    return host.stored(chart, key) == {}


# ── beginning and end ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_child_starts_with_data_and_its_output_reaches_its_parent(family: Host) -> None:
    office = begin(family, cents=500)

    letter = only_child(family, office)
    family.receipt("Office", office, "tell", "go")

    done = family.wait_in("Office", office, "done")
    assert done["data"]["result"] == {"name": office, "cents": 500, "heard": [], "where": ""}
    assert done["machines"] == []
    assert len(family.effects.entries(office)) == 1
    ended = family.snapshot("Letter", letter)
    assert (ended["status"], ended["configuration"]) == ("done", ["sent"])


def test_the_snapshots_of_parent_and_child_name_each_other(family: Host) -> None:
    office = begin(family)

    letter = only_child(family, office)

    machine = family.snapshot("Office", office)
    token = machine["machines"][0]["key"].rpartition("/")[2]
    assert machine["machines"] == [
        {
            "id": "letter",
            "chart": "Letter",
            "key": f"{office}/letter/{token}",
            "state": "writing",
            "ended": False,
            "failed": False,
        }
    ]
    assert machine["parent"] is None
    assert family.snapshot("Letter", letter)["parent"] == {"chart": "Office", "key": office, "id": "letter"}
    assert token.startswith(machine["life"])


def test_the_failure_of_a_child_reaches_its_parent(family: Host) -> None:
    office = begin(family)

    family.receipt("Office", office, "tell", "fail")

    error = family.wait_in("Office", office, "failed")["data"]["error"]
    assert error["type"] == "TerminalError"
    assert error["message"] == f"{office} is torn"


def test_a_child_whose_data_do_not_fit_has_failed(family: Host) -> None:
    office = begin(family, cents="many")

    error = family.wait_in("Office", office, "failed")["data"]["error"]

    assert error["type"] == "InvalidPayload"
    assert "the data does not fit Parcel" in error["message"]
    assert "$.cents" in error["message"]
    family.settled()


def test_a_transitions_configuration_runs_child_machines_too(family: Host) -> None:
    key = begin(family, chart="PostRoom")
    letter = only_child(family, key, "PostRoom")

    family.receipt("Letter", letter, "send_off")

    assert family.wait_in("PostRoom", key, "done")["data"]["result"]["name"] == key


def test_the_end_of_a_child_that_a_callback_fails_on_waits_for_the_next_deployment(family: Host) -> None:
    office = begin(family)
    letter = only_child(family, office)

    with family.deployed(CHARTS_BROKEN="raises"):
        family.receipt("Letter", letter, "send_off")
        wait_until(lambda: family.snapshot("Office", office)["parked"], what="the end to be parked")
        machine = family.snapshot("Office", office)
        assert (machine["configuration"], len(machine["machines"])) == (["writing"], 1)
        assert [delivery["activity"] for delivery in machine["parked"]] == ["letter"]

    assert family.wait_in("Office", office, "done")["data"]["result"]["name"] == office
    family.settled()


def test_a_document_runs_the_child_machine_that_it_contains(family: Host) -> None:
    shop = family.key("shop")
    family.receipt("shop", shop, "create")
    wait_until(lambda: family.snapshot("shop", shop)["data"]["counted"] == 500, what="the child to be ready")

    family.receipt("shop", shop, "buy")

    assert family.wait_in("shop", shop, "done")["data"]["receipt"] == 500


# ── the end of a state ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_child_and_its_activity_are_stopped_when_the_state_of_the_parent_is_left(family: Host) -> None:
    office = begin(family)
    letter = only_child(family, office)

    with family.effects.hold(f"before:{office}") as gate:
        family.receipt("Letter", letter, "go")
        gate.wait_reached()
        family.receipt("Office", office, "back")
        wait_until(lambda: gone(family, "Letter", letter), what="the child to be gone")
        wait_until(lambda: family.jobs("Letter", letter, "completed"), what="its work to end")

    family.settled()
    assert not family.effects.entries(office)
    assert family.snapshot("Office", office)["configuration"] == ["idle"]


def test_a_child_in_an_exclusive_activity_is_stopped_at_once(family: Host) -> None:
    office = begin(family)
    letter = only_child(family, office)

    with family.effects.hold(f"before:{office}") as gate:
        family.server.send("Letter", letter, "hold")
        gate.wait_reached()
        family.receipt("Office", office, "back")
        wait_until(lambda: gone(family, "Letter", letter), what="the child to be gone")

    family.settled()
    assert not family.effects.entries(office)


def test_children_of_children_are_stopped_too(family: Host) -> None:
    ministry = begin(family, chart="Ministry")
    office = only_child(family, ministry, "Ministry")
    letter = only_child(family, office, "DeafOffice")

    family.receipt("Ministry", ministry, "back")

    wait_until(lambda: gone(family, "DeafOffice", office) and gone(family, "Letter", letter), what="all to be gone")
    family.settled()


def test_an_output_passes_from_grandchild_to_child_to_parent(family: Host) -> None:
    ministry = begin(family, chart="Ministry", cents=3)
    office = only_child(family, ministry, "Ministry")
    letter = only_child(family, office, "DeafOffice")

    family.receipt("Letter", letter, "send_off")

    result = family.wait_in("Ministry", ministry, "done")["data"]["result"]
    assert result == {"name": ministry, "cents": 3, "heard": [], "where": ""}


def test_a_child_whose_state_is_left_in_the_same_turn_never_starts(family: Host) -> None:
    office = family.key("office")

    receipt = family.receipt("Office", office, "touch", {"name": office})

    assert receipt["configuration"] == ["idle"]
    family.settled()
    assert family.invocations("Letter", target_handler_name="_begin", target_service_key=office) == []
    begun = [row["target_service_key"] for row in family.invocations("Letter")]
    assert not [key for key in begun if key.startswith(f"{office}/")]


def test_a_machine_that_ends_stops_its_children(family: Host) -> None:
    office = begin(family)
    letter = only_child(family, office)

    family.receipt("Office", office, "close")

    wait_until(lambda: gone(family, "Letter", letter), what="the child to be gone")


def test_each_entry_of_a_state_starts_a_child_of_its_own(family: Host) -> None:
    office = begin(family)
    former = only_child(family, office)

    family.receipt("Office", office, "again")
    letter = only_child(family, office)

    assert letter != former
    wait_until(lambda: gone(family, "Letter", former), what="the former child to be gone")
    family.receipt("Letter", letter, "send_off")
    assert family.wait_in("Office", office, "done")


def test_messages_of_an_earlier_child_change_nothing(family: Host) -> None:
    """The former child is held while it has things to send; its parent enters the state again meanwhile."""
    office = begin(family)
    former = only_child(family, office)
    family.receipt("Letter", former, "ping", 1)
    wait_until(lambda: family.snapshot("Office", office)["data"]["heard"] == [1], what="the first message")
    token = former.rpartition("/")[2]

    family.receipt("Office", office, "again")
    letter = only_child(family, office)
    for late in (
        {"kind": "event", "event": "pong", "payload": 2, "family": True, "token": token, "chart": "Letter"},
        {"kind": "end", "payload": "late", "token": token, "id": "letter"},
    ):
        mail(family, "Office", office, {**late, "key": former, "life": token})

    family.settled()
    machine = family.snapshot("Office", office)
    assert (machine["configuration"], machine["data"]["heard"]) == (["writing"], [1])
    assert [child["key"] for child in machine["machines"]] == [letter]


def mail(host: Host, chart: str, key: str, letter: dict[str, Any]) -> None:
    """Have a letter arrive that was on its way: what the platform may do at any time."""
    host.receipt("Postman", f"{chart}/{key}", "bring", letter)


def test_only_its_parent_starts_a_child(family: Host) -> None:
    office = begin(family)
    letter = only_child(family, office)
    family.receipt("Office", office, "back")
    wait_until(lambda: gone(family, "Letter", letter), what="the child to be gone")

    created = family.post("Letter", letter, "create", {"name": "forged"})
    sent = family.post("Letter", letter, "go")

    assert (created.status_code, sent.status_code) == (404, 404)
    assert created.json()["message"] == (
        f"Letter/{letter}: there is no such machine. This is the key of a child, which only its parent begins."
    )
    assert gone(family, "Letter", letter)


# ── deleting ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_deleting_a_parent_stops_its_children(family: Host) -> None:
    ministry = begin(family, chart="Ministry")
    office = only_child(family, ministry, "Ministry")
    letter = only_child(family, office, "DeafOffice")

    family.receipt("Ministry", ministry, "delete")

    wait_until(lambda: gone(family, "DeafOffice", office) and gone(family, "Letter", letter), what="all to be gone")
    family.settled()
    assert gone(family, "Ministry", ministry)


def test_deleting_a_child_is_a_failure_for_its_parent(family: Host) -> None:
    office = begin(family)
    letter = only_child(family, office)

    family.receipt("Letter", letter, "delete")

    error = family.wait_in("Office", office, "failed")["data"]["error"]
    assert error == {"type": "deleted", "message": "machine 'letter' was deleted.", "metadata": None}


def test_the_end_of_a_child_does_not_reach_a_later_life_of_its_parent(family: Host) -> None:
    office = family.key("office")
    for _ in range(5):
        family.receipt("Office", office, "begin", {"name": office})
        letter = only_child(family, office)
        family.together([("Letter", letter, "send_off", None), ("Office", office, "delete", None)])
        family.receipt("Office", office, "begin", {"name": office})
        family.settled()
        assert family.snapshot("Office", office)["configuration"] == ["writing"]
        family.receipt("Office", office, "delete")
    family.settled()


def test_a_parent_may_stop_while_its_child_ends_in_either_order(family: Host, scale: int) -> None:
    offices = [begin(family) for _ in range(10 * scale)]
    letters = [only_child(family, office) for office in offices]

    calls: list[tuple[str, str, str, object]] = []
    for place, (office, letter) in enumerate(zip(offices, letters, strict=True)):
        both: list[tuple[str, str, str, object]] = [
            ("Office", office, "back", None),
            ("Letter", letter, "send_off", None),
        ]
        calls += both if place % 2 else both[::-1]
    answers = family.together(calls)

    assert {answer.status_code for answer in answers} <= {200, 404}
    family.settled()
    for office in offices:
        machine = family.snapshot("Office", office)
        assert machine["configuration"] == ["idle"]
        assert machine["machines"] == []


# ── what operators do ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_child_that_is_lost_before_it_starts_has_failed(family: Host) -> None:
    """Its key is emptied behind everybody's back: as if its beginning had been killed."""
    office = begin(family)
    letter = only_child(family, office)

    empty(family, "Letter", letter)

    error = family.wait_in("Office", office, "failed")["data"]["error"]
    assert error == {"type": "lost", "message": "machine 'letter' is not there.", "metadata": None}


def watch(host: Host, office: str) -> str:
    """Have an office hold its key beside a letter; the invocation that does."""
    holding: str = host.server.send("Office", office, "watch", {"name": office})
    wait_until(
        lambda: "watching" in host.snapshot("Office", office).get("configuration", ()), what="the office to hold"
    )
    return holding


def waiting_mail(host: Host, office: str) -> list[dict[str, Any]]:
    rows = host.invocations("Office", office, target_handler_name="_mail")
    return [row for row in rows if row["status"] != "completed"]


def test_the_end_of_a_child_arrives_even_if_an_operator_kills_its_delivery(family: Host) -> None:
    office = family.key("office")
    with family.effects.hold(f"before:{office}-dawdle") as gate:
        watch(family, office)
        gate.wait_reached()
        letter = only_child(family, office)
        family.receipt("Letter", letter, "send_off")
        wait_until(lambda: waiting_mail(family, office), what="the end to wait")
        for row in waiting_mail(family, office):
            family.server.kill_invocation(row["id"])
        wait_until(lambda: not waiting_mail(family, office), what="the end to be gone")

    assert family.wait_in("Office", office, "done")["data"]["result"]["name"] == office


def test_a_child_started_by_a_killed_turn_is_found_to_be_lost(family: Host) -> None:
    """The turn is killed with what it has sent; the child's beginning is undone behind everybody's back."""
    office = family.key("office")
    with family.effects.hold(f"before:{office}-dawdle") as gate:
        holding = watch(family, office)
        gate.wait_reached()
        letter = only_child(family, office)
        family.server.kill_invocation(holding)
        empty(family, "Letter", letter)

        family.receipt("Office", office, "poke")
        error = family.wait_in("Office", office, "failed")["data"]["error"]

    assert error["type"] == "lost"
    family.settled()


def test_an_orphaned_child_is_ended_when_it_writes(family: Host) -> None:
    """Its parent is deleted behind everybody's back: as if the word to end had been killed."""
    office = begin(family)
    letter = only_child(family, office)
    empty(family, "Office", office)

    family.receipt("Letter", letter, "ping", 1)

    wait_until(lambda: gone(family, "Letter", letter), what="the child to be gone")


def empty(host: Host, chart: str, key: str) -> None:
    """Remove a machine behind the host's back."""
    body = {"object_key": key, "new_state": {}}
    host.client.post(f"{host.server.admin_url}/services/{chart}/state", json=body).raise_for_status()
    wait_until(lambda: gone(host, chart, key), what="the machine to be gone")


# ── several ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def spread(host: Host, count: int, event: str = "spread") -> tuple[str, list[str]]:
    office = host.key("office")
    letters = [{"name": f"{office}-{number}", "cents": number} for number in range(count)]
    host.receipt("Office", office, event, {"name": office, "letters": letters})
    return office, [child["key"] for child in children(host, office)]


def test_a_child_for_each_item_gives_the_outputs_in_order(family: Host) -> None:
    office, keys = spread(family, 20)
    assert [key.split("/")[1] for key in keys] == [f"many.{number}" for number in range(20)]

    family.receipt("Office", office, "tell_all", "go")

    done = family.wait_in("Office", office, "done")
    assert [result["cents"] for result in done["data"]["result"]] == [*range(20)]
    assert done["machines"] == []
    for number in range(20):
        assert len({entry.key for entry in family.effects.entries(f"{office}-{number}")}) == 1
    family.settled()


def test_the_first_failed_child_stops_the_others(family: Host) -> None:
    office, keys = spread(family, 5)
    family.settled()

    family.receipt("Letter", keys[3], "send_off")
    family.receipt("Letter", keys[1], "fail")

    error = family.wait_in("Office", office, "failed")["data"]["error"]
    assert (error["type"], error["metadata"]) == ("TerminalError", {"index": 1})
    others = [keys[place] for place in (0, 2, 4)]
    wait_until(lambda: all(gone(family, "Letter", key) for key in others), what="the others to be gone")
    assert family.snapshot("Office", office)["machines"] == []


def test_children_may_all_settle_even_if_some_fail(family: Host) -> None:
    office, keys = spread(family, 3, "settle")
    family.settled()

    family.receipt("Letter", keys[1], "fail")
    family.receipt("Letter", keys[2], "send_off")
    wait_until(lambda: [one["ended"] for one in children(family, office)] == [False, True, True], what="two ends")
    family.receipt("Letter", keys[0], "send_off")

    first, second, third = family.wait_in("Office", office, "done")["data"]["result"]
    assert (first["status"], second["status"], third["status"]) == ("done", "failed", "done")
    assert (first["result"]["cents"], third["result"]["cents"]) == (0, 2)
    assert second["error"]["message"] == f"{office}-1 is torn"


def test_most_children_may_be_enough(family: Host) -> None:
    office, keys = spread(family, 4, "elect")
    family.settled()

    for place, end in ((3, "send_off"), (1, "fail"), (2, "send_off"), (0, "send_off")):
        family.receipt("Letter", keys[place], end)

    done = family.wait_in("Office", office, "done")
    assert ([one["cents"] for one in done["data"]["result"]], done["machines"]) == ([0, 2, 3], [])


def test_children_for_no_items_are_done_at_once(family: Host) -> None:
    office = family.key("office")

    receipt = family.receipt("Office", office, "spread", {"name": office, "letters": []})

    assert receipt["configuration"] == ["done"]
    assert family.snapshot("Office", office)["data"]["result"] == []


# ── two deployments ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_parent_and_child_may_be_served_by_two_deployments(
    hosting: type[Host], effect_log: Any, fresh_server: Any, tmp_path: Any
) -> None:
    with (
        hosting.on(fresh_server, effect_log, tmp_path / "all.log", "family_app:app", PROCESS="all") as host,
        hosting.on(
            fresh_server, effect_log, tmp_path / "letters.log", "family_app:letters_app", PROCESS="letters"
        ) as other,
    ):
        office = begin(host)
        letter = only_child(host, office)
        for number in range(3):
            host.receipt("Letter", letter, "ping", number)
        wait_until(lambda: host.snapshot("Office", office)["data"]["heard"] == [0, 1, 2], what="the messages")
        host.receipt("Office", office, "tell", "go")

        result = host.wait_in("Office", office, "done")["data"]["result"]

        assert result["where"] == "letters"
        other.settled()
