"""R19: each feature of XState as a small case, read from JSON and written by hand, rehearsed and on both servers.

All stories are told at once to one application for each server. A test compares what one machine has done.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from durable_fsm import chart_from
from durable_fsm.testing import AdminError, EffectLog, RestateServer, Served
from tests.acceptance.applications import ROOT
from tests.acceptance.xstate.all_pairs import PAIRS
from tests.acceptance.xstate.pairs import CASES, PAGE, Pair, in_page
from tests.acceptance.xstate.stories import Hosted, Rehearsed, Told, expected, tell

STORIES = {f"{name}: {title}": (pair, title) for name, pair in PAIRS.items() for title in pair.stories}
KINDS = ("json", "by_hand")

by_story = pytest.mark.parametrize("story", STORIES)
by_kind = pytest.mark.parametrize("kind", KINDS)


def definition(pair: Pair, kind: str) -> object:
    return pair.from_json if kind == "json" else pair.by_hand


@contextmanager
def served(server: RestateServer, log: Path, effects: EffectLog) -> Iterator[None]:
    """Serve all cases. Completed requests stay behind: to remove hundreds of them takes longer than the stories."""
    app = "tests.acceptance.xstate.application:app"
    host = Served.begin(app, server, log=log, app_dir=ROOT, env=effects.env)
    try:
        yield
        ours = ", ".join(f"'{name}'" for name in host.deployment.services)
        waiting = f"SELECT id FROM sys_invocation WHERE target_service_name IN ({ours}) AND status <> 'completed'"
        for row in server.query(waiting):
            with suppress(AdminError):  # it has ended meanwhile
                server.kill_invocation(row["id"])
        server.deregister(host.deployment)
    finally:
        host.process.close()


@dataclass
class Telling:
    """What the machines of one server have told, or will soon."""

    effects: EffectLog
    told: dict[tuple[str, str], Future[Told]] = field(default_factory=dict[tuple[str, str], "Future[Told]"])
    keys: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    @classmethod
    @contextmanager
    def on(cls, server: RestateServer, log: Path) -> Iterator[Telling]:
        with (
            EffectLog() as effects,
            served(server, log, effects),
            httpx.Client(timeout=120, trust_env=False, verify=False) as client,
            ThreadPoolExecutor(16) as pool,
        ):
            telling = cls(effects)
            for number, (name, (pair, title)) in enumerate(STORIES.items()):
                for kind in KINDS:
                    key = telling.keys[name, kind] = f"story-{number}-{kind}"
                    story = pair.stories[title]
                    effects.fail_next(f"letter to {key}", times=story.get("trouble", 0), status=503)
                    machine = Hosted(client, server.ingress_url, f"{pair.name}_{kind}", key)
                    telling.told[name, kind] = pool.submit(tell, story, machine)
            yield telling


@pytest.fixture(scope="module")
def awake(restate_server: RestateServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telling]:
    with Telling.on(restate_server, tmp_path_factory.mktemp("xstate") / "log") as telling:
        yield telling


@pytest.fixture(scope="module")
def replaying(replaying_server: RestateServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telling]:
    with Telling.on(replaying_server, tmp_path_factory.mktemp("xstate") / "log") as telling:
        yield telling


@pytest.fixture(params=["awake", "replaying"])
def telling(request: pytest.FixtureRequest) -> Telling:
    found: Telling = request.getfixturevalue(request.param)
    return found


@by_kind
@by_story
def test_a_story_is_rehearsed_as_its_case_says(story: str, kind: str) -> None:
    pair, title = STORIES[story]

    assert tell(pair.stories[title], Rehearsed.of(definition(pair, kind))) == expected(pair.stories[title])


@pytest.mark.server
@by_kind
@by_story
def test_a_story_happens_on_the_server_as_its_case_says(telling: Telling, story: str, kind: str) -> None:
    pair, title = STORIES[story]

    assert telling.told[story, kind].result() == expected(pair.stories[title])

    if "calls" in pair.stories[title]:
        calls = [telling.effects.arrived(f"letter to {to}{telling.keys[story, kind]}") for to in ("", "nobody-")]
        assert sum(calls) == pair.stories[title]["calls"]


@pytest.mark.parametrize("name", PAIRS)
def test_a_case_has_the_same_states_and_events_from_json_and_by_hand(name: str) -> None:
    read, written = chart_from(PAIRS[name].from_json), chart_from(PAIRS[name].by_hand)

    assert {id: state.kind for id, state in read.states.items()} == {
        id: state.kind for id, state in written.states.items()
    }
    assert read.public_events == written.public_events
    assert read.events.keys() == written.events.keys()


def test_every_case_is_told() -> None:
    assert {path.stem for path in CASES.glob("*.json")} == PAIRS.keys()


def test_the_page_lists_every_case() -> None:
    page = PAGE.read_text()

    assert page == in_page(page), "run: python -m tests.acceptance.xstate.pairs"
