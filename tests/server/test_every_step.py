"""A service, or its server, that is killed at each durable step: the story that is told is always the same.

At SCALE=1 one of them dies once at every kind of step, at one that chance picks and at the step itself or a moment later;
at SCALE=10 each of them at every single one, both times.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_fsm.testing import EffectLog, RestateServer, Served, wait_until
from tests.server.clients import insisted
from tests.server.dying import STEPS

pytestmark = pytest.mark.server

HERE = Path(__file__).parent
KINDS = sorted({*STEPS.values(), "handle"})
MOMENTS = ("at", "after")
VICTIMS = ("service", "server")
SERVERS = ("restate_server", "replaying_server")


@contextmanager
def mortal(
    server: RestateServer, effects: EffectLog, folder: Path, app: str = "story_app:story_app", **env: str
) -> Iterator[Served]:
    """The story's service; whenever it or its server dies, that is started again."""
    log = folder / "steps"
    over = threading.Event()
    with Served.begin(
        app,
        server,
        log=folder / "service.log",
        app_dir=HERE,
        env={**effects.env, "DURABLE_FSM_PAYLOAD_CHECKS": "1", "DYING_LOG": str(log), **env},
    ) as served:

        def watch() -> None:
            while not over.wait(0.02):
                if not server.process.alive:
                    server.start()
                if not served.process.alive:
                    served.restart()

        def victim() -> int | None:
            return server.process.pid if "DYING_PID" in env else served.process.pid

        first = victim()
        watching = threading.Thread(target=watch)
        watching.start()
        try:
            yield served
            if log.with_suffix(".died").exists():
                # A moment after the last step may be while we tidy up.
                wait_until(lambda: victim() != first, what="the victim to be back")
        finally:
            over.set()
            watching.join()


def tell(server: RestateServer, effects: EffectLog, key: str) -> None:
    """The story from its beginning to its end, by clients who insist; and what must have become of it."""
    with httpx.Client(timeout=60, trust_env=False) as client, ThreadPoolExecutor(1) as pool:

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

        assert ask("delete")["outcome"] == "deleted"
        assert insisted(lambda: server.state("Story", key)) == {}


def _settled(server: RestateServer) -> bool:
    running = "SELECT id FROM sys_invocation WHERE target_service_name LIKE 'Story%' AND status NOT IN ('completed')"
    return not insisted(lambda: server.query(running))


@pytest.mark.parametrize("server", SERVERS)
def test_a_service_may_die_at_any_durable_step(
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
    with mortal(restate, effect_log, whole):
        tell(restate, effect_log, f"whole-{server}")
    steps = Counter((whole / "steps").read_text().split())
    assert set(KINDS) <= steps.keys(), f"the story has no {set(KINDS) - steps.keys()}"

    every = [
        (kind, n, moment, victim)
        for kind in KINDS
        for n in _up_to(steps[kind])
        for moment in MOMENTS
        for victim in VICTIMS
    ]
    kinds = KINDS[SERVERS.index(server) :: len(SERVERS)]  # of each kind one, on one of them
    deaths = every if scale >= 10 else [dice.choice([death for death in every if death[0] == kind]) for kind in kinds]
    died = 0
    for place, (kind, number, moment, victim) in enumerate(deaths):
        folder = tmp_path / f"{place}"
        folder.mkdir()
        print(f"the {victim} dies: {kind}:{number}:{moment}")  # shown with a failure
        env = {"DYING_PID": str(restate.process.pid)} if victim == "server" else {}
        with mortal(restate, effect_log, folder, DYING_AT=f"{kind}:{number}:{moment}", **env):
            tell(restate, effect_log, f"{server}-{place}")
            wait_until(lambda: _settled(restate), timedelta(seconds=20), "everything to end")
        died += (folder / "steps.died").exists()
    print(f"{died} of {len(deaths)} deaths among {sum(steps.values())} steps: {dict(sorted(steps.items()))}")
    assert died >= 0.9 * len(deaths)


def _up_to(steps: int) -> range:
    """The steps to die at. How many there are differs a little from telling to telling: not all reach the last ones."""
    return range(1, max(1, steps * 3 // 4) + 1)
