"""What is too long for Restate is refused before anything is sent: Restate would try for ever, and block the key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from durable_fsm.admin.client import Admin
from durable_fsm.admin.diagnosis import diagnoses
from durable_fsm.core.address import LONGEST_CHILD_KEY, LONGEST_KEY, child_key, fault_in_key
from durable_fsm.restate.http.requests import MAX_INPUT, MAX_SNAPSHOT
from durable_fsm.restate.messages.inbox import MOST_LETTER_BYTES
from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

TOO_MUCH = 34_000_000
"""More bytes than Restate carries, and more than we take."""


# ── the input of activities ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("event", ["carry_it", "carry_alone", "send_off"])
def test_an_input_that_restate_cannot_carry_is_refused_and_the_machine_goes_on(hostile: Host, event: str) -> None:
    key = hostile.key("carrier")
    hostile.receipt("Carrier", key, "create")
    before = hostile.stored("Carrier", key)

    answer = hostile.post("Carrier", key, event, TOO_MUCH)

    assert (answer.status_code, answer.json()["metadata"]["type"]) == (413, "TooLarge")
    assert hostile.stored("Carrier", key) == before
    assert hostile.receipt("Carrier", key, "send_off", 1)["outcome"] == "taken"


@pytest.mark.parametrize(("event", "error"), [("carry_after", "TooLarge"), ("carry_many", "TooManyItems")])
def test_work_that_cannot_be_refused_any_more_fails_if_its_input_is_too_long(
    hostile: Host, event: str, error: str
) -> None:
    """An exclusive activity after another, whose event was saved already; and the items of a fan-out."""
    key = hostile.key("carrier")

    receipt = hostile.receipt("Carrier", key, event, TOO_MUCH)

    assert receipt["configuration"] == ["idle"]
    assert hostile.snapshot("Carrier", key)["data"]["error"] == error


def test_an_input_just_below_the_limit_arrives(hostile: Host) -> None:
    key = hostile.key("carrier")
    size = MAX_SNAPSHOT - 20

    hostile.receipt("Carrier", key, "carry_alone", size)

    assert hostile.snapshot("Carrier", key)["data"]["result"] == f"carried {size}"


@pytest.mark.parametrize(("size", "end"), [(MAX_INPUT - 2, "over"), (MAX_INPUT + 10_000, "idle")])
def test_an_output_of_a_child_that_is_too_long_is_a_failure(hostile: Host, size: int, end: str) -> None:
    parent = hostile.key("parent")
    hostile.receipt("Porter", parent, "begin", size)
    child = wait_until(lambda: hostile.snapshot("Porter", parent)["machines"])[0]["key"]
    wait_until(lambda: hostile.stored("Bale", child), what="the child to begin")

    hostile.receipt("Bale", child, "end")

    machine = hostile.wait_in("Porter", parent, end)
    assert machine["data"]["error"] == ("TooLarge" if end == "idle" else "")


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [LONGEST_KEY + 1, 65_000, 65_400])
@pytest.mark.parametrize("handler", ["carry_it", "create", "snapshot", "wait_for", "history", "delete"])
def test_a_key_that_is_too_long_is_refused_and_other_requests_are_answered(
    besieged: Host, size: int, handler: str
) -> None:
    """A server that does not take such a header would end the connection that all requests share."""
    answer = besieged.post("Carrier", "x" * size, handler)

    assert (answer.status_code, answer.json()["metadata"]["type"]) == (400, "MalformedInput")
    assert f"has {size:,} bytes; a key has {LONGEST_KEY:,} at most" in answer.json()["message"]
    assert besieged.receipt("Carrier", besieged.key("beside"), "create")["outcome"] == "created"


def test_the_longest_key_is_taken(besieged: Host) -> None:
    key = f"{besieged.key('long')}-".ljust(LONGEST_KEY, "x")

    assert besieged.receipt("Carrier", key, "carry_it", 3)["key"] == key
    assert besieged.wait_in("Carrier", key, "over")["data"]["result"] == "carried 3"


@pytest.mark.parametrize("size", [LONGEST_KEY + 1, 70_000])
def test_a_message_to_a_key_that_is_too_long_is_not_sent(hostile: Host, size: int) -> None:
    key = hostile.key("scribe")

    answer = hostile.post("Scribe", key, "write", {"to": "x" * size})

    assert (answer.status_code, answer.json()["metadata"]["type"]) == (500, "ActionError")
    assert f"has {size:,} bytes; a key has {LONGEST_KEY:,} at most" in answer.json()["message"]
    assert hostile.receipt("Scribe", key, "write", {"to": hostile.key("other")})["outcome"] == "taken"


@pytest.mark.parametrize(
    ("key", "fits"),
    [
        ("ü" * (LONGEST_KEY // 2), True),
        ("ü" * (LONGEST_KEY // 2) + "x", False),
        (child_key("x" * LONGEST_KEY, "child", "0123456789ab.1"), True),
        (child_key("x" * LONGEST_CHILD_KEY, "child", "0123456789ab.1"), False),
    ],
)
def test_a_key_is_measured_in_bytes_and_those_of_children_may_be_longer(key: str, fits: bool) -> None:
    assert (fault_in_key(key) is None) == fits


# ── letters ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_messages_for_an_unreadable_machine_wait_up_to_a_limit_and_doctor_lists_them(hostile: Host) -> None:
    sender, receiver = hostile.key("scribe"), hostile.key("scribe")
    hostile.receipt("Scribe", receiver, "create")
    whole = hostile.stored("Scribe", receiver)["snapshot"]
    hostile.put("Scribe", receiver, whole[:-10])
    size = 1_000_000
    most = MOST_LETTER_BYTES // size

    for _ in range(most + 1):
        hostile.receipt("Scribe", sender, "write", {"to": receiver, "bytes": size})

    wait_until(lambda: hostile.snapshot("Scribe", sender)["data"]["error"], what="a message to come back")
    assert hostile.snapshot("Scribe", sender)["data"]["error"] == "TooManyDeferred"
    hostile.settled()
    letters = hostile.stored("Scribe", receiver)["letters"]
    assert len(json.loads(letters)) == most
    with Admin(hostile.server.admin_url) as admin:
        found = [one.what for one in diagnoses(admin) if one.kind == "letters"]
    assert [what for what in found if what.startswith(f"Scribe/{receiver}: {most} messages (")]
    forget(hostile, receiver)


def forget(host: Host, key: str) -> None:
    body = {"object_key": key, "new_state": {}}
    host.client.post(f"{host.server.admin_url}/services/Scribe/state", json=body).raise_for_status()
