"""Kill a service with fan-outs that do not need all of their items, or its server, at each durable step.

Whatever dies, also while the items that are not needed are being cancelled, the outcome stays as it was decided. At SCALE=1
one of them dies at a cancellation and at another kind of step; at SCALE=10 each of them dies at every single step.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from durable_fsm.testing import EffectLog, RestateServer, wait_until
from tests.server.clients import insisted
from tests.server.every_step import Killer, Story

pytestmark = pytest.mark.server


def tell(server: RestateServer, effects: EffectLog, key: str) -> None:
    """Begin, wait for the end, and check each outcome and effect."""
    with httpx.Client(timeout=60, trust_env=False, verify=False) as client:

        def ask(handler: str, body: object) -> dict[str, Any]:
            url = f"{server.ingress_url}/Joins/{key}/{handler}"
            answer = insisted(lambda: client.post(url, headers={"idempotency-key": f"{key}/{handler}"}, json=body))
            assert answer.status_code == 200, answer.text
            return answer.json()

        def machine() -> dict[str, Any]:
            return insisted(lambda: client.post(f"{server.ingress_url}/Joins/{key}/snapshot")).json()

        ask("begin", key)
        wait_until(lambda: machine()["configuration"] == ["over"], timedelta(seconds=60), "the end")

        assert machine()["data"]["results"] == [["first", "second"], "winner", {"index": 1}]
        assert machine()["activities"] == machine()["timers"] == []
        for how, stem in (("first", "electing"), ("second", "electing"), ("winner", "racing")):
            [stable_id] = {entry.key for entry in effects.entries(f"{key}-{how}")}
            assert stable_id.startswith(f"Joins/{key}/{machine()['life']}/{stem}/")
        assert effects.entries(f"{key}-slow") == ()
        assert ask("delete", {})["outcome"] == "deleted"


STORY = Story(
    "joins_story_app:joins_story_app",
    tell,
    services="target_service_name LIKE 'Joins%'",
    needs=("set", "send", "call", "run", "sleep", "cancel"),
    enough=0.75,
)


def test_a_fan_out_may_die_at_any_durable_step(killer: Killer) -> None:
    others = [kind for kind in STORY.needs if kind != "cancel"]

    killer.die_at_every_step(STORY, some=lambda _: ["cancel", killer.dice.choice(others)])
