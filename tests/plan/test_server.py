"""`durable-fsm plan` on a real server: what it reads, what it finds, and that it sends nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from durable_fsm.admin.client import Admin
from durable_fsm.cli import main, settings
from durable_fsm.core.codec import snapshot_to_json
from durable_fsm.plan.plan_file import read_plan
from durable_fsm.testing import RestateServer, Served, wait_until
from tests.plan.parcels import BREAKS, machines

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
EACH = 3


@dataclass
class Depot:
    """A server with three parcels of each kind."""

    server: RestateServer

    def plan(self, build: str, *args: str) -> Result:
        places = ["--ingress", self.server.ingress_url, "--admin", self.server.admin_url]
        return CliRunner().invoke(main, ["plan", *([f"tests.plan.builds:{build}"] if build else []), *args, *places])

    def store(self, key: str, name: str, **more: object) -> None:
        """Store a machine of a kind, without its service."""
        text = json.dumps(snapshot_to_json(machines()[name]) | more)
        body = {"object_key": key, "new_state": {"snapshot": list(text.encode())}}
        httpx.post(f"{self.server.admin_url}/services/Parcel/state", json=body).raise_for_status()

    def fill(self) -> None:
        for name in machines():
            for number in range(EACH):
                self.store(f"{name}-{number}", name)
        self.wait_for(EACH * len(machines()))

    def wait_for(self, count: int) -> None:
        sql = "SELECT count(*) AS many FROM state WHERE service_name = 'Parcel'"
        wait_until(lambda: self.server.query(sql)[0]["many"] == count, what="the parcels to be stored")


@pytest.fixture(scope="module")
def depot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Depot]:
    log = tmp_path_factory.mktemp("depot") / "service.log"
    with RestateServer() as server, Served.begin("tests.plan.builds:app", server, log=log, app_dir=ROOT):
        depot = Depot(server)
        depot.fill()
        yield depot


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_machine_of_the_server_gets_its_verdict_and_nothing_is_sent(
    depot: Depot, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    class Listening(httpx.Client):
        def send(self, request: httpx.Request, **options: object) -> httpx.Response:
            asked.append((request.method, request.url.path))
            return super().send(request, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(settings.Connection, "http", lambda *_: Listening())
    before = depot.server.query("SELECT count(*) AS many FROM sys_journal")

    result = depot.plan("broken")

    assert result.exit_code == 1, result.output
    shown = re.sub(r"as of [\d:]+, read in .*?\.\n", "as of 14:06:28.\n", re.sub(r"dp_\w+", "dp_1", result.stdout))
    assert shown.startswith("Parcel 2 (deployed, dp_1) → 2 (here). 42 machines, as of 14:06:28.\n")
    assert "Senders: approve is gone.\n" in shown
    verdicts = {one.key: one.verdict.value for one in read_plan(folder / "plan.json").machines()}
    verdict, broken = BREAKS["state removed"]
    assert sorted(key for key, found in verdicts.items() if found == verdict) == [f"{broken}-{n}" for n in range(EACH)]
    assert {path for method, path in asked if method != "GET"} == {"/query"}
    assert depot.server.query("SELECT count(*) AS many FROM sys_journal") == before


def test_right_before_the_deploy_only_machines_that_have_moved_are_looked_at_again(depot: Depot, folder: Path) -> None:
    made = depot.plan("moving")
    assert made.exit_code == 0, made.output
    assert depot.plan("", "--check", "plan.json").stdout.startswith("No machine has moved since ")
    depot.store("cart-0", "cart", seq=9)
    depot.store("new-1", "heavy", version="1")
    depot.wait_for(EACH * len(machines()) + 1)

    result = depot.plan("", "--check", "plan.json")

    assert result.exit_code == 1
    told = re.sub(r"since \d\d:\d\d", "since 14:06", result.stdout)
    assert told == (
        "1 machine has moved since 14:06. 1 is new. 1 of them needs you now:\n"
        "  Parcel/new-1 (cart) is blocked: no migration leads here from version '1'\n"
    )
    with Admin(depot.server.admin_url) as admin:
        admin.ask("POST", "/services/Parcel/state", {"object_key": "new-1", "new_state": {}})
    depot.wait_for(EACH * len(machines()))


def test_the_deployed_build_refuses_exactly_the_machines_that_the_plan_has_blocked(
    depot: Depot, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    depot.plan("broken")
    blocked = {one.key for one in read_plan(folder / "plan.json").machines() if one.verdict == "blocked"}
    log = tmp_path_factory.mktemp("broken") / "service.log"

    with Served.begin("tests.plan.builds:broken", depot.server, log=log, app_dir=ROOT), httpx.Client() as client:
        told = {
            f"{name}-{number}": client.post(f"{depot.server.ingress_url}/Parcel/{name}-{number}/snapshot").json()
            for name in machines()
            for number in range(EACH)
        }
        both = depot.plan("app").stdout
    depot.fill()  # the end of a service removes its machines

    assert (
        {key for key, answer in told.items() if "refused" in answer} == blocked == {f"review-{n}" for n in range(EACH)}
    )
    assert re.match(r"Parcel 2 \(deployed, dp_\w+, dp_\w+\) → 2 \(here\)\.", both)


def test_one_machine_of_the_server_is_explained(depot: Depot) -> None:
    result = depot.plan("Moving", "--explain", "review-1")

    assert result.stdout.endswith("verdict: moves: it migrates\n  it will be in inspection\n")
    assert "there is no machine Parcel/nowhere" in depot.plan("Moving", "--explain", "nowhere").output


def test_a_machine_that_cannot_be_read_is_counted(depot: Depot) -> None:
    body = {"object_key": "odd", "new_state": {"snapshot": list(b"[]")}}
    httpx.post(f"{depot.server.admin_url}/services/Parcel/state", json=body).raise_for_status()
    depot.wait_for(EACH * len(machines()) + 1)

    result = depot.plan("app", "--json")

    parcel = json.loads(result.stdout)["charts"][0]
    assert (parcel["verdicts"]["unreadable"], parcel["verdicts"]["stays"], result.exit_code) == (1, 39, 1)
    with Admin(depot.server.admin_url) as admin:
        admin.ask("POST", "/services/Parcel/state", {"object_key": "odd", "new_state": {}})
    depot.wait_for(EACH * len(machines()))
