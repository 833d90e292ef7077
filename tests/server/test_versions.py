"""Two builds of a chart side by side: machines migrate, stay on their version, or wait for another deployment."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from durable_fsm.admin.charts import chart_of
from durable_fsm.admin.client import Admin, UnknownChart
from durable_fsm.admin.diagnosis import diagnoses
from durable_fsm.admin.readability import CurrentBuilds
from durable_fsm.testing import EffectLog, RestateServer, wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


@dataclass
class Builds:
    """A chart of the test's own, and its deployments in the order in which they came."""

    chart: str
    begin: Callable[..., Host]

    def restarted(self, *hosts: Host) -> None:
        """SIGKILL the server and these services, all at once, and start them again."""
        for host in hosts:
            host.served.kill()
        hosts[0].server.kill()
        hosts[0].server.start()
        for host in hosts:
            host.served.restart()


@pytest.fixture(params=["restate_server", "replaying_server"])
def builds(
    request: pytest.FixtureRequest, hosting: type[Host], effect_log: EffectLog, tmp_path: Path
) -> Iterator[Builds]:
    server: RestateServer = request.getfixturevalue(request.param)
    chart = f"Parcel{request.node.callspec.id.partition('_')[0].title()}{abs(hash(request.node.nodeid)) % 10**8}"
    with ExitStack() as stack:

        def begin(build: str, **settings: str) -> Host:
            log = tmp_path / f"{build}.log"
            env = {"VERSIONS_NAME": chart, "VERSIONS_BUILD": build, **settings}
            return stack.enter_context(hosting.on(server, effect_log, log, "versions_app:application", **env))

        yield Builds(chart, begin)


def test_the_server_tells_the_chart_of_each_deployment_while_no_service_runs(builds: Builds) -> None:
    old = builds.begin("first")
    old.receipt(builds.chart, key := old.key("carried"), "begin", {"name": key})
    digest = json.loads(old.stored(builds.chart, key)["snapshot"])["digest"]
    first = old.served.deployment.id
    new = builds.begin("second")
    old.served.kill()
    new.served.kill()

    with Admin(new.server.admin_url) as admin:
        latest, before = chart_of(admin, builds.chart), chart_of(admin, builds.chart, first)
        with pytest.raises(UnknownChart, match=f"Did you mean '{builds.chart}'"):
            chart_of(admin, f"{builds.chart}s")

    assert (latest.version, before.version, before.digest) == ("2", "1", digest)
    old.served.restart()
    new.served.restart()


def entries(host: Host, chart: str, key: str, event: str) -> list[dict[str, Any]]:
    found = host.receipt(chart, key, "history", {"limit": 100})["entries"]
    return [entry for entry in found if entry["event"] == event]


def timers(machine: dict[str, Any]) -> dict[str, str]:
    return {timer["event"]: timer["token"] for timer in machine["timers"] if "activity" not in timer}


def test_machines_of_an_earlier_build_migrate_and_their_work_continues(builds: Builds) -> None:
    chart = builds.chart
    old = builds.begin("first")
    waiting, packing, seen, done = (old.key(name) for name in ("waiting", "packing", "seen", "done"))
    for key in (waiting, packing, seen, done):
        old.receipt(chart, key, "begin", {"name": key})
    for key in (waiting, packing, done):
        wait_until(lambda key=key: not old.snapshot(chart, key)["activities"], what="the letter to be sent")
    old.receipt(chart, done, "pack")
    old.wait_in(chart, done, "sent")
    before = old.snapshot(chart, waiting)

    with old.effects.hold(f"before:{packing}-packed-by-first") as gate:
        old.receipt(chart, packing, "pack")
        assert old.receipt(chart, packing, "note", "for later")["outcome"] == "deferred"
        gate.wait_reached()
        new = builds.begin("second")

        # a reader sees what the next turn will find, and changes nothing
        stored = new.stored(chart, waiting)["snapshot"]
        read = new.snapshot(chart, waiting)
        assert (read["version"], read["stored_version"], read["data"]["title"]) == ("2", "1", waiting.upper())
        assert timers(read) == {"expire": timers(before)["lapse"]}
        assert new.snapshot(chart, packing)["configuration"] == ["wrapping"]
        assert new.stored(chart, waiting)["snapshot"] == stored

        # the next event migrates the machine, also one that is rejected
        assert new.post(chart, waiting, "begin", {"name": "again"}).status_code == 409
        now = new.snapshot(chart, waiting)
        assert (now["version"], now["configuration"]) == ("2", ["waiting"])
        assert "stored_version" not in now
        assert timers(now)["expire"] == timers(before)["lapse"]
        assert timers(now).keys() == {"expire", "nudge"}
        assert new.receipt(chart, done, "repair", {"migrate": True, "reason": "all of them"})["status"] == "done"
        assert new.receipt(chart, packing, "repair", {"migrate": True, "reason": "all of them"})["seq"] == 6

        builds.restarted(old, new)
        gate.open()

    # work that the old build has begun ends on the new one, under its old stable id
    machine = new.wait_in(chart, packing, "sent")
    assert machine["data"]["results"] == [f"{packing}-packed-by-first"]
    [stable_id] = {entry.key for entry in new.effects.entries(f"{packing}-packed-by-first")}
    assert stable_id.endswith("/packing/4")
    # what was new has been begun, what was over has not been begun again, and what is gone is cancelled
    wait_until(lambda: new.snapshot(chart, waiting)["data"]["nudged"] == 1, what="the new timer")
    new.effects.wait_recorded(f"{waiting.upper()}-insured")
    assert [len(set(new.effects.counts(f"{name}-mailed"))) for name in (waiting, seen)] == [1, 1]
    assert new.effects.entries(f"{waiting.upper()}-mailed-again") == ()
    [told] = entries(new, chart, waiting, "migrated")
    assert told["note"] == {"from": "1", "to": "2", "dropped": ["remind"]} or told["note"] == {"from": "1", "to": "2"}
    assert new.snapshot(chart, done)["data"]["title"] == done.upper()
    scheduled = new.invocations(chart, waiting, status="scheduled")
    live = {timer["token"] for timer in new.snapshot(chart, waiting)["timers"]}
    wait_until(lambda: len(new.invocations(chart, waiting, status="scheduled")) == len(live), what=f"{scheduled}")


def test_a_migration_waits_for_an_exclusive_activity_of_the_earlier_build(builds: Builds) -> None:
    chart = builds.chart
    old = builds.begin("first")
    key = old.key("weighing")
    old.receipt(chart, key, "begin", {"name": key})
    wait_until(lambda: not old.snapshot(chart, key)["activities"], what="the letter to be sent")

    with old.effects.hold(f"before:{key}-weighed", times=9) as gate:  # also when it is called again after the kill
        held = old.server.send(chart, key, "weigh")
        gate.wait_reached()
        new = builds.begin("second")
        noted = new.server.send(chart, key, "note", "hello")
        wait_until(lambda: new.invocations(chart, key, target_handler_name="note", status="pending"), what="the queue")
        builds.restarted(old, new)
        assert json.loads(new.stored(chart, key)["snapshot"])["version"] == "1"
        gate.open()

    assert old.server.output(held)["configuration"] == ["waiting"]
    assert new.server.output(noted)["outcome"] == "taken"
    machine = new.snapshot(chart, key)
    assert (machine["version"], machine["data"]["notes"]) == ("2", ["hello"])
    assert [entry["event"] for entry in new.receipt(chart, key, "history", {"limit": 100})["entries"]][:6] == [
        "create", "begin", "done.invoke.mail", "weigh", "done.invoke.weighing", "migrated",
    ]  # fmt: skip
    assert len(set(new.effects.counts(f"{key}-weighed"))) == 1


def test_a_machine_continues_under_an_earlier_version_that_is_still_deployed(builds: Builds) -> None:
    chart = builds.chart
    old = builds.begin("first")
    before, begun, after = (old.key(name) for name in ("before", "begun", "after"))
    for key in (before, begun):
        old.receipt(chart, key, "begin", {"name": key})
        wait_until(lambda key=key: not old.snapshot(chart, key)["activities"], what="the letter to be sent")

    with old.effects.hold(f"before:{begun}-packed-by-first") as gate:
        old.receipt(chart, begun, "pack")
        gate.wait_reached()
        new = builds.begin("third")
        new.receipt(chart, after, "begin", {"name": after})
        new.receipt(chart, before, "old_only")
        new.receipt(chart, before, "pack")
        accepted = [event["event"] for event in new.snapshot(chart, begun)["events"]]
        builds.restarted(old, new)
        gate.open()

    for key, build, version in ((before, "first", "1"), (begun, "first", "1"), (after, "third", "3")):
        machine = new.wait_in(chart, key, "sent")
        assert (machine["version"], machine["data"]["results"]) == (version, [f"{key}-packed-by-{build}"])
    assert accepted == ["begin", "note", "old_only", "pack", "weigh"]
    assert new.post(chart, after, "old_only").status_code == 404
    met = new.receipt(chart, before, "wait_for", {"any": [{"state": "waiting"}, {"status": "done"}]})
    assert met["outcome"] == "met"
    new.settled()


def test_a_machine_that_no_deployment_takes_stays_unchanged_and_readable_until_one_does(builds: Builds) -> None:
    chart = builds.chart
    old = builds.begin("first")
    key, other = old.key("waiting"), old.key("deleted")
    old.receipt(chart, other, "begin", {"name": other})

    with old.effects.hold(f"before:{key}-mailed") as gate:
        old.receipt(chart, key, "begin", {"name": key})
        gate.wait_reached()
        new = builds.begin("forgetful")
        before = new.stored(chart, key)["snapshot"]
        gate.open()
        wait_until(
            lambda: new.invocations(chart, key, target_handler_name="_parked", status="scheduled"),
            what="the outcome to be parked",
        )

        refused = new.post(chart, key, "note", "hello")
        assert (refused.status_code, refused.json()["metadata"]["type"]) == (500, "VersionError")
        machine = new.snapshot(chart, key)
        assert (machine["version"], machine["configuration"], machine["data"]["name"]) == ("1", ["waiting"], key)
        assert machine["refused"]["type"] == "VersionError"
        assert machine["refused"]["message"].startswith(
            "the snapshot was written by chart version '1'; this deployment"
        )
        assert machine["events"] == []
        assert [parked["activity"] for parked in machine["parked"]] == ["mail"]
        assert new.receipt(chart, other, "delete")["outcome"] == "deleted"
        assert new.stored(chart, other) == {}

        new.served.restart(env={"VERSIONS_BUILD": "mistaken"})
        refused = new.post(chart, key, "note", "hello")
        assert (refused.status_code, refused.json()["metadata"]["type"]) == (500, "MigrationError")
        assert refused.json()["message"] == (
            f"{chart}/{key}: the migration from version '1' to '2' cannot be done: to_second raised ValueError:"
            " the second build has a mistake. The snapshot has not changed. Fix the migration and deploy again. With an"
            " idempotency key this answer is kept for a day: after the correction, send the request with another key."
        )
        assert new.snapshot(chart, key)["refused"]["type"] == "MigrationError"
        assert new.stored(chart, key)["snapshot"] == before

        new.served.restart(env={"VERSIONS_BUILD": "second"})
        wait_until(
            lambda: not new.snapshot(chart, key).get("stored_version"), what="the outcome to migrate the machine"
        )
    assert new.receipt(chart, key, "note", "hello")["outcome"] == "taken"
    events = [entry["event"] for entry in new.receipt(chart, key, "history", {"limit": 100})["entries"]]
    assert events[2:4] == ["migrated", "done.invoke.letter"]
    assert len(set(new.effects.counts(f"{key}-mailed"))) == 1


KINDS = ("get", "set", "send")
"""Durable steps that each migration has. It asks for the id of a send only until this process can foretell ids."""


def test_a_migration_survives_a_kill_at_any_of_its_steps(
    builds: Builds, scale: int, dice: random.Random, tmp_path: Path
) -> None:
    chart = builds.chart
    old = builds.begin("first")
    keys = [old.key("killed") for _ in range(4 * len(KINDS))]
    for key in keys:
        old.receipt(chart, key, "begin", {"name": key})
    for key in keys:
        wait_until(lambda key=key: not old.snapshot(chart, key)["activities"], what="the letter to be sent")
    deaths = [dice.choice(KINDS)] if scale == 1 else list(KINDS)
    new = builds.begin("second", DYING_LOG=str(tmp_path / "none"))

    for place, kind in enumerate(deaths):
        mine = keys[place :: len(deaths)]
        steps = tmp_path / f"steps{place}"
        steps.touch()
        moment = f"{kind}:{dice.randint(1, len(mine))}:{dice.choice(('at', 'after'))}"
        print(f"dies at {moment}")  # shown with a failure
        new.served.restart(env={"DYING_LOG": str(steps), "DYING_AT": moment})
        sent = [new.server.send(chart, key, "note", "hello") for key in mine]
        wait_until(lambda: not new.served.process.alive, what="the service to die")
        new.served.restart(env={"DYING_AT": ""})
        assert {new.server.output(id)["outcome"] for id in sent} == {"taken"}

    for key in keys:
        wait_until(lambda key=key: new.snapshot(chart, key)["data"]["nudged"] == 1, what="the new timer")
        new.effects.wait_recorded(f"{key.upper()}-insured")
        machine = new.snapshot(chart, key)
        assert (machine["version"], machine["data"]["notes"]) == ("2", ["hello"])
        assert len(set(new.effects.counts(f"{key.upper()}-insured"))) == 1
        found = Counter(entry["event"] for entry in new.receipt(chart, key, "history", {"limit": 100})["entries"])
        assert (found["migrated"], found["note"], found["nudge"]) == (1, 1, 1)


def test_doctor_names_machines_that_the_current_build_cannot_read_and_keeps_the_deployment_that_can(
    hosting: type[Host], effect_log: EffectLog, tmp_path: Path
) -> None:
    def serve(build: str) -> Any:
        log = tmp_path / f"{build}.log"
        return hosting.on(server, effect_log, log, "shrinking_app:application", SHRINKING_BUILD=build)

    def found() -> dict[str, list[str]]:
        with Admin(server.admin_url) as admin, httpx.Client(timeout=2, trust_env=False) as http:
            told = list(diagnoses(admin, builds=CurrentBuilds(server.ingress_url, http, admin)))
        return {kind: [one.what for one in told if one.kind == kind] for kind in ("unreadable", "kept", "stale")}

    with RestateServer() as server, serve("first") as old:
        for key in ("a", "b"):
            old.receipt("Shrinking", key, "reserve")
        old.receipt("Shrinking", "c", "create")
        with serve("second") as new:
            before = found()
            new.served.kill()
            silent = found()
            assert not new.invocations("Shrinking", status="backing-off")
            new.served.restart()
            for key in ("a", "b"):
                new.receipt("Shrinking", key, "delete")
            after = found()

    problem = "It is in state 'reserved', which the chart no longer has as a leaf."
    assert [(what[:12], problem in what) for what in before["unreadable"]] == [
        ("Shrinking/a:", True),
        ("Shrinking/b:", True),
    ]
    assert [what.partition(", but ")[2] for what in before["kept"]] == [
        "the current build of Shrinking cannot read 2 machines."
    ]
    assert (before["stale"], silent["stale"], len(silent["kept"])) == ([], [], 1)
    assert (after["unreadable"], after["kept"], len(after["stale"])) == ([], [], 1)


@pytest.mark.parametrize("by", ["event", "repair"])
@pytest.mark.parametrize("on", ["restate_server", "replaying_server"])
def test_a_timer_and_an_activity_that_a_build_adds_begin_in_the_state_that_a_machine_is_in(
    request: pytest.FixtureRequest, hosting: type[Host], effect_log: EffectLog, tmp_path: Path, on: str, by: str
) -> None:
    server: RestateServer = request.getfixturevalue(on)

    def serve(build: str) -> Any:
        log = tmp_path / f"{build}.log"
        return hosting.on(server, effect_log, log, "growing_app:application", GROWING_BUILD=build)

    with serve("first") as old:
        key, other = old.key("call"), old.key("call")
        old.receipt("Growing", key, "go")
        old.receipt("Growing", other, "create")
        with serve("second") as new:
            before = new.snapshot("Growing", key)
            if by == "event":
                new.receipt("Growing", key, "note")
            else:
                new.receipt("Growing", key, "repair", {"migrate": True, "reason": "at once"})
            new.served.kill()
            new.served.restart()
            wait_until(lambda: new.snapshot("Growing", key)["data"]["late"], what="the timer")
            wait_until(lambda: new.snapshot("Growing", key)["data"]["asked"], what="the outcome")
            machine = new.snapshot("Growing", key)
            elsewhere = new.snapshot("Growing", other)
            [entry] = entries(new, "Growing", key, "migrated")

    assert before["reconciles"] == {"begins": ["late", "ask"]}
    assert "reconciles" not in machine
    assert "reconciles" not in elsewhere
    reason = {} if by == "event" else {"reason": "at once"}
    assert entry["note"] == {"from": "1", "to": "1", "begins": ["late", "ask"], **reason}


def test_check_says_what_a_build_will_do_to_the_machines_of_a_server(
    hosting: type[Host], effect_log: EffectLog, tmp_path: Path
) -> None:
    here = Path(__file__).parent

    def checked(target: str, build: str, url: str) -> tuple[int, str]:
        env = {**os.environ, "GROWING_BUILD": build, "SHRINKING_BUILD": build, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-m", "durable_fsm.cli", "check", f"{here / target}:application", "--against", url]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout + done.stderr

    def serve(name: str) -> Any:
        settings = {"GROWING_BUILD": "first", "SHRINKING_BUILD": "first"}
        return hosting.on(server, effect_log, tmp_path / f"{name}.log", f"{name}:application", **settings)

    with RestateServer() as server, serve("growing_app") as growing, serve("shrinking_app") as shrinking:
        for key in ("a", "b"):
            growing.receipt("Growing", key, "go")
        growing.receipt("Growing", "c", "create")
        shrinking.receipt("Shrinking", "a", "reserve")
        same = checked("growing_app.py", "first", server.admin_url)
        grown = checked("growing_app.py", "second", server.admin_url)
        shrunk = checked("shrinking_app.py", "second", server.admin_url)

    assert (same[0], "  3 machines unchanged." in same[1]) == (0, True), same
    assert (grown[0], "  1 machine unchanged." in grown[1]) == (0, True), grown
    assert "  2 machines: 'late', 'ask' will begin." in grown[1]
    assert shrunk[0] == 1, shrunk
    assert "  refused: Shrinking/a: the snapshot was written by chart version '1'" in shrunk[1]
