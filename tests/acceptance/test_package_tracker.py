"""R11, package tracker: one machine takes HTTP requests and Kafka records in order; a bad record delays no other."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_fsm import chart_from
from durable_fsm.testing import KafkaBroker, Rehearsal, RestateServer, wait_until
from machines.package_tracker.machine import Package
from tests.acceptance.applications import Application, edges, hosted, rehearsed, serve
from tests.kafka import Brokers

pytestmark = pytest.mark.server

TRACKER, TOPIC = "package-tracker", "package-location-updates"
PATIENCE = timedelta(seconds=60)


def scan(location: str) -> dict[str, str]:
    return {"timestamp": datetime(2026, 11, 20, 12, tzinfo=UTC).isoformat(), "location": location}


@dataclass
class Road(Application):
    """Packages on a server of their own, and the broker that scanners write to."""

    broker: KafkaBroker

    def register(self, *packages: str) -> None:
        for package in packages:
            self.server.call(TRACKER, package, "registerPackage", {"destination": "Oslo"})

    def seen(self, package: str, *locations: str) -> None:
        self.broker.produce_all(TOPIC, [(package, json.dumps(scan(location))) for location in locations])

    def package(self, package: str) -> dict[str, Any]:
        found: dict[str, Any] = self.server.call(TRACKER, package, "snapshot")
        return found

    def way(self, package: str) -> list[str]:
        return [one["location"] for one in self.package(package)["data"]["locations"]]

    def wait_for(self, package: str, *way: str) -> None:
        wait_until(lambda: self.way(package) == list(way), PATIENCE, what=f"{package} to have come by {way}")

    def failure(self, package: str) -> str:
        """Why the one record of a package was refused."""
        query = (
            "SELECT completion_failure FROM sys_invocation WHERE completion_result = 'failure'"
            f" AND target_service_name = '{TRACKER}' AND target_service_key = '{package}' AND target_handler_name = '_kafka'"
        )
        wait_until(lambda: self.server.query(query), PATIENCE, what=f"the record of {package} to fail")
        [row] = self.server.query(query)
        return str(row["completion_failure"])


@contextmanager
def opened(server: RestateServer, place: Path, brokers: Brokers) -> Iterator[Road]:
    broker = brokers.of(server)
    broker.create(TOPIC)
    with serve("package_tracker", server, place) as served, broker.subscribed(server, Package):
        yield Road("package_tracker", served, server, broker)


road_awake, road_replaying, road = hosted("road", opened, "brokers")


def test_a_package_is_registered_over_http_and_followed_by_records(road: Road) -> None:
    road.register("followed")

    road.seen("followed", "Malmö", "Gothenburg")

    road.wait_for("followed", "Malmö", "Gothenburg")
    assert road.package("followed")["data"]["destination"] == "Oslo"


def test_a_record_of_an_unregistered_package_is_reported_and_delays_no_other(road: Road) -> None:
    road.register("behind")

    road.seen("unknown", "Malmö")
    road.seen("behind", "Malmö")

    road.wait_for("behind", "Malmö")
    assert "'update_location' is not accepted in state 'unregistered'" in road.failure("unknown")
    assert road.server.query("SELECT key FROM state WHERE service_key = 'unknown'") == []


def test_a_malformed_record_is_reported_and_not_retried(road: Road) -> None:
    road.register("torn")

    road.broker.produce(TOPIC, "torn", '{"timestamp":')
    road.seen("torn", "Malmö")

    road.wait_for("torn", "Malmö")
    assert "It came from record package-location-updates[" in road.failure("torn")


def test_a_reader_does_not_wait_for_a_hundred_records(road_awake: Road) -> None:
    road_awake.register("busy")
    stations = [f"station {number}" for number in range(100)]

    road_awake.seen("busy", *stations)
    began = time.monotonic()
    met = len(road_awake.way("busy"))
    asked = time.monotonic() - began

    road_awake.wait_for("busy", *stations)
    assert met < len(stations), "they were still on their way"
    assert asked < time.monotonic() - began


def test_a_killed_server_loses_no_record_and_takes_none_twice(road_awake: Road) -> None:
    packages = [f"killed {number}" for number in range(3)]
    road_awake.register(*packages)
    before, after = [f"before {number}" for number in range(20)], [f"after {number}" for number in range(20)]
    for package in packages:
        road_awake.seen(package, *before)
    wait_until(lambda: any(road_awake.way(package) for package in packages), PATIENCE)

    road_awake.server.kill()
    assert not road_awake.server.process.alive
    for package in packages:
        road_awake.seen(package, *after)
    road_awake.server.start()

    for package in packages:
        road_awake.wait_for(package, *before, *after)


def test_a_killed_service_loses_no_record_and_takes_none_twice(road_awake: Road) -> None:
    stations = [f"station {number}" for number in range(60)]
    road_awake.register("unserved")

    road_awake.seen("unserved", *stations)
    wait_until(lambda: road_awake.way("unserved"), PATIENCE)
    road_awake.restart()

    road_awake.wait_for("unserved", *stations)


def test_registering_a_package_again_changes_nothing(road: Road) -> None:
    road.register("twice")
    road.seen("twice", "Malmö")
    road.wait_for("twice", "Malmö")

    with pytest.raises(httpx.HTTPStatusError) as refused:
        road.server.call(TRACKER, "twice", "registerPackage", {"destination": "Rome"})

    assert refused.value.response.status_code == 409
    assert (road.package("twice")["data"]["destination"], road.way("twice")) == ("Oslo", ["Malmö"])


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    assert set(edges(Package)) == {
        ("unregistered", "register", ("in_transit",)),
        ("in_transit", "update_location", ("delivered",)),
        ("in_transit", "update_location", ()),
    }
    assert [source.topic for source in chart_from(Package).hosting.sources] == [TOPIC]


def test_the_server_does_what_the_rehearsal_does(road: Road) -> None:
    rehearsal = Rehearsal(Package, key="told")
    rehearsal.send("register", {"destination": "Oslo"})
    for location in ("Malmö", "Oslo"):
        rehearsal.send("update_location", scan(location))

    road.register("told")
    road.seen("told", "Malmö", "Oslo")
    wait_until(lambda: road.package("told")["leaves"] == ["delivered"], PATIENCE)

    assert road.recorded(TRACKER, "told") == rehearsed(rehearsal)
    assert road.package("told")["data"] == rehearsal.data.model_dump(mode="json")


def test_restate_has_completed_the_requests_from_http_and_kafka(road: Road) -> None:
    road.register("counted")
    road.seen("counted", "Malmö")
    road.wait_for("counted", "Malmö")

    done = road.server.query(
        "SELECT target_handler_name, completion_result, invoked_by FROM sys_invocation WHERE status = 'completed'"
        f" AND target_service_name = '{TRACKER}' AND target_service_key = 'counted'"
    )
    taken = {(row["target_handler_name"], row["completion_result"], row["invoked_by"]) for row in done}
    assert {("registerPackage", "success", "ingress"), ("_kafka", "success", "subscription")} <= taken


def test_the_commands_of_the_readme_do_what_it_says(road: Road) -> None:
    answers = [*road.run_readme()]

    assert [answer["configuration"] for answer in answers] == [["in_transit"]] * 3
    assert [one["location"] for one in answers[2]["data"]["locations"]] == ["Malmö"]
