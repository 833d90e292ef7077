"""A service of machines with children, or its server, that is killed at each durable step: always the same story.

As in `test_every_step`; at SCALE=1 three deaths, at kinds of steps that chance picks, at SCALE=10 one at every single step.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_fsm.testing import EffectLog, RestateServer, wait_until
from tests.server.clients import insisted
from tests.server.test_every_step import MOMENTS, VICTIMS, mortal

pytestmark = pytest.mark.server

APP = "family_story_app:family_story_app"
OURS = "('Sender', 'Sender.history', 'Runner', 'Runner.activities', 'Runner.history', 'Notebook', 'Notebook.history')"


def tell(server: RestateServer, effects: EffectLog, key: str) -> None:
    """The story from its beginning to its end; and what must have become of it."""
    with httpx.Client(timeout=60, trust_env=False) as client:

        def ask(chart: str, machine: str, handler: str, body: object = None) -> dict[str, Any]:
            headers = {"idempotency-key": f"{machine}/{handler}"} if handler in ("begin", "leave", "delete") else {}
            content: dict[str, Any] = {} if body is None else {"json": body}
            url = f"{server.ingress_url}/{chart}/{machine}/{handler}"
            answer = insisted(lambda: client.post(url, headers=headers, **content))
            assert answer.status_code == 200, answer.text
            return answer.json()

        ask("Sender", key, "begin", key)
        early = [child["key"] for child in ask("Sender", key, "snapshot")["machines"]]
        assert len(early) == 2
        ask("Sender", key, "leave")
        wait_until(
            lambda: "over" in ask("Sender", key, "snapshot")["configuration"], timedelta(seconds=60), "both to be back"
        )

        machine = ask("Sender", key, "snapshot")
        assert sorted(machine["data"]["asked"]) == [0, 1]
        assert machine["data"]["result"] == [[0, 0], [1, 1]]
        assert machine["machines"] == machine["timers"] == machine["activities"] == []
        for number in range(2):
            [stable_id] = {entry.key for entry in effects.entries(f"{key}-{number}")}
            assert stable_id.startswith(f"Runner/{key}/runner.{number}/{machine['life']}.")
            ledger = f"{key}-{number}"
            wait_until(lambda ledger=ledger: insisted(lambda: server.state("Notebook", ledger)), what="the notes")
            wait_until(
                lambda ledger=ledger: ask("Notebook", ledger, "snapshot")["data"]["notes"] == [0, 1, 2],
                timedelta(seconds=20),
                "all notes, in order",
            )
        for child in early:
            wait_until(lambda child=child: insisted(lambda: server.state("Runner", child)) == {}, what="it to be gone")
        assert ask("Sender", key, "delete")["outcome"] == "deleted"


def _settled(server: RestateServer) -> bool:
    running = f"SELECT id FROM sys_invocation WHERE target_service_name IN {OURS} AND status NOT IN ('completed', 'scheduled')"
    return not insisted(lambda: server.query(running))


@pytest.mark.parametrize("server", ["restate_server", "replaying_server"])
def test_a_service_of_machines_with_children_may_die_at_any_durable_step(
    server: str,
    request: pytest.FixtureRequest,
    effect_log: EffectLog,
    scale: int,
    dice: random.Random,
    tmp_path: Path,
) -> None:
    restate: RestateServer = request.getfixturevalue(server)
    whole = tmp_path / "whole"
    whole.mkdir()
    with mortal(restate, effect_log, whole, APP):
        tell(restate, effect_log, f"family-{server}")
    steps = Counter((whole / "steps").read_text().split())
    assert {"get", "set", "send", "run", "clear"} <= steps.keys()

    every = [
        (kind, number, moment, victim)
        for kind in sorted(steps)
        for number in range(1, max(1, steps[kind] * 3 // 4) + 1)
        for moment in MOMENTS
        for victim in VICTIMS
    ]
    kinds = dice.sample(sorted(steps), 3)
    deaths = every if scale >= 10 else [dice.choice([death for death in every if death[0] == kind]) for kind in kinds]
    died = 0
    for place, (kind, number, moment, victim) in enumerate(deaths):
        folder = tmp_path / f"{place}"
        folder.mkdir()
        print(f"the {victim} dies: {kind}:{number}:{moment}")  # shown with a failure
        env = {"DYING_PID": str(restate.process.pid)} if victim == "server" else {}
        with mortal(restate, effect_log, folder, APP, DYING_AT=f"{kind}:{number}:{moment}", **env):
            tell(restate, effect_log, f"family-{server}-{place}")
            wait_until(lambda: _settled(restate), timedelta(seconds=20), "everything to end")
        died += (folder / "steps.died").exists()
    print(f"{died} of {len(deaths)} deaths among {sum(steps.values())} steps: {dict(sorted(steps.items()))}")
    assert died >= 0.75 * len(deaths)
