"""A trip that cannot be paid, and one that is deleted: whatever dies at any durable step, both are undone as a whole.

At SCALE=1 the service or its server dies on each server at a step that chance picks; at SCALE=10 each of them
at every single one, on both.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_fsm.testing import EffectLog, RestateServer, wait_until
from tests.server.clients import insisted
from tests.server.test_every_step import MOMENTS, VICTIMS, mortal

pytestmark = pytest.mark.server

APP = "saga_story_app:saga_story_app"
KINDS = ("call", "clear", "get", "handle", "run", "send", "set")
STEPS = ("flight", "car", "payment")


def tell(server: RestateServer, effects: EffectLog, name: str) -> None:
    """The two trips, by a client who insists; and what must have become of them."""
    refused, deleted = f"{name}-refused", f"{name}-deleted"
    with httpx.Client(timeout=60, trust_env=False) as client:

        def ask(key: str, handler: str, body: object = None) -> dict[str, Any]:
            headers = {"idempotency-key": f"{key}/{handler}"}
            content: dict[str, Any] = {} if body is None else {"json": body}
            url = f"{server.ingress_url}/Voyage/{key}/{handler}"
            answer = insisted(lambda: client.post(url, headers=headers, **content))
            assert answer.status_code == 200, answer.text
            return answer.json()

        ask(refused, "book", {"effect": refused, "short_of_money": True})
        ask(deleted, "book", {"effect": deleted})
        ask(deleted, "wait_for", {"state": "booked", "timeout": "60s"})
        life = ask(deleted, "snapshot")["life"]
        assert ask(deleted, "delete", {"compensate": True})["reply"] == ["paying", "car", "flight"]
        ask(refused, "wait_for", {"state": "failed", "timeout": "60s"})
        machine = ask(refused, "snapshot")

    assert machine["data"]["undone"] == ["paying", "car", "flight"]
    assert (machine["undo"], machine["stopping"], machine["activities"], machine["timers"]) == ([], [], [], [])
    assert insisted(lambda: server.state("Voyage", deleted)) == {}
    for trip, life_of in ((refused, machine["life"]), (deleted, life)):
        places = {}
        for activity, step, entry in (("flight", "flight", 2), ("car", "car", 3), ("paying", "payment", 4)):
            stable_id = f"Voyage/{trip}/{life_of}/{activity}/{entry}"
            for undo in ("", "-undo"):
                entries = effects.entries(f"{trip}-{step}{undo}")
                assert {effect.key for effect in entries} == {stable_id}
                places[f"{step}{undo}"] = entries[0].seq, entries[-1].seq
        order = [*STEPS, *(f"{step}-undo" for step in reversed(STEPS))]
        for before, after in pairwise(order):
            assert places[before][1] < places[after][0]


def _settled(server: RestateServer) -> bool:
    running = "SELECT id FROM sys_invocation WHERE target_service_name LIKE 'Voyage%' AND status NOT IN ('completed', 'scheduled')"
    return not insisted(lambda: server.query(running))


@pytest.mark.parametrize("server", ["restate_server", "replaying_server"])
def test_a_saga_may_be_struck_at_any_durable_step(
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
        tell(restate, effect_log, f"whole-saga-{server}")
    steps = Counter((whole / "steps").read_text().split())
    assert set(KINDS) <= steps.keys(), f"the saga has no {set(KINDS) - steps.keys()}"

    every = [
        (kind, number, moment, victim)
        for kind in KINDS
        for number in range(1, max(1, steps[kind] * 3 // 4) + 1)
        for moment in MOMENTS
        for victim in VICTIMS
    ]
    mine = [dice.choice(KINDS)]
    deaths = every if scale >= 10 else [dice.choice([death for death in every if death[0] == kind]) for kind in mine]
    died = 0
    for place, (kind, number, moment, victim) in enumerate(deaths):
        folder = tmp_path / f"{place}"
        folder.mkdir()
        print(f"the {victim} dies: {kind}:{number}:{moment}")  # shown with a failure
        env = {"DYING_PID": str(restate.process.pid)} if victim == "server" else {}
        with mortal(restate, effect_log, folder, APP, DYING_AT=f"{kind}:{number}:{moment}", **env):
            tell(restate, effect_log, f"saga-{server}-{place}")
            wait_until(lambda: _settled(restate), timedelta(seconds=20), "everything to end")
        died += (folder / "steps.died").exists()
    print(f"{died} of {len(deaths)} deaths among {sum(steps.values())} steps: {dict(sorted(steps.items()))}")
    assert died >= 0.9 * len(deaths)
