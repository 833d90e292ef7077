"""Code that ends its process: the invocation is refused after a few deaths, and everything else goes on."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from durable_fsm.cli import main
from durable_fsm.restate.crashes import DEADLY
from durable_fsm.testing import RestateServer, ServiceProcess, free_port, wait_until
from tests.web import web

pytestmark = pytest.mark.server

TARGET = f"{Path(__file__).parent / 'crash_app.py'}:mine_app"
PATIENCE = timedelta(seconds=60)
QUICK = {"retry_policy": {"type": "exponential", "initial_interval": "50ms", "max_interval": "200ms"}}


def rows_of(server: RestateServer, service: str) -> list[dict[str, Any]]:
    return server.query(
        "SELECT id, target, status, last_failure FROM sys_invocation WHERE status <> 'completed'"
        f" AND target_service_name = '{service}'"
    )


@pytest.mark.parametrize(
    ("event", "service", "code"), [("explode", "Mine", 7), ("work", "Mine.activities", -11)], ids=["action", "thread"]
)
def test_an_invocation_that_ends_its_process_is_refused_and_the_others_go_on(
    event: str, service: str, code: int, restate_server: RestateServer, tmp_path: Path
) -> None:
    port = free_port()
    process = ServiceProcess(
        [sys.executable, "-m", "durable_fsm.cli", "serve", TARGET, "--bind", f"127.0.0.1:{port}", "--workers", "2"],
        port=port,
        log=tmp_path / "serve.log",
        health=f"http://127.0.0.1:{port}/ready",
        env={"DURABLE_FSM_CRASH_DIR": str(tmp_path / "crashes")},
        name="serve",
    )

    def deaths() -> int:
        return process.log_tail(1_000_000).count(f" ended with {code}; starting it again")

    try:
        process.start().wait_ready()
        deployment = restate_server.register(process.url)
        web.post(f"{restate_server.ingress_url}/Mine/{event}-bad/{event}/send").raise_for_status()

        def refused() -> list[dict[str, Any]]:
            return [
                row
                for row in rows_of(restate_server, service)
                if "ended its process" in (row.get("last_failure") or "")
            ]

        [row] = wait_until(refused, PATIENCE, what="the invocation to be refused")
        for number in range(1, 6):
            answer = web.post(f"{restate_server.ingress_url}/Mine/{event}-good/count", timeout=30)
            assert answer.json()["reply"] == number
        told = CliRunner().invoke(
            main, ["doctor", "--admin", restate_server.admin_url, "--ingress", restate_server.ingress_url]
        )
        wait_until(lambda: deaths() >= DEADLY, PATIENCE, what="the supervisor to see the deaths")
        assert deaths() <= DEADLY + 2  # a worker may get it before it hears of the last death
        assert f"crashing: {row['target']}" in told.output, told.output
        assert f"/invocations/{row['id']}/resume" in told.output
        web.patch(f"{restate_server.admin_url}/invocations/{row['id']}/resume").raise_for_status()
        told_before = row["last_failure"]
        wait_until(
            lambda: any(one["last_failure"] != told_before for one in refused()), PATIENCE, what="another refusal"
        )
        restate_server.clear(deployment)
        restate_server.deregister(deployment)
    finally:
        process.close()
