"""Kill a service or its server at each durable step of a refused trip and a deleted one: both are undone as a whole.

At SCALE=1 one of them dies on each server at a step that chance picks; at SCALE=10 each of them dies at every single
step, on both.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import httpx
import pytest

from durable_fsm.testing import EffectLog, RestateServer
from tests.server.clients import insisted
from tests.server.every_step import Killer, Story

pytestmark = pytest.mark.server

KINDS = ("call", "clear", "get", "handle", "run", "send", "set")
STEPS = ("flight", "car", "payment")


def tell(server: RestateServer, effects: EffectLog, name: str) -> None:
    """Book the two trips by a client that repeats its requests until they are answered, and check what became of them."""
    refused, deleted = f"{name}-refused", f"{name}-deleted"
    with httpx.Client(timeout=60, trust_env=False, verify=False) as client:

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


STORY = Story(
    "saga_story_app:saga_story_app",
    tell,
    services="target_service_name LIKE 'Voyage%'",
    needs=KINDS,
    dies_at=KINDS,
)


def test_a_saga_may_die_at_any_durable_step(killer: Killer) -> None:
    killer.die_at_every_step(STORY, some=lambda kinds: [killer.dice.choice(kinds)])
