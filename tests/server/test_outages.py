"""An outage that lasts longer than the server's own retries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from durable_fsm.testing import EffectLog, RestateServer, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import Host

pytestmark = pytest.mark.server

ATTEMPTS = 3
IMPATIENT = {
    "RESTATE_DEFAULT_RETRY_POLICY__MAX_ATTEMPTS": f"{ATTEMPTS}",
    "RESTATE_DEFAULT_RETRY_POLICY__MAX_INTERVAL": "50ms",
}


@pytest.fixture
def impatient(hosting: type[Host], effect_log: EffectLog, tmp_path: Path) -> Iterator[Host]:
    """The charts on a server that gives up after a few attempts, unless services ask for more."""
    with RestateServer(env=IMPATIENT) as server, hosting.on(server, effect_log, tmp_path / "service.log") as host:
        yield host


def test_an_outage_pauses_no_invocation_however_many_attempts_it_costs(impatient: Host) -> None:
    """A paused invocation would wait for an operator, and block its key."""
    host, order = impatient, impatient.key("order")

    with host.effects.hold(f"before:{order}") as gate:
        host.receipt("Order", order, "checkout", {"effect": order})
        gate.wait_reached()
        host.served.kill()
        event = host.server.send("Counter", order, "increment")
    [job] = host.jobs("Order", order)
    for invocation in (event, job["id"]):
        asked = f"SELECT retry_count FROM sys_invocation WHERE id = '{invocation}' AND retry_count > {2 * ATTEMPTS}"
        wait_until(lambda asked=asked: host.server.query(asked), what="many failed attempts")
    host.served.restart()

    assert host.server.output(event)["reply"] == 1
    host.wait_in("Order", order, "paid")
