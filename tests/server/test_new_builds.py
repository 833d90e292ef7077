"""Activities that are running while a new build of their code and chart is deployed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from durable_fsm.testing import EffectLog, RestateServer, Served, wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

APP = "work_app:work_app"


def approval_of(host: Host, key: str) -> str:
    def shown() -> str:
        running = host.snapshot("Report", key).get("activities", [])
        return next((one["id"] for activity in running for one in activity.get("callbacks", [])), "")

    return wait_until(shown, what="the callback to be shown")


@pytest.fixture
def own(hosting: type[Host], effect_log: EffectLog, tmp_path: Path) -> Iterator[Host]:
    """The charts on a server of the test's own, whose deployments it may change."""
    with RestateServer() as server, hosting.on(server, effect_log, tmp_path / "service.log", APP) as host:
        yield host


def let_time_pass(scale: int) -> None:
    """Let work last ten minutes at full scale; otherwise it is as long as the deployment takes."""
    begun = time.monotonic()
    lasts = timedelta(minutes=10 if scale >= 10 else 0)
    wait_until(
        lambda: time.monotonic() - begun >= lasts.total_seconds(), 2 * lasts + timedelta(minutes=1), f"{lasts} to pass"
    )


def test_a_running_activity_finishes_with_its_own_code_beside_a_new_build(
    own: Host, tmp_path: Path, scale: int
) -> None:
    report = own.key("report")
    own.receipt("Report", report, "write", {"effect": report})
    id = approval_of(own, report)

    env = {**own.effects.env, "WORK_BUILD": "2"}
    log = tmp_path / "second.log"
    with Served.begin(APP, own.server, log=log, app_dir=Path(__file__).parent, env=env):
        own.served.restart()  # the old build is killed and comes back
        let_time_pass(scale)
        own.answer(id, "resolve", '"yes"')
        machine = own.wait_in("Report", report, "archived")
        own.receipt("Report", report, "publish")

        again = own.key("report")
        own.receipt("Report", again, "write", {"effect": again})
        own.answer(approval_of(own, again), "resolve", '"yes"')
        second = own.wait_in("Report", again, "archived")

    assert machine["data"]["result"] == f"done {report}-begun, yes, done {report}-ended by build 1"
    assert own.effects_of(f"{report}-begun") == own.effects_of(f"{report}-ended") == ["1"]
    assert own.effects_of(f"{report}-archived") == []
    assert second["data"]["result"].endswith("by build 2")


def test_a_running_activity_continues_with_new_code_if_its_steps_so_far_are_the_same(own: Host, scale: int) -> None:
    report = own.key("report")
    own.receipt("Report", report, "write", {"effect": report})
    id = approval_of(own, report)

    own.served.restart(env={"WORK_BUILD": "2"})
    own.server.register(own.served.url, force=True)
    let_time_pass(scale)
    own.answer(id, "resolve", '"yes"')
    machine = own.wait_in("Report", report, "archived")

    assert machine["data"]["result"] == f"done {report}-begun, yes, done {report}-ended by build 2"
    assert own.effects_of(f"{report}-begun") == ["1"]
    assert own.effects_of(f"{report}-ended") == own.effects_of(f"{report}-archived") == ["2"]
