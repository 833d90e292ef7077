"""Fan-out, one activity for each of many items: limited, each done once, results in order, stopped together."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm.core.fan_out import MOST_ITEMS
from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

PATIENCE = timedelta(seconds=120)


def begin(host: Host, items: list[Any], event: str = "begin") -> str:
    crowd = host.key("crowd")
    host.server.send("Crowd", crowd, event, {"effect": crowd, "items": items})
    return crowd


def parts(host: Host, crowd: str, *statuses: str) -> list[dict[str, Any]]:
    """The runs of single items that have been started for this machine."""
    jobs = ", ".join(f"'{job['id']}'" for job in host.jobs("Crowd", crowd)) or "''"
    rows = host.server.query(
        f"SELECT id, status, target_handler_name FROM sys_invocation WHERE invoked_by_id IN ({jobs})"
    )
    return [
        row
        for row in rows
        if row["target_handler_name"].startswith("_each_") and (not statuses or row["status"] in statuses)
    ]


def ids(machine: dict[str, Any], activity: str, count: int) -> list[str]:
    stem = f"Crowd/{machine['key']}/{machine['life']}/{activity}"
    return [f"{stem}/2/{index}" for index in range(count)]


def keys_of(host: Host, name: str) -> list[str]:
    return [entry.key for entry in host.effects.entries(name)]


@pytest.mark.parametrize(("event", "activity"), [("begin", "handling"), ("hold", "holding")])
def test_each_item_is_done_once_under_its_own_id(fan: Host, event: str, activity: str) -> None:
    name = fan.key("item")
    items = [f"{name}-{number}" for number in range(7)]

    crowd = begin(fan, items, event)

    machine = fan.wait_in("Crowd", crowd, "done", PATIENCE)
    assert machine["data"]["result"] == [f"done {item}" for item in items]
    assert [keys_of(fan, item) for item in items] == [[id] for id in ids(machine, activity, len(items))]
    assert machine["activities"] == []
    fan.settled()


def test_the_results_of_many_items_are_in_order(fan: Host) -> None:
    crowd = begin(fan, [*range(60)], "twice")

    assert fan.wait_in("Crowd", crowd, "done", PATIENCE)["data"]["result"] == [*range(0, 120, 2)]


def test_an_item_function_may_take_the_data_too(fan: Host) -> None:
    crowd = begin(fan, [5, 6], "know")

    assert fan.wait_in("Crowd", crowd, "done", PATIENCE)["data"]["result"] == [f"{crowd} 5 0", f"{crowd} 6 1"]


def test_only_so_many_items_run_concurrently(fan: Host) -> None:
    name = fan.key("item")

    with fan.effects.hold(f"before:{name}", times=3) as gate:
        crowd = begin(fan, [name] * 8)
        gate.wait_reached(3)
        assert len(parts(fan, crowd)) == 3
        [running] = fan.snapshot("Crowd", crowd)["activities"]
        assert running["id"] == "handling"

    machine = fan.wait_in("Crowd", crowd, "done", PATIENCE)
    assert sorted(keys_of(fan, name)) == ids(machine, "handling", 8)


def test_a_fan_out_over_no_items_is_done_at_once(fan: Host) -> None:
    crowd = fan.key("crowd")

    receipt = fan.receipt("Crowd", crowd, "begin", {"effect": crowd, "items": []})

    assert receipt["configuration"] == ["done"]
    assert fan.snapshot("Crowd", crowd)["data"]["result"] == []
    assert fan.jobs("Crowd", crowd) == []


def test_a_fan_out_over_too_many_items_is_an_error(fan: Host) -> None:
    crowd = fan.key("crowd")

    receipt = fan.receipt("Crowd", crowd, "begin", {"effect": crowd, "items": [0] * (MOST_ITEMS + 1)})

    assert receipt["configuration"] == ["failed"]
    error = fan.snapshot("Crowd", crowd)["data"]["error"]
    assert error["type"] == "TooManyItems"
    assert error["message"] == "activity 'handling' was not started: it has 10,001 items; at most 10,000 are allowed."


# ── failures ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("server", ["fan_awake", "fan_replaying"])
def test_the_first_failed_item_stops_the_others(server: str, request: pytest.FixtureRequest) -> None:
    host: Host = request.getfixturevalue(server)
    name = host.key("item")
    slow, bad, never = f"{name}-slow", f"{name}-bad", f"{name}-never"
    host.effects.fail_next(bad, times=3)

    with host.effects.hold(f"before:{slow}", times=2) as gate, host.effects.hold(f"before:{bad}") as fails:
        crowd = begin(host, [slow, bad, slow, never])
        gate.wait_reached(2)
        fails.wait_reached()
        fails.open()

        machine = host.wait_in("Crowd", crowd, "failed", PATIENCE)
        assert [part["status"] for part in parts(host, crowd)] == ["completed"] * 3

    assert machine["data"]["error"]["type"] == "EffectRefused"
    assert machine["data"]["error"]["metadata"] == {"index": 1}
    assert host.effects.arrived(bad) == 3
    host.settled()
    assert keys_of(host, slow) == keys_of(host, never) == []


def test_a_failed_item_keeps_code_and_metadata_and_has_its_index(fan: Host) -> None:
    name = fan.key("item")

    crowd = begin(fan, [name, name, "hopeless", name])

    error = fan.wait_in("Crowd", crowd, "failed", PATIENCE)["data"]["error"]
    assert error == {
        "type": "TerminalError",
        "message": "this one cannot be handled",
        "metadata": {"why": "hopeless", "index": 2},
    }
    fan.settled()


def test_items_may_all_settle_even_if_some_fail(fan: Host) -> None:
    name = fan.key("item")

    crowd = begin(fan, [name, "hopeless", name, name, name], "settle")

    result = fan.wait_in("Crowd", crowd, "done", PATIENCE)["data"]["result"]
    done = {"status": "done", "result": f"done {name}"}
    assert [result[0], *result[2:]] == [done] * 4
    assert result[1]["status"] == "failed"
    assert result[1]["error"]["message"] == "this one cannot be handled"
    assert (result[1]["error"]["code"], result[1]["error"]["metadata"]) == (418, {"why": "hopeless"})


@pytest.mark.parametrize("server", ["fan_awake", "fan_replaying"])
def test_the_first_item_that_succeeds_may_stop_the_others(server: str, request: pytest.FixtureRequest) -> None:
    host: Host = request.getfixturevalue(server)
    name = host.key("item")
    slow, quick = f"{name}-slow", f"{name}-quick"

    with host.effects.hold(f"before:{slow}", times=2) as gate, host.effects.hold(f"before:{quick}") as first:
        crowd = begin(host, [slow, "hopeless", quick, slow], "race")
        gate.wait_reached(2)
        first.wait_reached()
        first.open()
        machine = host.wait_in("Crowd", crowd, "done", PATIENCE)
        assert [part["status"] for part in parts(host, crowd)] == ["completed"] * 4

    assert machine["data"]["result"] == f"done {quick}"
    host.settled()
    assert (len(keys_of(host, quick)), keys_of(host, slow)) == (1, [])


def test_a_quorum_of_items_is_enough_and_their_results_are_in_order(fan: Host) -> None:
    name = fan.key("item")
    late, early, slow = f"{name}-late", f"{name}-early", f"{name}-slow"

    with fan.effects.hold(f"before:{late}") as gate, fan.effects.hold(f"before:{slow}"):
        crowd = begin(fan, [late, "hopeless", slow, early], "vote")
        fan.wait_for_effect(early)
        gate.wait_reached()
        gate.open()
        machine = fan.wait_in("Crowd", crowd, "done", PATIENCE)

    assert machine["data"]["result"] == [f"done {late}", f"done {early}"]
    fan.settled()
    assert keys_of(fan, slow) == []


@pytest.mark.parametrize(
    ("event", "items"),
    [("race", ["hopeless"] * 3), ("vote", ["hopeless", "fine", "hopeless"])],
    ids=["none of three", "one of three"],
)
def test_a_fan_out_fails_if_too_few_items_succeed(fan: Host, event: str, items: list[str]) -> None:
    crowd = begin(fan, items, event)

    error = fan.wait_in("Crowd", crowd, "failed", PATIENCE)["data"]["error"]
    assert error["message"] == "this one cannot be handled"
    assert items[error["metadata"]["index"]] == "hopeless"
    fan.settled()


def test_fewer_items_than_must_succeed_are_an_error(fan: Host) -> None:
    crowd = fan.key("crowd")

    receipt = fan.receipt("Crowd", crowd, "vote", {"effect": crowd, "items": [crowd]})

    assert receipt["configuration"] == ["failed"]
    assert fan.snapshot("Crowd", crowd)["data"]["error"]["type"] == "TooFewItems"


def test_an_item_that_is_killed_has_failed(fan: Host) -> None:
    name = fan.key("item")

    with fan.effects.hold(f"before:{name}") as gate:
        crowd = begin(fan, [name])
        gate.wait_reached()
        [part] = parts(fan, crowd)
        fan.server.kill_invocation(part["id"])
        error = fan.wait_in("Crowd", crowd, "failed", PATIENCE)["data"]["error"]

    assert error == {"type": "killed", "message": "the item was killed.", "metadata": {"index": 0}}
    fan.settled()


def test_items_are_stopped_when_the_state_is_left(fan_awake: Host) -> None:
    host, name = fan_awake, fan_awake.key("item")

    with host.effects.hold(f"before:{name}", times=3) as gate:
        crowd = begin(host, [name] * 5)
        gate.wait_reached(3)
        host.receipt("Crowd", crowd, "back")
        wait_until(lambda: len(parts(host, crowd, "completed")) == 3, what="the end of all items")
    host.settled()

    assert keys_of(host, name) == []
    assert len(parts(host, crowd)) == 3


# ── together with the rest ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_limit_counts_items_over_all_machines(fan: Host) -> None:
    name = fan.key("item")

    with fan.effects.hold(f"before:{name}", times=2) as gate:
        crowds = [begin(fan, [name] * 4, "queue"), begin(fan, [name] * 4, "queue")]
        gate.wait_reached(2)
        wait_until(lambda: _waiting(fan) == 6, PATIENCE, "the others to wait")
        assert fan.effects.arrived(name) == 2

    for crowd in crowds:
        fan.wait_in("Crowd", crowd, "done", PATIENCE)
    fan.settled()
    assert len(keys_of(fan, name)) == 8


def _waiting(host: Host) -> int:
    return int(host.receipt("Crowd.limits", "queueing", "status")["waiting"])


@pytest.mark.parametrize("server", ["fan_awake", "fan_replaying"])
@pytest.mark.parametrize(("event", "activity"), [("begin", "handling"), ("hold", "holding")])
def test_kills_lose_no_item_and_repeat_none(
    server: str, event: str, activity: str, request: pytest.FixtureRequest, dice: random.Random, scale: int
) -> None:
    host: Host = request.getfixturevalue(server)
    for _ in range(scale):
        name = host.key("item")
        victims = dice.sample(["service", "server", "both"], 3)
        items = [f"{name}-{number}" for number in range(9)]
        struck = sorted(dice.sample(range(9), 3))
        gates = [host.effects.hold(f"{dice.choice(('before', 'after'))}:{name}-{place}") for place in struck]

        crowd = begin(host, items, event)
        for gate, victim in zip(gates, victims, strict=True):
            gate.wait_reached()
            if victim != "server":
                host.served.kill()
            if victim != "service":
                host.server.kill()
                host.server.start()
            if victim != "server":
                host.served.restart()
            gate.open()

        machine = host.wait_in("Crowd", crowd, "done", PATIENCE)
        assert machine["data"]["result"] == [f"done {item}" for item in items]
        assert [set(keys_of(host, item)) for item in items] == [{id} for id in ids(machine, activity, len(items))]
        print(Counter(len(keys_of(host, item)) for item in items))
        host.settled()
