"""What people bring to an application: services for its activities, and models that make their own machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def test_activities_and_undos_get_the_services_of_the_application_also_after_a_kill(ends: Host) -> None:
    key = ends.key("sale")
    ends.receipt("Sale", key, "create", {"effect": key})

    ends.receipt("Sale", key, "sell")
    held = ends.wait_in("Sale", key, "held")
    ends.served.kill()
    ends.served.restart()
    ends.receipt("Sale", key, "refund")
    ends.wait_in("Sale", key, "over")

    assert held["data"]["why"] == f"{key} and a lock"
    assert len(ends.effects_of(key)) == len(ends.effects_of(f"{key}-back")) == 1


def test_a_model_that_makes_its_machine_is_hosted_and_survives_a_kill(ends: Host) -> None:
    key = ends.key("kettle")
    ends.receipt("Boiler", key, "heat", {"by": 30})
    ends.served.kill()
    ends.served.restart()

    hot = ends.receipt("Boiler", key, "heat", [50])

    assert hot["configuration"] == ["hot"]
    assert ends.snapshot("Boiler", key)["data"] == {"_degrees": 100}
