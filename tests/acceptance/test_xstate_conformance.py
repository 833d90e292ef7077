"""R19: each feature of XState as a small case, read from JSON and written by hand, rehearsed and on both servers.

All stories are told at once to one application for each server, and to XState itself. A test compares what one machine
has done.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from durable_fsm import chart_from
from durable_fsm.testing import AdminError, EffectLog, RestateServer, Served
from tests.acceptance.applications import ROOT, Application, hosted
from tests.acceptance.figures import FIGURES
from tests.acceptance.xstate.all_pairs import PAIRS
from tests.acceptance.xstate.pairs import CASES, IN_XSTATE, PAGE, Pair, in_page
from tests.acceptance.xstate.stories import Hosted, Rehearsed, Told, expected, tell
from tests.diagram.node import XSTATE, Package, package

STORIES = {f"{name}: {title}": (pair, title) for name, pair in PAIRS.items() for title in pair.stories}
KINDS = ("json", "by_hand")
_numbers = itertools.count(1)
"""A process may tell the stories twice, and the machines of the first time are still there."""

by_story = pytest.mark.parametrize("story", STORIES)
by_kind = pytest.mark.parametrize("kind", KINDS)


def definition(pair: Pair, kind: str) -> object:
    return pair.from_json if kind == "json" else pair.by_hand


@dataclass
class Telling(Application):
    """All cases on one server, and what their machines have told, or will soon."""

    effects: EffectLog
    told: dict[tuple[str, str], Future[Told]] = field(default_factory=dict[tuple[str, str], "Future[Told]"])
    keys: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    def tell_all(self, pool: Executor) -> None:
        """Begin to tell every story to a machine of its own."""
        for name in STORIES:
            for kind in KINDS:
                self.keys[name, kind] = f"story-{next(_numbers)}-{kind}"
                self.told[name, kind] = pool.submit(self._tell, name, kind)

    def _tell(self, name: str, kind: str) -> Told:
        (pair, title), key = STORIES[name], self.keys[name, kind]
        story = pair.stories[title]
        self.effects.fail_next(f"letter to {key}", times=story.get("trouble", 0), status=503)
        with closing(HTTPConnection(urlsplit(self.server.ingress_url).netloc, timeout=120)) as connection:
            return tell(story, Hosted(connection, f"{pair.name}_{kind}", key))

    def close(self) -> None:
        """End what waits. Completed requests stay: to remove hundreds of them takes longer than the stories."""
        FIGURES.count(self.name, self.server, self.served.deployment.services)
        ours = ", ".join(f"'{name}'" for name in self.served.deployment.services)
        asked = f"SELECT id FROM sys_invocation WHERE target_service_name IN ({ours}) AND status <> 'completed'"
        for row in self.server.query(asked):
            with suppress(AdminError):  # it has ended meanwhile
                self.server.kill_invocation(row["id"])
        self.server.deregister(self.served.deployment)


@contextmanager
def opened(server: RestateServer, place: Path) -> Iterator[Telling]:
    app = "tests.acceptance.xstate.application:app"
    with EffectLog() as effects:
        served = Served.begin(app, server, log=place / "log", app_dir=ROOT, env=effects.env)
        telling = Telling("xstate", served, server, effects)
        try:
            with ThreadPoolExecutor(16) as pool:
                telling.tell_all(pool)
                yield telling
            telling.close()
        finally:
            served.process.close()


telling_awake, telling_replaying, telling = hosted("telling", opened)


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


# XState's machine ends with the mistake; see docs/xstate.md
ALIKE = [name for name, (pair, title) in STORIES.items() if "then" in pair.stories[title] and pair.name != "mistake"]


@pytest.fixture(scope="module")
def by_xstate() -> dict[str, Any]:
    """The microsteps of XState itself, to which all stories are told at once."""
    given = [
        {**pair.case, "name": pair.name, **pair.stories[title]} for pair, title in (STORIES[name] for name in ALIKE)
    ]
    found: Package = package(*XSTATE)
    return dict(zip(ALIKE, found.run(IN_XSTATE.read_text(), given=given), strict=True))


@pytest.mark.parametrize("story", ALIKE)
def test_xstate_itself_tells_the_same_story(by_xstate: dict[str, Any], story: str) -> None:
    pair, title = STORIES[story]
    told = pair.stories[title]

    lines = as_in_xstate(told["then"]["trace"], pair)

    assert (sorted(by_xstate[story]) if told.get("in_any_order") else by_xstate[story]) == lines


def as_in_xstate(trace: list[str], pair: Pair) -> list[list[object]]:
    """The lines of a trace as event, states left and states entered, without a state that its root was put into."""
    machine = pair.case["machine"]["id"]
    wrapped = machine in chart_from(pair.from_json).states
    added = {machine, "ended"} if wrapped else set[str]()
    steps = [line.split() for line in trace if not (wrapped and line.startswith(f"done.state.{machine} "))]
    found: list[list[object]] = []
    for event, *states in steps:
        left, entered = ({id[1:] for id in states if id[0] == sign} - added for sign in "-+")
        found.append([event, sorted(left), sorted(entered)])
    return found


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
