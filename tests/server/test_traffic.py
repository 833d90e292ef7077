"""Waiting for a quiet server sees what is sent, what is still to come of it, and what is still to be cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from durable_fsm.testing import wait_until
from tests.server.conftest import TEST
from tests.server.traffic import Traffic

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def test_work_that_a_machine_has_sent_is_on_its_way_until_its_outcome_is_taken(host: Host) -> None:
    key = host.key("order")
    traffic = Traffic(host.server, host.served.deployment.services, TEST.began)

    with host.effects.hold(f"before:{key}") as gate:
        host.receipt("Order", key, "checkout", {"effect": key})
        gate.wait_reached()
        [job] = host.jobs("Order", key)
        assert traffic.on_its_way() == [job["id"]]

    wait_until(lambda: not traffic.on_its_way(), what="the order to be settled")
    assert host.snapshot("Order", key)["configuration"] == ["paid"]
    assert host.scheduled("Order", key) == [], "the deadline of the work was cancelled"


def test_what_was_sent_and_will_never_come_is_waited_for_a_moment_only(awake: Host) -> None:
    key = awake.key("order")
    awake.receipt("Order", key, "checkout", {"effect": key})
    awake.wait_in("Order", key, "paid")
    awake.settled()
    for row in awake.invocations("Order", key):
        if row["target_handler_name"] == "_deliver":
            awake.client.patch(f"{awake.server.admin_url}/invocations/{row['id']}/purge").raise_for_status()

    traffic = Traffic(awake.server, awake.served.deployment.services, TEST.began)
    assert len(traffic.on_its_way()) == 1
    wait_until(lambda: not traffic.on_its_way(), what="it to be forgotten")
