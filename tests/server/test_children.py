"""Machines that machines run: begun with their state, heard of when they end, and stopped with everything of theirs."""

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
    wait_until(lambda: host.snapshot(child["machine"], child["key"]), what="the child to begin")
    return child["key"]


def gone(host: Host, chart: str, key: str) -> bool:
    return host.stored(chart, key) == {}


# ── beginning and end ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_child_begins_with_data_and_its_output_comes_back(family: Host) -> None:
    office = begin(family, cents=500)

    letter = only_child(family, office)
    family.receipt("Office", office, "tell", "go")

    done = family.wait_in("Office", office, "done")
    assert done["data"]["result"] == {"name": office, "cents": 500, "heard": [], "where": ""}
    assert done["machines"] == []
    assert family.effects.counts(office) and len(family.effects.entries(office)) == 1
    ended = family.snapshot("Letter", letter)
    assert (ended["status"], ended["configuration"]) == ("done", ["sent"])


def test_parent_and_child_show_each_other(family: Host) -> None:
    office = begin(family)

    letter = only_child(family, office)

    machine = family.snapshot("Office", office)
    token = machine["machines"][0]["key"].rpartition("/")[2]
    assert machine["machines"] == [
        {"id": "letter", "machine": "Letter", "key": f"{office}/letter/{token}", "state": "writing", "ended": False}
    ]
    assert machine["parent"] is None
    assert family.snapshot("Letter", letter)["parent"] == {"machine": "Office", "key": office, "id": "letter"}
    assert token.startswith(machine["life"])


def test_the_failure_of_a_child_comes_back(family: Host) -> None:
    office = begin(family)

    family.receipt("Office", office, "tell", "fail")

    error = family.wait_in("Office", office, "failed")["data"]["error"]
    assert error["type"] == "TerminalError"
    assert error["message"] == f"{office} is torn"


def test_a_child_that_its_data_do_not_let_begin_has_failed(family: Host) -> None:
    office = begin(family, cents="many")

    error = family.wait_in("Office", office, "failed")["data"]["error"]

    assert error["type"] == "InvalidPayload"
    assert "the data does not fit Parcel" in error["message"]
    assert "$.cents" in error["message"]
    family.settled()


def test_a_configuration_of_transitions_runs_machines_too(family: Host) -> None:
    key = begin(family, chart="Counter")
    letter = only_child(family, key, "Counter")

    family.receipt("Letter", letter, "send_off")

    assert family.wait_in("Counter", key, "done")["data"]["result"]["name"] == key
