"""The machines of a server as it counts, filters and pages them itself, and a few of them without reading the others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm.admin.charts import chart_of
from durable_fsm.admin.client import Admin
from durable_fsm.admin.fleet import counts_of, page_of, points_at
from durable_fsm.admin.inventory import Filter, ensure_known, every_machine_of, machine_in, machines_of
from durable_fsm.admin.readings import Row
from tests.server.test_history import write

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

MANY = 120
LONG_AGO = timedelta(days=3)


class Told(Admin):
    """Counts what the server is asked, and remembers the questions."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.questions: list[str] = []

    def query(self, sql: str) -> list[Row]:
        self.questions.append(sql)
        return super().query(sql)

    @property
    def scans(self) -> list[str]:
        """Questions that make the server read all of its state."""
        return [sql for sql in self.questions if " FROM state " in sql and "scope IS NULL" not in sql]


@pytest.fixture(scope="module")
def admin(awake: Host) -> Iterator[Told]:
    """The server with some 120 more ovens; every third is of an old version, and every fifth has not moved for days."""
    text = json.loads(a_machine(awake, "Oven"))
    now = int(datetime.now(UTC).timestamp() * 1_000)
    for number in range(MANY):
        changes: dict[str, Any] = {"version": "0"} if number % 3 == 0 else {}
        changes["at"] = now - (LONG_AGO // timedelta(milliseconds=1) if number % 5 == 0 else 0)
        body = {
            "object_key": f"fleet-{number:03}",
            "new_state": {"snapshot": list(json.dumps(text | changes).encode())},
        }
        awake.client.post(f"{awake.server.admin_url}/services/Oven/state", json=body).raise_for_status()
    awake.put("Oven", "fleet-gone", json.dumps({"chart": "Oven", "gone": True}))
    awake.put("Oven", "fleet-unreadable", "[]")
    with Told(awake.server.admin_url) as admin:
        yield admin
        for number in range(MANY):
            body = {"object_key": f"fleet-{number:03}", "new_state": {}}
            awake.client.post(f"{awake.server.admin_url}/services/Oven/state", json=body).raise_for_status()
        for key in ("fleet-gone", "fleet-unreadable"):
            awake.client.post(
                f"{awake.server.admin_url}/services/Oven/state", json={"object_key": key, "new_state": {}}
            ).raise_for_status()


def a_machine(host: Host, chart: str) -> str:
    key = host.key("seed")
    host.receipt(chart, key, "create")
    return host.stored(chart, key)["snapshot"]


def test_the_time_of_the_last_change_is_stored(awake: Host) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)

    stored = json.loads(a_machine(awake, "Silent"))

    assert "log" not in stored  # it keeps no history
    assert "at" in stored
    assert stored["at"] == 0 or stored["at"] > before.timestamp() * 1_000  # payload checks stop the clock of stamps


def test_the_counts_are_those_of_the_machines_themselves(admin: Told) -> None:
    counts = counts_of(admin, "Oven")
    machines = list(every_machine_of(admin, "Oven"))

    assert counts.machines == len(machines) > MANY
    assert counts.by_version == Counter(machine.version for machine in machines)
    assert counts.by_status == Counter(machine.status for machine in machines)
    assert (counts.by_status["unreadable"], counts.ended) == (1, 1)
    leaves = [machine.stored.configuration for machine in machines if machine.stored is not None]
    assert counts.population() == Counter(leaf for configuration in leaves for leaf in configuration)
    assert set(counts.population(chart_of(admin, "Oven"))) >= set(counts.population())
    assert min(group.oldest for group in counts.groups if group.oldest is not None) <= datetime.now(UTC) - LONG_AGO


def test_the_machines_come_in_pages_of_their_keys(admin: Told) -> None:
    first = page_of(admin, "Oven", prefix="fleet-0")
    second = page_of(admin, "Oven", prefix="fleet-0", after=first.next or "")

    keys = [machine.key for page in (first, second) for machine in page.machines]
    assert keys == [f"fleet-{number:03}" for number in range(100)]
    assert (len(first.machines), first.next, second.next) == (50, "fleet-049", None)


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        (Filter(version="0"), range(0, MANY, 3)),
        (Filter(older_than=timedelta(days=1)), range(0, MANY, 5)),
        (Filter(version="0", older_than=timedelta(days=1)), range(0, MANY, 15)),
        (Filter(status="done"), ()),
        (Filter(parked=True), ()),
        (Filter(stuck=True), ()),
    ],
    ids=["version", "older", "both", "status", "parked", "stuck"],
)
def test_the_server_filters(admin: Told, wanted: Filter, keys: range) -> None:
    admin.questions.clear()

    found = [machine.key for machine in machines_of(admin, "Oven", wanted, prefix="fleet-")]

    assert [key for key in found if key[6:].isdigit()] == [f"fleet-{number:03}" for number in keys]
    everything = [machine.key for machine in every_machine_of(admin, "Oven", wanted)]
    assert [key for key in sorted(everything) if key.startswith("fleet-")] == found


def test_a_state_that_contains_others_is_looked_for_by_its_leaves(awake: Host, admin: Told) -> None:
    chart = chart_of(admin, "Oven")
    leaves = {leaf for machine in every_machine_of(admin, "Oven") for leaf in machine.states}
    outer = {id for leaf in leaves & chart.states.keys() for id in [chart.states[leaf].parent] if id}

    for state in leaves | outer:
        found = {machine.key for machine in machines_of(admin, "Oven", Filter(state=state), chart)}
        machines = machines_of(admin, "Oven", None, chart)
        assert found == {machine.key for machine in machines if state in machine.states} != set()


def test_a_few_machines_are_read_without_a_scan(awake: Host, admin: Told) -> None:
    admin.questions.clear()

    points = points_at(admin, "Oven", ["fleet-000", "fleet-001", "nowhere", "fleet-gone", "fleet-unreadable"], last=20)

    assert sorted(points.machines) == ["fleet-000", "fleet-001", "fleet-unreadable"]
    assert points.machines["fleet-unreadable"].problem is not None
    assert machine_in(admin, "Oven", "nowhere") is None
    ensure_known(admin, "Oven")
    assert admin.scans == []


def test_a_history_read_from_its_pages_is_the_one_that_the_service_tells(awake: Host, admin: Told) -> None:
    long, short = awake.key("diary"), awake.key("diary")
    write(awake, "Diary", long, 45)
    write(awake, "Diary", short, 3)
    awake.settled()

    points = points_at(admin, "Diary", [long, short], last=30)

    told = awake.receipt("Diary", long, "history", {"last": 30})["entries"]
    assert [entry.record for entry in points.histories[long]] == told
    assert [entry.event for entry in points.histories[short]] == ["create", "write", "write", "write"]
