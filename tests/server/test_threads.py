"""Plain functions of activities in a process that runs two of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from durable_fsm.cli import main

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server


def errors_of(host: Host, keys: list[str], event: str) -> list[str]:
    """Send every machine this event, wait for its work; the type of each failure, empty where there was none."""
    answers = host.together([("Raising", key, event, {"kind": ""}) for key in keys])
    assert {answer.status_code for answer in answers} == {200}
    host.settled()
    machines = host.together([("Raising", key, "snapshot", None) for key in keys])
    return [machine.json()["data"]["error"] for machine in machines]


def test_functions_that_wait_for_a_thread_do_not_time_out(raising_awake: Host) -> None:
    keys = [raising_awake.key("pausing") for _ in range(30)]  # the last one waits longer than its timeout

    assert errors_of(raising_awake, keys, "pause") == [""] * 30


def test_functions_that_hang_stop_no_others(raising: Host) -> None:
    hanging = [raising.key("hanging") for _ in range(6)]

    assert errors_of(raising, hanging, "hang") == ["timeout"] * 6
    servers = ["--admin", raising.server.admin_url, "--ingress", raising.server.ingress_url]
    told = CliRunner().invoke(main, ["doctor", *servers]).output
    assert "Threads that were given up are still running: " in told, told
    assert errors_of(raising, [raising.key("pausing")], "pause") == [""]
