"""Parked deliveries: a deployment cannot take them, other events pass them, and the next deployment takes them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm.admin.client import Admin
from durable_fsm.admin.diagnosis import diagnoses
from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

RESEND = {"resend": True, "reason": "why"}


def parked(host: Host, key: str) -> list[dict[str, Any]]:
    return host.invocations("Fragile", key, target_handler_name="_parked", status="scheduled")


def test_an_outcome_that_a_callback_fails_on_waits_for_the_next_deployment(host: Host) -> None:
    work = host.key("work")

    with host.effects.hold(f"before:{work}") as gate:
        host.receipt("Fragile", work, "begin", {"effect": work})
        gate.wait_reached()
        before = host.snapshot("Fragile", work)
        with host.deployed(CHARTS_BROKEN="raises"):
            gate.open()
            wait_until(lambda: parked(host, work), what="the outcome to be parked")
            assert host.post("Fragile", work, "wait").status_code == 409  # the key is free
            machine = host.snapshot("Fragile", work)
            assert [running["parked"] for running in machine["activities"]] == [True]
            assert [delivery["activity"] for delivery in machine["parked"]] == ["working"]
            assert {**machine, "activities": before["activities"], "parked": []} == before

    machine = host.wait_in("Fragile", work, "done")
    assert machine["data"]["rounds"] == 1
    assert len(set(host.effects.counts(work))) == 1
    host.settled()


def test_an_outcome_that_makes_the_machine_too_large_waits_for_the_next_deployment(host: Host) -> None:
    work = host.key("work")

    with host.effects.hold(f"before:{work}") as gate:
        host.receipt("Fragile", work, "begin", {"effect": work})
        gate.wait_reached()
        before = host.stored("Fragile", work)["snapshot"]
        with host.deployed(CHARTS_BROKEN="too large"):
            gate.open()
            wait_until(lambda: parked(host, work), what="the outcome to be parked")
            assert host.stored("Fragile", work)["snapshot"] == before

    assert host.wait_in("Fragile", work, "done")["data"]["rounds"] == 1
    host.settled()


def test_a_timer_that_another_version_cannot_read_waits_for_the_next_deployment(host: Host) -> None:
    work = host.key("work")
    host.receipt("Fragile", work, "wait")
    before = host.stored("Fragile", work)["snapshot"]

    with host.deployed(CHARTS_VERSION="2"):
        refused = host.post("Fragile", work, "begin", {"effect": work})
        assert (refused.status_code, refused.json()["metadata"]["type"]) == (500, "VersionError")
        assert host.snapshot("Fragile", work)["refused"]["type"] == "VersionError"
        wait_until(lambda: parked(host, work), what="the timer to be parked")
        assert host.stored("Fragile", work)["snapshot"] == before

    assert host.wait_in("Fragile", work, "done")["data"]["rounds"] == 1


def test_a_timer_of_an_unreadable_machine_waits_until_the_snapshot_is_repaired(host: Host) -> None:
    work = host.key("work")
    host.receipt("Fragile", work, "wait")
    whole = host.stored("Fragile", work)["snapshot"]

    host.put("Fragile", work, whole[:-10])
    refused = host.post("Fragile", work, "begin", {"effect": work})
    wait_until(lambda: parked(host, work), what="the timer to be parked")
    host.put("Fragile", work, whole)

    assert (refused.status_code, refused.json()["metadata"]["type"]) == (500, "SnapshotUnreadable")
    assert host.wait_in("Fragile", work, "done")["data"]["rounds"] == 1


def test_a_parked_delivery_is_retried_with_growing_delays_and_only_once_each(host: Host) -> None:
    work = host.key("work")
    host.receipt("Fragile", work, "wait")
    whole = host.stored("Fragile", work)["snapshot"]

    host.put("Fragile", work, "{}")

    def tries() -> list[int]:
        rows = host.invocations("Fragile", work, target_handler_name="_parked", status="completed")
        return [json.loads(json.dumps(host.server.output(row["id"])))["outcome"] == "parked" for row in rows]

    wait_until(lambda: len(tries()) >= 2, what="a second try")
    assert len(parked(host, work)) <= 1
    host.put("Fragile", work, whole)
    host.wait_in("Fragile", work, "done")
    assert parked(host, work) == []


def test_the_outcome_of_an_exclusive_activity_that_a_callback_fails_on_is_parked_and_the_key_is_free(
    host: Host,
) -> None:
    work = host.key("work")

    with host.effects.hold(f"before:{work}") as gate:
        held = host.server.send("Fragile", work, "hold", {"effect": work})
        gate.wait_reached()
        with host.deployed(CHARTS_BROKEN="raises"):
            gate.open()
            assert host.server.output(held)["configuration"] == ["holding"]
            wait_until(lambda: parked(host, work), what="the outcome to be parked")
            assert host.post("Fragile", work, "wait").status_code == 409
            [running] = host.snapshot("Fragile", work)["activities"]
            assert running["parked"] is True

    assert host.wait_in("Fragile", work, "done")["data"]["result"] is None
    host.settled()


def test_why_a_delivery_is_parked_can_be_seen_everywhere(host: Host) -> None:
    work = host.key("work")
    with host.effects.hold(f"before:{work}") as gate:
        host.receipt("Fragile", work, "begin", {"effect": work})
        gate.wait_reached()
        with host.deployed(CHARTS_BROKEN="raises", DURABLE_FSM_PARK_FIRST_SECONDS="600"):
            gate.open()
            [seen] = wait_until(lambda: host.snapshot("Fragile", work)["parked"], what="the outcome to be parked")

            assert (seen["event"], seen["type"], seen["tries"]) == ("done.invoke.working", "ActionError", 1)
            assert "ValueError: this deployment has a mistake" in seen["reason"]
            assert re.fullmatch(r".*activity_charts\.py:\d+ in Fragile\.on_enter_done", seen["place"])
            assert {"since", "next"} <= seen.keys()
            entry = host.receipt("Fragile", work, "history", {"last": 1})["entries"][0]
            assert (entry["event"], entry["outcome"]) == ("done.invoke.working", "parked")
            assert entry["error"]["place"] == seen["place"]
            with Admin(host.server.admin_url) as admin:
                found = [one for one in diagnoses(admin) if f"Fragile/{work}:" in one.what]
            [told] = [one.what for one in found if one.kind == "parked"]
            assert "'done.invoke.working' could not be processed since" in told
            assert told.endswith(f"{seen['reason']} ({seen['place']})")

            again = [host.receipt("Fragile", work, "repair", RESEND) for _ in range(5)]

            assert {receipt["outcome"] for receipt in again} == {"parked"}
            assert again[0]["reply"][0]["event"] == "done.invoke.working"
            assert again[0]["reply"][0]["place"] == seen["place"]
            assert len(parked(host, work)) == 1
            entries = host.receipt("Fragile", work, "history", {"last": 5})["entries"]
            assert [entry["note"] for entry in entries] == [{"resend": True, "reason": "why"}] * 5
    host.served.restart(env={"DURABLE_FSM_PARK_FIRST_SECONDS": "0.3"})

    assert host.receipt("Fragile", work, "repair", RESEND)["outcome"] == "repaired"
    assert "parked" not in host.stored("Fragile", work)
    for row in parked(host, work):
        host.server.kill_invocation(row["id"])
