"""Kill a service or its server at each durable step of a story: it always ends in the same way.

At SCALE=1 one of them dies once at every kind of step, at a step that chance picks, and at the step itself or a moment
later; at SCALE=10 each of them dies at every single step, both times.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from durable_fsm.testing import EffectLog, RestateServer, wait_until
from tests.server.clients import insisted
from tests.server.dying import STEPS
from tests.server.every_step import SERVERS, Killer, Story

pytestmark = pytest.mark.server

KINDS = sorted({*STEPS.values(), "handle"})


def tell(server: RestateServer, effects: EffectLog, key: str) -> None:
    """Tell the story by clients that repeat their requests until they are answered, and check how it ends."""
    with httpx.Client(timeout=60, trust_env=False, verify=False) as client, ThreadPoolExecutor(1) as pool:

        def ask(handler: str, body: object = None, *, name: str = "") -> dict[str, Any]:
            headers = {"idempotency-key": f"{key}/{handler}/{name}"}
            content: dict[str, Any] = {} if body is None else {"json": body}
            url = f"{server.ingress_url}/Story/{key}/{handler}"
            answer = insisted(lambda: client.post(url, headers=headers, **content))
            assert answer.status_code == 200, answer.text
            return answer.json()

        request = {"state": "rested", "event": "begin", "payload": {"effect": key}, "timeout": "60s"}
        waiting = pool.submit(ask, "wait_for", request)
        wait_until(lambda: insisted(lambda: server.state("Story", key)), what="the story to begin")
        outcomes = [ask("note", number, name=f"{number}")["outcome"] for number in range(12)]
        told = waiting.result()
        assert (told["event"], told["outcome"]) == ("begin", "taken")
        assert set(outcomes) <= {"taken", "deferred"}

        machine = ask("snapshot")
        assert machine["configuration"] == ["rested"]
        assert machine["data"] == {
            "effect": key,
            "rounds": 1,
            "notes": list(range(12)),
            "results": [f"{key}-second", f"{key}-alone", *[f"{key}-part"] * 3],
        }
        assert machine["timers"] == machine["activities"] == machine["deferred"] == []
        life = machine["life"]
        for part, activity in (("first", "working"), ("second", "working"), ("alone", "holding")):
            keys = {entry.key for entry in effects.entries(f"{key}-{part}")}
            assert {stable_id.rpartition("/")[0] for stable_id in keys} == {f"Story/{key}/{life}/{activity}"}
            assert len(keys) == 1
        stem = f"Story/{key}/{life}/crowding"
        parts = {entry.key for entry in effects.entries(f"{key}-part")}
        assert {stable_id.rpartition("/")[2] for stable_id in parts} == {"0", "1", "2"}
        assert len({stable_id.rpartition("/")[0] for stable_id in parts}) == 1
        assert all(stable_id.startswith(stem) for stable_id in parts)
        effects.wait_recorded(f"{key}-mail")
        assert len({entry.key for entry in effects.entries(f"{key}-mail")}) == 1

        moved = ask("repair", {"move": "idle", "reason": "once more"})
        assert moved["configuration"] == ["idle"]
        entries = ask("history", {"limit": 1000})["entries"]
        assert [entry["n"] for entry in entries] == list(range(1, len(entries) + 1))
        assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
        counted = Counter(entry["event"] for entry in entries if entry["outcome"] == "taken")
        assert (counted["begin"], counted["note"], counted["repair"]) == (1, 12, 1)

        assert ask("delete", {})["outcome"] == "deleted"
        assert insisted(lambda: server.state("Story", key)) == {}


STORY = Story(
    "story_app:story_app",
    tell,
    services="target_service_name LIKE 'Story%'",
    over=("completed",),
    needs=KINDS,
    dies_at=KINDS,
)


def test_a_service_may_die_at_any_durable_step(killer: Killer) -> None:
    mine = SERVERS.index(killer.name)

    killer.die_at_every_step(STORY, some=lambda kinds: kinds[mine :: len(SERVERS)])  # each kind on one of the servers
