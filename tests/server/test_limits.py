"""Limits on concurrent activities: they hold over all machines, in order of arrival, despite kills."""

from __future__ import annotations

import json
import random
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

MACHINES = 20
LIMIT = 3
PATIENCE = timedelta(seconds=120)


def begin(host: Host, chart: str, keys: list[str], effect: str, event: str = "begin") -> None:
    answers = host.together([(chart, key, event, {"effect": effect}) for key in keys])
    assert [answer.status_code for answer in answers] == [200] * len(keys), [answer.text for answer in answers]


def send(host: Host, key: str, effect: str, event: str = "begin") -> None:
    host.server.send("Narrow", key, event, {"effect": effect})


def keys_of(host: Host, name: str) -> list[str]:
    return [entry.key for entry in host.effects.entries(name)]


def most_inside(host: Host, effect: str) -> int:
    """How many were inside at once at most: each from the first time it came in to the last time it went out."""
    first = {entry.key: entry.seq for entry in reversed(host.effects.entries(f"{effect}-in"))}
    last = {entry.key: entry.seq for entry in host.effects.entries(f"{effect}-out")}
    assert first.keys() == last.keys()
    return max(sum(first[other] <= first[key] <= last[other] for other in first) for key in first)


def waiting(host: Host, activity: str, chart: str = "Narrow") -> int:
    """How many wait for this activity."""
    return sum(name.startswith("place ") for name in host.stored(f"{chart}.limits", activity))


def wait_for_queue(host: Host, length: int, activity: str = "working") -> None:
    wait_until(lambda: waiting(host, activity) == length, PATIENCE, f"{length} to wait")


def the_job(host: Host, chart: str, key: str) -> str:
    [job] = wait_until(lambda: host.jobs(chart, key), what=f"the work of {key} to begin")
    return str(job["id"])


def put_inside(host: Host, activity: str, run: str) -> None:
    """Have this invocation count as inside, without a watcher."""
    gate = {"limit": 1, "inside": [[run, False]], "first": 1, "last": 0}
    body = {"object_key": activity, "new_state": {"gate": list(json.dumps(gate).encode())}}
    host.client.post(f"{host.server.admin_url}/services/Narrow.limits/state", json=body).raise_for_status()
    wait_until(lambda: "gate" in host.stored("Narrow.limits", activity), what="the gate to be written")


def test_no_more_activities_run_at_once_than_the_limit_allows(fan: Host) -> None:
    name = fan.key("crowd")
    keys = [fan.key("busy") for _ in range(MACHINES)]

    with fan.effects.hold(f"before:{name}-out", times=LIMIT):  # until as many are inside as may be, and all others wait
        begin(fan, "Busy", keys, name)
        fan.effects.wait_recorded(f"{name}-in", LIMIT)
        wait_until(lambda: waiting(fan, "working", "Busy") == MACHINES - LIMIT, PATIENCE, "the others to wait")

    for key in keys:
        assert fan.wait_in("Busy", key, "done", PATIENCE)["data"]["result"] == f"done {name}-out"
    assert most_inside(fan, name) == LIMIT
    assert sorted(keys_of(fan, f"{name}-out")) == sorted(keys)
    fan.settled()
    assert fan.stored("Busy.limits", "working") == {}


def test_waiting_activities_run_in_the_order_of_their_arrival(fan: Host) -> None:
    name = fan.key("queue")
    keys = [fan.key("narrow") for _ in range(6)]

    with fan.effects.hold(f"before:{name}-out") as gate:
        for place, key in enumerate(keys):
            send(fan, key, name)
            if place == 0:
                gate.wait_reached()
            else:
                wait_for_queue(fan, place)
        assert keys_of(fan, f"{name}-in") == keys[:1]

    for key in keys:
        fan.wait_in("Narrow", key, "done", PATIENCE)
    assert keys_of(fan, f"{name}-in") == keys_of(fan, f"{name}-out") == keys
    fan.settled()


@pytest.mark.parametrize("server", ["fan_awake", "fan_replaying"])
def test_kills_lose_no_waiting_activity_and_start_none_too_early(
    server: str, request: pytest.FixtureRequest, dice: random.Random, scale: int
) -> None:
    host: Host = request.getfixturevalue(server)
    for _ in range(scale):
        name = host.key("killed")
        keys = [host.key("busy") for _ in range(MACHINES)]
        with ExitStack() as held:  # as many as may be inside are held, for each victim, so there is something to lose
            gates = [held.enter_context(host.effects.hold(f"before:{name}-out", times=LIMIT)) for _ in range(3)]
            begin(host, "Busy", keys, name)

            for victim, gate in zip(dice.sample(["service", "server", "both"], 3), gates, strict=True):
                gate.wait_reached(dice.randrange(1, LIMIT + 1))
                if victim != "server":
                    host.served.kill()
                if victim != "service":
                    host.server.kill()
                    host.server.start()
                if victim != "server":
                    host.served.restart()
                gate.open()

        for key in keys:
            host.wait_in("Busy", key, "done", PATIENCE)
        assert most_inside(host, name) <= LIMIT
        host.settled()
        assert host.stored("Busy.limits", "working") == {}


def test_a_failed_activity_frees_its_slot(fan: Host) -> None:
    name, keys = fan.key("failing"), [fan.key("narrow"), fan.key("narrow")]
    fan.effects.fail_next(f"{name}-in", times=3)

    begin(fan, "Narrow", keys, name)

    ends = [wait_until(lambda key=key: _end(fan, key), PATIENCE, "an end") for key in keys]  # type: ignore[misc]
    assert sorted(ends) == ["done", "failed"]


def _end(host: Host, key: str) -> str:
    state: str = host.snapshot("Narrow", key)["configuration"][0]
    return state if state in ("done", "failed") else ""


def test_a_killed_activity_frees_its_slot_at_once(fan: Host) -> None:
    name, holder, other = fan.key("killed"), fan.key("narrow"), fan.key("narrow")

    with fan.effects.hold(f"before:{name}-out") as gate:
        send(fan, holder, name)
        gate.wait_reached()
        send(fan, other, name)
        wait_for_queue(fan, 1)
        fan.server.kill_invocation(the_job(fan, "Narrow", holder))

        fan.wait_in("Narrow", other, "done", PATIENCE)
    fan.receipt("Narrow", holder, "back")
    fan.settled()


@pytest.mark.parametrize("how", ["stopped by its machine", "killed by an operator"])
def test_a_stopped_activity_leaves_the_queue_of_its_limit(fan: Host, how: str) -> None:
    name = fan.key("leaving")
    holder, leaver, other = fan.key("narrow"), fan.key("narrow"), fan.key("narrow")

    with fan.effects.hold(f"before:{name}-out") as gate:
        send(fan, holder, name)
        gate.wait_reached()
        send(fan, leaver, name)
        wait_for_queue(fan, 1)
        send(fan, other, name)
        wait_for_queue(fan, 2)
        if how == "killed by an operator":
            fan.server.kill_invocation(the_job(fan, "Narrow", leaver))
        fan.receipt("Narrow", leaver, "back")
        wait_for_queue(fan, 1)

    fan.wait_in("Narrow", other, "done", PATIENCE)
    fan.settled()
    assert keys_of(fan, f"{name}-in") == [holder, other]
    assert fan.snapshot("Narrow", leaver)["configuration"] == ["idle"]
    assert fan.stored("Narrow.limits", "working") == {}


def test_a_deadline_runs_while_the_activity_waits_for_its_limit(fan: Host) -> None:
    name, holder, other = fan.key("late"), fan.key("narrow"), fan.key("narrow")

    with fan.effects.hold(f"before:{name}-out") as gate:
        send(fan, holder, name)
        gate.wait_reached()
        put_inside(fan, "hurrying", the_job(fan, "Narrow", holder))
        send(fan, other, name, "hurry")
        late = fan.wait_in("Narrow", other, "failed", PATIENCE)

    assert late["data"]["error"]["message"] == "activity 'hurrying' did not end within 0:00:00.400000."
    fan.settled()
    assert keys_of(fan, f"{name}-in") == [holder]
    assert fan.stored("Narrow.limits", "hurrying") == {}


def test_an_exclusive_activity_waits_for_its_limit_too(fan: Host) -> None:
    name, holder, other = fan.key("exclusive"), fan.key("narrow"), fan.key("narrow")

    with fan.effects.hold(f"before:{name}-out") as gate:
        send(fan, holder, name, "hold")
        gate.wait_reached()
        send(fan, other, name, "hold")
        wait_for_queue(fan, 1, "holding")
        assert fan.snapshot("Narrow", other)["configuration"] == ["holding"]

    fan.wait_in("Narrow", other, "done", PATIENCE)
    assert keys_of(fan, f"{name}-in") == keys_of(fan, f"{name}-out") == [holder, other]
    fan.settled()


def test_a_slot_of_a_run_killed_while_it_entered_is_freed_by_the_next_waiter(fan_awake: Host) -> None:
    """A kill at one moment kills the watcher of the run too; the test writes the gate as it is then."""
    host, name, other = fan_awake, fan_awake.key("gone"), fan_awake.key("narrow")
    gone = host.server.send("Narrow", host.key("narrow"), "create")
    host.server.output(gone)
    put_inside(host, "working", gone)

    send(host, other, name)

    host.wait_in("Narrow", other, "done", PATIENCE)
    host.settled()
