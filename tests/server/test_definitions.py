"""Charts of every front-end on a real server: events, activities and timers, with a kill of the service in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def test_a_transitions_configuration_is_hosted_as_a_durable_machine(host: Host) -> None:
    lamp = host.key("lamp")

    assert host.receipt("Lamp", lamp, "press", {"by": 2})["configuration"] == ["on", "on_bright"]
    assert host.receipt("Lamp", lamp, "lower")["configuration"] == ["on", "on_dim"]
    wait_until(lambda: host.snapshot("Lamp", lamp)["data"]["reading"], what="the measurement")
    host.served.restart()
    off = host.wait_in("Lamp", lamp, "off")

    assert off["data"] == {"presses": 2, "reading": "2 presses"}
    host.receipt("Lamp", lamp, "press")
    host.receipt("Lamp", lamp, "press")
    refused = host.post("Lamp", lamp, "press")
    assert refused.status_code == 409
    assert "Guard 'is_new' says no." in refused.json()["message"]


def test_a_document_is_hosted_as_a_durable_machine(host: Host) -> None:
    gate = host.key("gate")

    assert host.receipt("Turnstile", gate, "coin", {"cents": 60})["configuration"] == ["locked"]
    host.served.restart()
    assert host.receipt("Turnstile", gate, "coin", {"cents": 50})["configuration"] == ["unlocked"]

    locked = host.wait_in("Turnstile", gate, "locked")
    assert locked["data"] == {"cents": 0}


def test_a_class_with_plain_attributes_may_have_a_method_as_activity(host: Host) -> None:
    kettle = host.key("kettle")

    host.receipt("Kettle", kettle, "heat", {"litres": 2})
    hot = host.wait_in("Kettle", kettle, "hot")

    assert hot["data"] == {"litres": 2, "seen": {"$set": ["2 litres", "heat"]}}
    assert host.receipt("Kettle", kettle, "cool")["configuration"] == ["cold"]
