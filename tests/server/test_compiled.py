"""Compiled charts on a server; and machines that another application serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from durable_fsm.testing import RestateServer, Served, wait_until

HERE = Path(__file__).parent
pytestmark = pytest.mark.server


def test_each_machine_has_a_chart_of_its_own_and_its_children_are_served_elsewhere(
    restate_server: RestateServer, tmp_path: Path
) -> None:
    server, keys = restate_server, {"two": [5, 7], "four": [1, 2, 3, 4]}

    with (
        Served.begin("apart_app:drills", server, log=tmp_path / "drills.log", app_dir=HERE) as drills,
        Served.begin("apart_app:plates", server, log=tmp_path / "plates.log", app_dir=HERE) as plates,
    ):
        for key, holes in keys.items():
            server.call("Plate", key, "create", {"holes": holes})
        plates.kill()
        plates.restart()
        for key in keys:
            server.call("Plate", key, "wait_for", {"state": "ready"})
        snapshots = {key: server.call("Plate", key, "snapshot") for key in keys}
        histories = {key: server.call("Plate", key, "history")["entries"] for key in keys}
        served = [set(one.deployment.services) for one in (plates, drills)]
        for key in keys:
            server.call("Plate", key, "delete", {})
        wait_until(lambda: not server.state("Plate", "two"), what="it to be deleted")

    assert {key: snapshot["data"]["depths"] for key, snapshot in snapshots.items()} == keys
    entered = [step["entered"] for entry in histories["two"] for step in entry["steps"]]
    assert [state for states in entered for state in states if state.startswith("hole")][-1] == "hole_1"
    assert ("Drilling" in served[0], "Plate" in served[0], "Drilling" in served[1]) == (False, True, True)
