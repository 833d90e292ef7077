"""Fixtures of the server tests: their applications, each hosted on two real servers for the whole run.

`host` runs a test on both: one lets attempts stay open, the other suspends and replays them at every await. Keys are
never used twice, so tests need not clean up. Whatever a test has killed is started again before the next one.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx
import pytest

from durable_fsm.local import native
from durable_fsm.serving.servers import ServerName
from durable_fsm.testing import EffectLog, RestateServer, Served, wait_until
from tests.kafka import Brokers
from tests.server.every_step import SERVERS, Killer
from tests.server.sources import Sources
from tests.server.traffic import Traffic
from tests.server.watched import Watched
from tests.web import ONCE

HERE = Path(__file__).parent
UNLIMITED = httpx.Limits(max_connections=None)
PATIENCE = timedelta(seconds=120)
FIRST_PARK = timedelta(milliseconds=300)
LOOKED_AFTER = {"DURABLE_FSM_CHECK_FIRST_SECONDS": "1"}

_numbers = itertools.count(1)


@dataclass
class Current:
    """The test that runs now."""

    began: int = 0
    """In milliseconds since 1970."""


TEST = Current()


@dataclass
class Host:
    """The charts on one server: what a client, an operator and the world outside see of them."""

    served: Served
    server: RestateServer
    effects: EffectLog
    client: httpx.Client

    @classmethod
    @contextmanager
    def on(
        cls,
        server: RestateServer,
        effects: EffectLog,
        log: Path,
        app: str = "charts:charts_app",
        *,
        http1: bool = False,
        by: ServerName = "hypercorn",
        to_the_end: bool = False,
        **settings: str,
    ) -> Iterator[Self]:
        """Serve the charts by a process of their own, with these settings added, and register them.

        With *to_the_end* nothing is removed from the server at the end, because the server ends too.
        """
        env = {
            **effects.env,
            "DURABLE_FSM_PARK_FIRST_SECONDS": f"{FIRST_PARK.total_seconds()}",
            "CHARTS_VERSION": "1",
            "DURABLE_FSM_CRASH_DIR": str(log.parent / "crashes"),
            "DURABLE_FSM_PAYLOAD_CHECKS": "1",  # whatever differs on replay is found
            **settings,
        }
        with (
            httpx.Client(timeout=60, trust_env=False, verify=False, headers=ONCE, limits=UNLIMITED) as client,
            ExitStack() as ending,
        ):
            served = Served.begin(app, server, log=log, app_dir=HERE, env=env, http1=http1, by=by)
            ending.callback(served.process.close if to_the_end else served.close)
            yield cls(served, server, effects, client)

    def key(self, name: str = "k") -> str:
        """A key that no other test has."""
        return f"{name}-{next(_numbers)}"

    # ── a client ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def url(self, chart: str, key: str, handler: str) -> str:
        return f"{self.server.ingress_url}/{chart}/{quote(key, safe='')}/{handler}"

    def post(self, chart: str, key: str, handler: str, body: object = None) -> httpx.Response:
        """Call a handler, whatever it answers; None sends no body, but to a handler that demands one."""
        content = _content(handler, body)
        return self.client.post(self.url(chart, key, handler), content=content, headers=_type_of(content))

    def receipt(self, chart: str, key: str, handler: str, body: object = None) -> dict[str, Any]:
        """Call a handler that must accept."""
        answer = self.post(chart, key, handler, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def together(self, calls: list[tuple[str, str, str, object]]) -> list[httpx.Response]:
        """Make all calls at once, and return the answers in the order of the calls."""

        async def call_all() -> list[httpx.Response]:
            async with httpx.AsyncClient(timeout=60, trust_env=False, verify=False, limits=UNLIMITED) as client:

                async def one(chart: str, key: str, handler: str, body: object) -> httpx.Response:
                    content = _content(handler, body)
                    return await client.post(self.url(chart, key, handler), content=content, headers=_type_of(content))

                return await asyncio.gather(*(one(*call) for call in calls))

        return asyncio.run(call_all())

    def snapshot(self, chart: str, key: str) -> dict[str, Any]:
        """Read the machine; `{}` if there is none."""
        answer = self.post(chart, key, "snapshot")
        if answer.status_code == 404:
            return {}
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_in(self, chart: str, key: str, state: str, timeout: timedelta = PATIENCE) -> dict[str, Any]:
        """Return the machine once *state* is active."""
        seen: dict[str, Any] = {}

        def there() -> bool:
            seen.clear()
            seen.update(self.snapshot(chart, key))
            return state in seen.get("configuration", ())

        try:
            wait_until(there, timeout)
        except AssertionError:
            raise AssertionError(f"{chart}/{key} is not in '{state}': {seen}") from None
        return seen

    def answer(self, callback: str, verb: str, body: str) -> None:
        """Answer a callback of an activity over HTTP, as a program outside would: `resolve` or `reject`."""
        kind = "application/json" if verb == "resolve" else "text/plain"
        url = f"{self.server.ingress_url}/restate/awakeables/{callback}/{verb}"
        given = self.client.post(url, content=body, headers={"content-type": kind})
        assert given.status_code == 202, given.text

    # ── the effect log ────────────────────────────────────────────────────────────────────────────────────────────────

    def effects_of(self, name: str) -> list[str]:
        """Keys of the effects of this name, in order."""
        return [entry.key for entry in self.effects.entries(name)]

    def wait_for_effect(self, name: str) -> str:
        """The key of the first effect of this name; waits for it."""
        found: list[str] = wait_until(lambda: self.effects_of(name), what=f"the effect {name}")
        return found[0]

    # ── an operator ───────────────────────────────────────────────────────────────────────────────────────────────────

    def invocations(self, service: str, key: str | None = None, **having: str) -> list[dict[str, Any]]:
        """Rows of `sys_invocation` with these values: `status="scheduled"`."""
        rows = self.server.invocations(service, key)
        return [row for row in rows if all(row.get(name) == value for name, value in having.items())]

    def scheduled(self, chart: str, key: str) -> list[dict[str, Any]]:
        return self.invocations(chart, key, status="scheduled")

    def jobs(self, chart: str, key: str, *statuses: str) -> list[dict[str, Any]]:
        """Activities that the runner does for one machine, in any of these statuses (all, if none is given)."""
        rows = self.server.query(
            "SELECT id, status, retry_count, target_handler_name FROM sys_invocation"
            f" WHERE target_service_name = '{chart}.activities' AND target_handler_name <> '_stop' AND invoked_by_id IN"
            f" (SELECT id FROM sys_invocation WHERE target_service_name = '{chart}' AND target_service_key = '{key}')"
        )
        return [row for row in rows if not statuses or row["status"] in statuses]

    def journal(self, invocation: str) -> list[str]:
        """The commands of an invocation's journal, in order: `Input`, `SetState`, `Output`, …"""
        rows = self.server.query(f"SELECT entry_type FROM sys_journal WHERE id = '{invocation}' ORDER BY index")
        return [row["entry_type"].removeprefix("Command: ") for row in rows if row["entry_type"].startswith("Command")]

    def stored(self, chart: str, key: str) -> dict[str, str]:
        """The stored state of a key, byte for byte."""
        return self.server.state(chart, key)

    def put(self, chart: str, key: str, text: str) -> None:
        """Write a snapshot behind the host's back. What has waited for it may change it at once."""
        before = self.stored(chart, key).get("snapshot")
        body = {"object_key": key, "new_state": {"snapshot": list(text.encode())}}
        answer = self.client.post(f"{self.server.admin_url}/services/{chart}/state", json=body)
        answer.raise_for_status()
        if text != before:
            wait_until(lambda: self.stored(chart, key).get("snapshot") != before, what="the state to be written")

    def settled(self, timeout: timedelta = PATIENCE) -> None:
        """Return once nothing that this test began is on its way, except what is scheduled for later.

        What another test has left here is not waited for.
        """
        traffic = Traffic(self.server, self.served.deployment.services, TEST.began)
        try:
            wait_until(lambda: not traffic.on_its_way(), timeout)
        except AssertionError:
            raise AssertionError(f"still not completed: {traffic.on_its_way()}") from None

    # ── a clumsy one ──────────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def deployed(self, **env: str) -> Iterator[None]:
        """Another deployment in the same place, as long as the block lasts."""
        self.served.restart(env=env)
        try:
            yield
        finally:
            self.served.restart(env={"CHARTS_VERSION": "1", "CHARTS_BROKEN": ""})

    def mend(self) -> None:
        """Start again what a test has left dead."""
        if not self.server.process.alive:
            self.server.start()
        if not self.served.process.alive:
            self.served.restart()


def _content(handler: str, body: object) -> str | None:
    if body is None and handler in ("delete", "cancel"):
        body = {}
    return None if body is None else json.dumps(body)


def _type_of(content: str | None) -> Mapping[str, str]:
    return {} if content is None else {"content-type": "application/json"}


@pytest.fixture(autouse=True)
def _began() -> None:
    TEST.began = int(time.time() * 1000)


@pytest.fixture(scope="session")
def effect_log() -> Iterator[EffectLog]:
    """One log of effects for the whole run; tests use names of their own."""
    with EffectLog() as log:
        yield log


def hosted(
    name: str, app: str, **settings: str
) -> tuple[Any, Any, Any]:  # Any: pytest does not name its fixtures' type
    """Fixtures with the charts of an app: on a server that keeps attempts open, on one that replays, on each in turn."""

    def on(server: str) -> Any:
        def serve(request: pytest.FixtureRequest, effect_log: EffectLog) -> Iterator[Host]:
            where: RestateServer = request.getfixturevalue(server)
            log = request.getfixturevalue("tmp_path_factory").mktemp(name or "charts") / "service.log"
            with Host.on(where, effect_log, log, app, to_the_end=True, **settings) as host:
                yield host

        return serve

    def each(request: pytest.FixtureRequest) -> Iterator[Host]:
        found: Host = request.getfixturevalue(request.param)
        yield found
        found.mend()

    kinds = [f"{name}_awake" if name else "awake", f"{name}_replaying" if name else "replaying"]
    awake, replaying = (
        pytest.fixture(scope="session", name=kind)(on(server))
        for kind, server in zip(kinds, ("restate_server", "replaying_server"), strict=True)
    )
    return awake, replaying, pytest.fixture(params=kinds, name=name or "host")(each)


awake, replaying, host = hosted("", "charts:charts_app")
bench_awake, bench_replaying, bench = hosted("bench", "work_app:work_app")
fan_awake, fan_replaying, fan = hosted("fan", "fan_app:app")
family_awake, family_replaying, family = hosted("family", "family_app:app", **LOOKED_AFTER)
ends_awake, ends_replaying, ends = hosted("ends", "ends_app:ends_app")
sagas_awake, sagas_replaying, sagas = hosted("sagas", "sagas_app:app")
raising_awake, raising_replaying, raising = hosted("raising", "raising_app:app_that_raises", DURABLE_FSM_THREADS="2")


@pytest.fixture(scope="session")
def hostile(
    restate_server: RestateServer, effect_log: EffectLog, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """Charts that grow as their clients want, by hypercorn and HTTP/2."""
    log = tmp_path_factory.mktemp("hostile") / "service.log"
    with Host.on(restate_server, effect_log, log, "hostile_app:app", to_the_end=True) as host:
        yield host


@pytest.fixture(scope="session")
def hostile_by_uvicorn(effect_log: EffectLog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The same, by uvicorn and HTTP/1.1, on a server of its own."""
    yield from _hostile_by("uvicorn", effect_log, tmp_path_factory.mktemp("uvicorn"))


@pytest.fixture(scope="session")
def hostile_by_granian(effect_log: EffectLog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The same, by granian and HTTP/2, on a server of its own."""
    yield from _hostile_by("granian", effect_log, tmp_path_factory.mktemp("granian"))


def _hostile_by(by: ServerName, effects: EffectLog, folder: Path) -> Iterator[Host]:
    with (
        RestateServer(binary=native.obtain()) as server,
        Host.on(server, effects, folder / "service.log", "hostile_app:app", by=by, to_the_end=True) as host,
    ):
        yield host


@pytest.fixture(params=["hostile", "hostile_by_uvicorn", "hostile_by_granian"])
def besieged(request: pytest.FixtureRequest) -> Host:
    """The charts of `hostile_app.py` by each HTTP server in turn."""
    found: Host = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def hosting() -> type[Host]:
    """For tests that need a server of their own."""
    return Host


@pytest.fixture(params=SERVERS)
def killer(
    request: pytest.FixtureRequest, effect_log: EffectLog, tmp_path: Path, scale: int, dice: random.Random
) -> Killer:
    """Kills at durable steps, on each of the two servers in turn."""
    return Killer(request.param, request.getfixturevalue(request.param), effect_log, tmp_path, scale, dice)


@pytest.fixture(scope="session")
def sources_awake(
    restate_server: RestateServer, effect_log: EffectLog, tmp_path_factory: pytest.TempPathFactory, brokers: Brokers
) -> Iterator[Sources]:
    """Topics and webhooks on a server that keeps attempts open."""
    log = tmp_path_factory.mktemp("sources") / "service.log"
    with Sources.on(Host, restate_server, effect_log, log, brokers.of(restate_server)) as sources:
        yield sources


@pytest.fixture(scope="session")
def sources_replaying(
    replaying_server: RestateServer, effect_log: EffectLog, tmp_path_factory: pytest.TempPathFactory, brokers: Brokers
) -> Iterator[Sources]:
    """Topics and webhooks on a server that replays at every await."""
    log = tmp_path_factory.mktemp("replayed") / "service.log"
    with Sources.on(Host, replaying_server, effect_log, log, brokers.of(replaying_server)) as sources:
        yield sources


@pytest.fixture(params=["sources_awake", "sources_replaying"])
def sources(request: pytest.FixtureRequest) -> Iterator[Sources]:
    """Topics and webhooks, on each of the two servers in turn."""
    found: Sources = request.getfixturevalue(request.param)
    yield found
    found.host.mend()


@pytest.fixture(scope="session")
def watched_awake(effect_log: EffectLog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The charts of `watch_app.py` on a server that keeps attempts open, and traces."""
    with Watched.on(Host, effect_log, tmp_path_factory.mktemp("watched")) as watched:
        yield watched


@pytest.fixture(scope="session")
def watched_replaying(effect_log: EffectLog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The charts of `watch_app.py` on a server that replays at every await, and traces."""
    with Watched.on(Host, effect_log, tmp_path_factory.mktemp("rewatched"), always_replay=True) as watched:
        yield watched


@pytest.fixture(params=["watched_awake", "watched_replaying"])
def watched(request: pytest.FixtureRequest) -> Iterator[Watched]:
    """The charts of `watch_app.py`, on each of two servers in turn, and all that is written of them."""
    found: Watched = request.getfixturevalue(request.param)
    yield found
    found.host.mend()
