"""Whatever an operator writes under a machine's key: calls get an answer, other machines are seen, and it can be deleted."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from durable_fsm.admin.client import Admin
from durable_fsm.admin.diagnosis import diagnoses
from durable_fsm.admin.inventory import machines_of
from durable_fsm.errors.statuses import STATUS
from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

EDITS = 20
DEEP = b"[" * 5_000 + b"]" * 5_000

NOTHING_OF_OURS = (b"\xff\xfe", b'{"a": "\xff"}', b"", b"null", b"7", b'"x"', b"[]", b"[1]", b"{", DEEP)
"""Values that this build has written under no name."""

RECORDS: dict[str, list[bytes]] = {
    "handles": [*NOTHING_OF_OURS, b'{"a": 1}', b'{"a": {}}', b'{"": "inv_nonsense"}'],
    "parked": [*NOTHING_OF_OURS, b'{"a": 1}', b'{"a": {"token": 7}}', b'{"a": {"token": "a", "error": "x"}}'],
    "waiters": [
        *NOTHING_OF_OURS,
        b'{"a": 1}',
        b'{"a": {}}',
        b'{"a": {"until": {}}}',
        b'{"a": {"until": {"state": []}}}',
    ],
    "letters": [*NOTHING_OF_OURS, b'["x"]', b'["{}"]', b'[{"kind": "event"}]', b'{"a": 1}'],
}

MEMBERS: list[dict[str, Any]] = [
    {"log": 7}, {"log": []}, {"log": {"tail": 7}}, {"log": {"tail": [7], "entries": 1}}, {"log": {"entries": -1}},
    {"log": {"tail": [{"n": "one"}], "entries": 1}}, {"log": {"tail": [], "pages": 10**12}}, {"log": {"pages": -1}},
    {"log": {"tail": [{"n": 1, "seq": 1, "at": 1e300, "event": 7, "steps": 7}], "entries": 1}},
    {"due": 7}, {"due": {"t": "soon"}}, {"due": {"t": 10**18}}, {"due": {"t": -(10**18)}}, {"due": []},
    {"configuration": 7}, {"configuration": []}, {"configuration": ["nowhere"]}, {"configuration": [{}]},
    {"configuration": ["there", "asleep"]}, {"configuration": ["there", "there"]}, {"status": "asleep"},
    {"status": "failed"}, {"status": ["failed"]}, {"failure": 7}, {"failure": {"type": "x"}}, {"data": 7},
    {"data": {"heard": "x"}}, {"seq": "x"}, {"seq": -1}, {"life": 7}, {"chart": "Other"}, {"chart": 7},
    {"version": "9"}, {"version": ["9"]}, {"format": 99}, {"digest": 7}, {"timers": 7}, {"timers": [7]},
    {"timers": [{"token": "t", "event": "nothing", "after_ms": 1}]}, {"timers": [{"token": "t"}]},
    {"timers": [{"token": "t", "event": "ping", "after_ms": 10**30}]},
    {"timers": [{"token": "t", "event": "ping", "after_ms": 1, "at": "noon"}]},
    {"timers": [{"token": "t", "event": "error.invoke.x", "after_ms": 1, "activity": "gone"}]},
    {"activities": [{"token": "t", "id": "nothing", "state": "there", "entry": 1}]}, {"activities": {}},
    {"machines": [{"token": "t", "id": "x", "chart": "Nobody", "state": "there", "place": 0}]}, {"machines": 7},
    {"deferred": [{"token": "t", "event": "nothing", "payload": 1}]}, {"history": {"there": ["nowhere"]}},
    {"undo": [{"token": "t", "id": "x", "state": "there", "entry": 1}]}, {"over": 7}, {"run_by": 7},
    {"stopping": [{"token": "t", "id": "x", "state": "there", "entry": 1}]}, {"waited_for": 7}, {"gone": 7},
]  # fmt: skip
"""Members that replace those of a stored machine."""

UNREADABLE = {"SnapshotUnreadable", "VersionError"}


def write(host: Host, machines: dict[str, dict[str, bytes]]) -> None:
    """Write all that the keys hold, and wait until all of it is there."""
    for key, values in machines.items():
        state = {name: list(value) for name, value in {**values, "written": b"1"}.items()}
        body = {"object_key": key, "new_state": state}
        host.client.post(f"{host.server.admin_url}/services/Friend/state", json=body).raise_for_status()
    keys = ", ".join(f"'{key}'" for key in machines)
    asked = (
        f"SELECT count(*) AS n FROM state WHERE service_name = 'Friend' AND key = 'written' AND service_key IN ({keys})"
    )
    wait_until(lambda: host.server.query(asked)[0]["n"] == len(machines), what="the state to be written")


def friend(host: Host) -> tuple[str, dict[str, Any]]:
    """A machine with a history and a timer, as it is stored."""
    key = host.key("friend")
    host.receipt("Friend", key, "ping", 1)
    host.receipt("Friend", key, "write", {"to": key, "number": 2, "after": 3_000})
    return key, json.loads(host.stored("Friend", key)["snapshot"])


def with_snapshots(host: Host) -> dict[str, dict[str, bytes]]:
    """A machine for each hostile snapshot."""
    _, record = friend(host)
    whole = json.dumps(record).encode()
    texts = [*NOTHING_OF_OURS, whole[:-10], whole.replace(b"there", b"th\xe9re")]
    texts += [json.dumps({**record, **members}).encode() for members in MEMBERS]
    return {host.key("hostile"): {"snapshot": text} for text in texts}


def with_values(host: Host) -> dict[str, dict[str, bytes]]:
    """A machine that is sound for each hostile value beside it."""
    _, record = friend(host)
    texts = {name: json.dumps({**record, "waited_for": name == "waiters"}).encode() for name in RECORDS}
    pairs = [(name, value) for name, values in RECORDS.items() for value in values]
    return {host.key("hostile"): {"snapshot": texts[name], name: value} for name, value in pairs}


def calls(key: str, values: dict[str, bytes]) -> Iterator[tuple[str, str, str, object]]:
    """What a caller asks of a machine, as far as it reads these values."""
    yield "Friend", key, "snapshot", None
    yield "Friend", key, "ping", 1
    if values.keys() <= {"snapshot"}:
        yield "Friend", key, "history", {"last": 5}
    else:
        yield "Friend", key, "write", {"to": key, "after": 3_000}
        yield "Friend", key, "repair", {"resend": True, "reason": "why"}
    if "waiters" in values:
        yield "Friend", key, "wait_for", {"state": "gone", "timeout": "200ms"}


def stuck(host: Host, keys: set[str]) -> list[dict[str, Any]]:
    """Invocations of these machines that will not end by themselves."""
    rows = host.server.query(
        "SELECT id, target, status, last_failure, target_service_key FROM sys_invocation"
        " WHERE target_service_name = 'Friend' AND status IN ('backing-off', 'paused')"
    )
    return [row for row in rows if row["target_service_key"] in keys]


def survive(host: Host, found: dict[str, dict[str, bytes]]) -> None:
    """Write these contents, ask everything, read them as operators do, and delete them."""
    write(host, found)

    asked = [call for key, values in found.items() for call in calls(key, values)]
    try:
        answers = host.together(asked)
    except httpx.TimeoutException:
        raise AssertionError(
            f"blocked: {[(found[row['target_service_key']], row) for row in stuck(host, set(found))]}"
        ) from None
    wrong = [
        (call, found[call[1]], answer.status_code, answer.text)
        for call, answer in zip(asked, answers, strict=True)
        if answer.status_code not in {200, *STATUS.values()}
        or (answer.status_code >= 500 and answer.json()["metadata"]["type"] not in UNREADABLE)
    ]
    assert wrong == []
    sender, _ = friend(host)
    for key in [key for key, values in found.items() if "letters" in values]:
        host.receipt("Friend", sender, "write", {"to": key})
    with Admin(host.server.admin_url) as admin:
        listed = {one.key: one.status for one in machines_of(admin, "Friend")}
        told = "\n".join(one.what for one in diagnoses(admin))
    assert found.keys() | {sender} <= listed.keys()
    assert listed[sender] == "running"
    assert [key for key in found if listed[key] == "unreadable" and f"Friend/{key}:" not in told] == []

    gone = host.together([("Friend", key, "delete", {"abandon": True}) for key in found])
    assert {answer.status_code for answer in gone} <= {200, 404}, [answer.text for answer in gone]
    again = host.together([("Friend", key, "create", {"left": 1}) for key in found])
    # 409: a message that waited has begun the new machine before
    assert {answer.status_code for answer in again} <= {200, 409}
    wait_until(lambda: not stuck(host, set(found)), what="nothing to be retried for ever")


def test_no_snapshot_blocks_its_key_or_hides_another_machine(family_awake: Host) -> None:
    survive(family_awake, with_snapshots(family_awake))


def test_no_value_beside_a_machine_blocks_its_key(family: Host) -> None:
    survive(family, with_values(family))


def test_random_edits_of_a_stored_machine_get_an_answer(family_awake: Host, dice: random.Random, scale: int) -> None:
    _, record = friend(family_awake)

    for _ in range(scale):
        edits = [json.dumps(edited(record, dice)).encode() for _ in range(EDITS)]
        torn = [edit[: dice.randrange(len(edit))] for edit in edits[: EDITS // 10]]
        survive(family_awake, {family_awake.key("edited"): {"snapshot": text} for text in [*edits, *torn]})


STRANGE: tuple[Any, ...] = (None, True, -1, 0, 1, 10**30, 1e308, "", "x", "there", "\x1b[31m\n", [], [1], {}, {"a": 1})


def edited(value: Any, dice: random.Random) -> Any:
    """A copy in which one place has something else, or is missing."""
    if isinstance(value, dict) and value and dice.random() < 0.8:
        name = dice.choice(sorted(value))
        if dice.random() < 0.1:
            return {other: kept for other, kept in value.items() if other != name}
        return {**value, name: edited(value[name], dice)}
    if isinstance(value, list) and value and dice.random() < 0.8:
        place = dice.randrange(len(value))
        return [*value[:place], edited(value[place], dice), *value[place + 1 :]]
    return dice.choice(STRANGE)
