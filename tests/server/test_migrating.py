"""`durable-fsm migrate` on a real server: killed at any moment, each machine is the old one or the new one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from durable_fsm.admin.charts import chart_of
from durable_fsm.admin.client import Admin
from durable_fsm.admin.inventory import MachineRow, every_machine_of
from durable_fsm.cli import main
from durable_fsm.plan.plan_file import PlanHead, PlannedChart, PlannedKind, PlannedMachine, PlanVerdict, PlanWriter
from durable_fsm.testing import EffectLog, RestateServer, wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

CHART = "MovingFleet"
FLEETS = {"killed": 40, "canary": 6, "bad": 2, "late": 3, "kept": 4, "held": 1, "stuck": 1}
"""The first word of the keys, and how many machines of the first build have it."""


@dataclass
class Fleet:
    """Machines of the first build, on a server that runs the second one."""

    host: Host
    place: Path

    @property
    def machines(self) -> dict[str, MachineRow]:
        with Admin(self.host.server.admin_url) as admin:
            return {machine.key: machine for machine in every_machine_of(admin, CHART)}

    def versions(self, *fleets: str) -> Counter[str]:
        """How many machines of some fleets have each version."""
        return Counter(one.version for key, one in self.machines.items() if key.partition("-")[0] in fleets)

    def plan(self, **verdicts: PlanVerdict) -> None:
        """Write a plan for the machines of some fleets, each with its verdict."""
        with Admin(self.host.server.admin_url) as admin:
            build = chart_of(admin, CHART)
        head = PlanHead(
            "2030-01-01T14:06:28", "moving_app:application", None, (PlannedChart(CHART, build.version, build.digest),)
        )
        kinds = list(verdicts)
        with PlanWriter(self.place / "plan.json", head) as plan:
            for key, machine in sorted(self.machines.items()):
                fleet, stored = key.partition("-")[0], machine.stored
                if fleet in verdicts and stored is not None:
                    kind = kinds.index(fleet)
                    plan.add(PlannedMachine(CHART, key, stored.life, stored.seq, stored.version, verdicts[fleet], kind))
            plan.finish(
                [
                    PlannedKind(CHART, verdict, "1", ("waiting",), ("queued",), FLEETS[fleet], f"{fleet}-0")
                    for fleet, verdict in verdicts.items()
                ]
            )

    def command(self, *options: str) -> list[str]:
        servers = ["--admin", self.host.server.admin_url, "--ingress", self.host.server.ingress_url]
        return ["migrate", CHART, "--plan", str(self.place / "plan.json"), *servers, "--canary-wait", "0s", *options]

    def migrate(self, *options: str) -> Result:
        return CliRunner().invoke(main, self.command(*options))

    def told(self, *options: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.migrate("--json", *options).stdout)
        return found


@pytest.fixture(scope="module")
def builds(
    hosting: type[Host],
    restate_server: RestateServer,
    effect_log: EffectLog,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Host]:
    """The second build, on a server with machines of the first one."""
    with ExitStack() as stack:

        def begin(build: str) -> Host:
            log = tmp_path_factory.mktemp(build) / "service.log"
            env = {"MOVING_NAME": CHART, "MOVING_BUILD": build}
            return stack.enter_context(hosting.on(restate_server, effect_log, log, "moving_app:application", **env))

        keys = [f"{fleet}-{number}" for fleet, many in FLEETS.items() for number in range(many)]
        answers = begin("first").together([(CHART, key, "create", {"name": key}) for key in keys])
        assert {answer.status_code for answer in answers} == {200}
        yield begin("second")


@pytest.fixture
def fleet(builds: Host, tmp_path: Path) -> Fleet:
    return Fleet(builds, tmp_path)


def test_a_migration_that_is_killed_is_finished_by_the_same_command(fleet: Fleet) -> None:
    fleet.plan(killed=PlanVerdict.MOVES)
    run = fleet.place / "run.jsonl"
    options = ["--run", str(run), "--backup", str(fleet.place / "before.jsonl"), "--rate", "60/s", "--canary", "2"]
    seen: list[Counter[str]] = []

    def results() -> int:
        return run.read_text("utf-8").count('"result"') if run.exists() else 0

    for moment in (3, 15):
        process = subprocess.Popen([sys.executable, "-m", "durable_fsm.cli", *fleet.command(*options)])
        wait_until(lambda moment=moment: results() >= moment, what="some to be moved")
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen.append(fleet.versions("killed"))
    last = fleet.migrate(*options)

    assert last.exit_code == 0, last.output
    assert all(set(versions) <= {"1", "2"} and versions.total() == FLEETS["killed"] for versions in seen)
    assert seen[0]["1"] > 0
    assert fleet.versions("killed") == {"2": FLEETS["killed"]}
    backup = [
        json.loads(line)["snapshot"]["version"] for line in (fleet.place / "before.jsonl").read_text().splitlines()
    ]
    assert backup == ["1"] * FLEETS["killed"]  # as they were before the first kill
    for key in ("killed-0", f"killed-{FLEETS['killed'] - 1}"):
        entries = fleet.host.receipt(CHART, key, "history", {"limit": 100})["entries"]
        assert [entry["event"] for entry in entries].count("migrated") == 1


def test_the_canaries_are_of_every_kind_and_a_bad_one_stops_the_migration(fleet: Fleet) -> None:
    fleet.plan(canary=PlanVerdict.MOVES, bad=PlanVerdict.CHANGES)

    result = fleet.migrate("--canary", "2")

    assert result.exit_code == 1
    assert (
        "Canary: 1 of 2 machines (2 kinds) are not well. The others were not moved.\n  bad-0: MovingFleet/bad-0: "
        in (result.output)
    )
    assert fleet.versions("canary") == {"1": 5, "2": 1}
    assert fleet.versions("bad") == {"1": 2}

    told = fleet.told("--only", "moves", "--canary", "2")
    assert (told["migrated"], told["already"], told["left"], told["canary"]) == (5, 1, {}, [])


def test_a_machine_that_has_moved_since_the_plan_is_left_and_named(fleet: Fleet) -> None:
    fleet.plan(late=PlanVerdict.MOVES)
    path = fleet.place / "plan.json"
    path.write_text(path.read_text("utf-8").replace('"late-1"', '"gone-1"').replace('"late-2","', '"late-2","another'))

    result = fleet.migrate()

    assert result.exit_code == 1
    assert "1 migrated, 1 no longer exist, 1 have moved since the plan.\n" in result.output
    assert "  late-2: it was deleted, and created again\nPlan again for those that have moved.\n" in result.output
    assert fleet.versions("late") == {"2": 1, "1": 2}


def test_machines_that_cannot_go_on_are_named_and_nothing_is_moved(fleet: Fleet) -> None:
    fleet.plan(kept=PlanVerdict.MOVES, stuck=PlanVerdict.BLOCKED, held=PlanVerdict.HELD)

    refused = fleet.migrate()
    dry = fleet.migrate("--only", "moves", "--dry-run")

    assert refused.exit_code == 1
    assert (
        "1 machine of MovingFleet cannot continue under this build, or would lose something: stuck-0 (blocked). Nothing was moved."
        in refused.output
    )
    assert dry.exit_code == 0
    assert "  moves               4  will be migrated\n" in dry.output
    assert "  held                1  follow by themselves when their exclusive work is over\n" in dry.output
    assert dry.output.endswith("Nothing was moved (--dry-run).\n")
    assert fleet.versions("kept") == {"1": 4}

    told = fleet.told("--only", "moves")
    assert (told["migrated"], told["held"], told["left"]) == (4, 1, {})
    assert fleet.versions("stuck", "held") == {"1": 2}


def test_a_plan_for_another_build_is_refused(fleet: Fleet) -> None:
    fleet.plan(held=PlanVerdict.MOVES)
    path = fleet.place / "plan.json"
    text = path.read_text("utf-8")
    digest = json.loads(text)["charts"][0]["digest"]
    path.write_text(text.replace(digest, "0" * 12))

    result = fleet.migrate()

    assert result.exit_code == 2
    assert "Deploy the build of the plan first, or plan again." in result.output
    assert fleet.versions("held") == {"1": 1}


def test_the_machines_of_a_server_are_drawn_where_they_are(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVING_NAME", CHART)
    target = f"{Path(__file__).parent / 'moving_app.py'}:One"
    many = len(fleet.machines)
    waiting = sum("waiting" in machine.states for machine in fleet.machines.values())

    result = CliRunner().invoke(
        main, ["diagram", target, "--overlay", "population", "--admin", fleet.host.server.admin_url]
    )

    assert result.exit_code == 0, result.output
    assert f"{many} machines of {CHART}, version 1" in result.stdout
    assert f">{waiting}</text>" in result.stdout


def test_a_machine_of_the_server_is_explored_from_where_it_is(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOVING_NAME", CHART)
    monkeypatch.chdir(tmp_path)
    target = f"{Path(__file__).parent / 'moving_app.py'}:Two"
    admin = ["--admin", fleet.host.server.admin_url]

    found = CliRunner().invoke(main, ["explore", target, "--from", "held-0", *admin])
    missing = CliRunner().invoke(main, ["explore", target, "--from", "nobody", *admin])

    assert found.exit_code == 0, found.output
    assert "within    from the snapshot of held-0; equal things count once" in found.output
    assert "states 2/2" in found.output
    assert missing.exit_code == 5
    assert f"Error: {CHART}/nobody: there is no such machine." in missing.output
