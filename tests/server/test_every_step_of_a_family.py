"""Kill a service of machines with children, or its server, at each durable step: the story always ends in the same way.

At SCALE=1 one of them dies at three kinds of steps that chance picks; at SCALE=10 each of them dies at every single step.
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

SERVICES = (
    "('Sender', 'Sender.history', 'Runner', 'Runner.activities', 'Runner.history', 'Notebook', 'Notebook.history')"
)


def tell(server: RestateServer, effects: EffectLog, key: str) -> None:
    """Tell the story by a client that repeats its requests until they are answered, and check how it ends."""
    with httpx.Client(timeout=60, trust_env=False, verify=False) as client:

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
                timedelta(seconds=60),
                "all notes, in order",
            )
        for child in early:
            wait_until(lambda child=child: insisted(lambda: server.state("Runner", child)) == {}, what="it to be gone")
        assert ask("Sender", key, "delete", {})["outcome"] == "deleted"


STORY = Story(
    "family_story_app:family_story_app",
    tell,
    services=f"target_service_name IN {SERVICES}",
    needs=("get", "set", "send", "run", "clear"),
    enough=0.75,
)


def test_a_machine_with_children_may_die_at_any_durable_step(killer: Killer) -> None:
    killer.die_at_every_step(STORY, some=lambda kinds: killer.dice.sample(kinds, 3))
