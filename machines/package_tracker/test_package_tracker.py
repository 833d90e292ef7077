"""The way of a package, rehearsed."""

from __future__ import annotations

import json

import pytest

from durable_fsm import Incoming, Record
from durable_fsm.errors import EventRejected
from durable_fsm.testing import Rehearsal
from machines.package_tracker.machine import Package, scanned

NOON = "2026-11-20T12:00:00Z"


def at(location: str) -> dict[str, str]:
    return {"timestamp": NOON, "location": location}


@pytest.fixture
def package() -> Rehearsal:
    """A package to Oslo."""
    package = Rehearsal(Package, key="p-1")
    package.send("register", {"destination": "Oslo"})
    return package


def test_a_package_is_followed_to_its_destination(package: Rehearsal) -> None:
    assert package.send("update_location", at("Malmö")).reply == 1

    assert package.send("update_location", at("Oslo")).configuration == ("delivered",)
    assert [scan.location for scan in package.data.locations] == ["Malmö", "Oslo"]


def test_a_package_that_was_not_registered_has_no_scans() -> None:
    package = Rehearsal(Package, key="p-2")
    package.create()

    with pytest.raises(EventRejected, match="'update_location' is not accepted in state 'unregistered'"):
        package.send("update_location", at("Malmö"))


def test_registering_a_package_again_changes_nothing(package: Rehearsal) -> None:
    with pytest.raises(EventRejected, match="'register' is not accepted in state 'in_transit'"):
        package.send("register", {"destination": "Rome"})

    assert package.data.destination == "Oslo"


def test_a_record_becomes_a_scan() -> None:
    record = Record("package-location-updates", 0, 7, 0, "p-1", json.dumps(at("Malmö")).encode())

    assert scanned(record) == Incoming("update_location", at("Malmö"))


@pytest.mark.parametrize("value", [b"{", b"{}", b'{"timestamp": "yesterday", "location": "Malm\xc3\xb6"}'])
def test_a_record_that_is_not_a_scan_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="Scan"):
        scanned(Record("package-location-updates", 0, 7, 0, "p-1", value))
