"""Charts as flows: they run from start to end within one invocation, without a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def test_a_flow_answers_with_its_output_and_repeats_no_effect_under_another_stable_id(ends: Host) -> None:
    name = ends.key("flow")

    with ends.effects.hold(f"before:{name}-packed") as gate:
        run = ends.server.send("Dispatch.flow", None, "run", {"effect": name, "fails": 1})
        gate.wait_reached()
        ends.effects.wait_recorded(f"{name}-weighed")
        ends.served.kill()
        ends.server.kill()
        ends.server.start()
        ends.served.restart()
        gate.open()

    assert ends.server.output(run) == {"result": f"done {name}-shipped", "tries": 1}
    for what in ("packed", "weighed", "shipped"):
        assert len(set(ends.effects.counts(f"{name}-{what}"))) == 1
    assert ends.server.query("SELECT * FROM state WHERE service_name = 'Dispatch'") == []


def test_a_flow_may_end_with_a_failure_that_its_chart_handles(ends: Host) -> None:
    assert ends.server.call("Dispatch.flow", None, "run", {"effect": ends.key("hard"), "fails": 9}) == {
        "error": "no van today"
    }


def test_two_runs_of_a_flow_share_nothing(ends: Host) -> None:
    name = ends.key("twice")

    for _ in range(2):
        assert ends.server.call("Dispatch.flow", None, "run", {"effect": name})["tries"] == 0

    assert len(set(ends.effects.counts(f"{name}-packed"))) == 2


def test_a_timer_of_a_flow_stops_an_activity_that_takes_too_long(ends: Host) -> None:
    name = ends.key("late")

    with ends.effects.hold(f"before:{name}-packed") as held:
        assert ends.server.call("Hasty.flow", None, "run", {"effect": name}) is None
        held.wait_abandoned()
    assert ends.effects.entries(f"{name}-packed") == ()


def test_a_flow_that_can_never_continue_fails(ends: Host) -> None:
    answer = ends.client.post(f"{ends.server.ingress_url}/Doomed.flow/run", json={"effect": ends.key("stuck")})

    assert (answer.status_code, answer.json()["metadata"]["type"]) == (500, "FlowStuck")
    assert "the flow waits in 'packed', 'idle' for an event from outside" in answer.json()["message"]


def test_a_flow_with_invalid_data_starts_nothing(ends: Host) -> None:
    answer = ends.client.post(f"{ends.server.ingress_url}/Dispatch.flow/run", json={"fails": 1})

    assert (answer.status_code, answer.json()["metadata"]["type"]) == (422, "InvalidPayload")


def test_a_cancelled_flow_stops_its_activity(ends: Host) -> None:
    name = ends.key("cancelled")

    with ends.effects.hold(f"before:{name}-packed") as gate:
        run = ends.server.send("Dispatch.flow", None, "run", {"effect": name})
        gate.wait_reached()
        ends.server.cancel(run)
        with pytest.raises(httpx.HTTPStatusError, match="409"):
            ends.server.output(run)
        jobs = (
            "SELECT id FROM sys_invocation WHERE target_service_name = 'Dispatch.activities' AND status <> 'completed'"
        )
        wait_until(lambda: ends.server.query(jobs) == [], what="its work to be stopped")
    assert ends.effects.entries(f"{name}-packed") == ()
