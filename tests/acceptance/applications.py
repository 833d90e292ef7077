"""Serve an application of `machines/` on a real server, and read what it did.

Some applications call services outside, of which `machines/` has small fakes: real HTTP services with a ledger of what
was asked of them. They run in processes of their own, so that they outlive the server and the application when a test
kills these.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_fsm import chart_from
from durable_fsm.testing import Rehearsal, RestateServer, Served, ServiceProcess, free_port, wait_until
from tests.acceptance.figures import FIGURES
from tests.web import web

ROOT = Path(__file__).parents[2]
PATIENCE = timedelta(seconds=60)

Steps = list[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]
"""Microsteps, each as the states it left, the transitions it took and the states it entered."""


def hosted(
    name: str, opened: Callable[..., AbstractContextManager[Application]], *needed: str
) -> tuple[Any, Any, Any]:  # Any: pytest does not name its fixtures' type
    """Fixtures with an application: on a server that keeps attempts open, on one that replays, on each in turn.

        bank_awake, bank_replaying, bank = hosted("bank", opened)

    *opened* serves the application on a server, in an empty folder; each server has it once for the whole module. It
    gets the server, the folder, and the values of the fixtures that are *needed*. A test that kills takes the first
    fixture, because killing is the stricter test there; all others take the last.
    """

    def on(server: str) -> Any:
        def serve_it(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
            others = [request.getfixturevalue(one) for one in needed]
            with opened(request.getfixturevalue(server), tmp_path_factory.mktemp(name), *others) as application:
                yield application

        return serve_it

    def each(request: pytest.FixtureRequest) -> Application:
        found: Application = request.getfixturevalue(request.param)
        return found

    kinds = [f"{name}_awake", f"{name}_replaying"]
    awake, replaying = (
        pytest.fixture(scope="module", name=kind)(on(server))
        for kind, server in zip(kinds, ("restate_server", "replaying_server"), strict=True)
    )
    return awake, replaying, pytest.fixture(params=kinds, name=name)(each)


@contextmanager
def serve(name: str, server: RestateServer, place: Path, env: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Serve `machines/<name>` from a process of its own, registered at the server; its log is `place / "log"`."""
    given = {"DURABLE_FSM_PAYLOAD_CHECKS": "1", **(env or {})}
    with Served.begin(f"machines.{name}.service:app", server, log=place / "log", app_dir=ROOT, env=given) as served:
        yield served
        FIGURES.count(name, server, served.deployment.services)


@contextmanager
def world(
    name: str,
    place: Path,
    module: str = "world",
    env: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> Iterator[ServiceProcess]:
    """Run the services outside that an application calls: `machines/<name>/<module>.py`."""
    port, log = free_port(), place / f"{module}.log"
    command = [sys.executable, "-m", f"machines.{name}.{module}", "--port", str(port), *options]
    process = ServiceProcess(command, port=port, log=log, env=env, cwd=ROOT, name=f"the world of {name}")
    try:
        yield process.start().wait_ready()
    finally:
        process.close()


def edges(definition: Any) -> list[tuple[str, str, tuple[str, ...]]]:  # Any: what a front-end takes
    """The transitions of a chart, in document order: source, event, targets."""
    return [(edge.source, event, edge.targets) for edge in chart_from(definition).transitions for event in edge.events]


def rehearsed(rehearsal: Rehearsal) -> Steps:
    """The microsteps of a rehearsal, to be compared with `Application.recorded`."""
    return [(step.exited, step.transitions, step.entered) for step in rehearsal.trace]


@dataclass
class Application:
    """An application of `machines/` on a server. `name` is its folder."""

    name: str
    served: Served
    server: RestateServer

    def restart(self) -> None:
        """Kill the service, see that it is dead, and start it again."""
        self.served.kill()
        assert not self.served.process.alive
        self.served.restart()

    def recorded(self, chart: str, key: str) -> Steps:
        """The microsteps in a machine's history."""
        entries = self.server.call(chart, key, "history")["entries"]
        return [
            (tuple(step.get("exited", ())), tuple(step.get("transitions", ())), tuple(step.get("entered", ())))
            for entry in entries
            for step in entry.get("steps", ())
        ]

    def run_readme(self, instead: Mapping[str, str] | None = None) -> Iterator[Any]:
        """Run the curl commands of the README one by one, with some texts replaced, and yield each answer's JSON.

        Commands with an ellipsis are left out: a person has to fill in something first.
        """
        addresses = dict.fromkeys(("localhost:8080", "$INGRESS"), self.server.ingress_url)
        page = (ROOT / "machines" / self.name / "README.md").read_text()
        for line in page.splitlines():
            if not line.startswith("curl ") or "…" in line:
                continue
            command = line
            for old, new in {**(instead or {}), **addresses}.items():
                command = command.replace(old, new)
            argv = [*shlex.split(command), "-sS", "--noproxy", "*"]
            yield json.loads(subprocess.run(argv, capture_output=True, check=True, timeout=60).stdout)


@dataclass
class Outside:
    """The services outside of one application: what was done there, and what shall go wrong there."""

    process: ServiceProcess

    @property
    def url(self) -> str:
        return self.process.url

    def ledger(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = web.get(f"{self.url}/ledger").json()
        return found

    def done(self, path: str = "", **body: object) -> list[dict[str, Any]]:
        """The requests done at this path whose bodies have these fields."""
        return [one for one in self.ledger() if path in ("", one["path"]) and body.items() <= one["body"].items()]

    def refused(self, path: str) -> list[dict[str, Any]]:
        """The requests at this path that were refused because of `trouble`."""
        found: list[dict[str, Any]] = web.get(f"{self.url}/refused").json()
        return [one for one in found if one["path"] == path]

    def wait_done(self, path: str, **body: object) -> dict[str, Any]:
        """The first such request; waits until it was done."""
        return wait_until(lambda: self.done(path, **body), PATIENCE, f"{path} of {body}")[0]

    def trouble(self, path: str, *, status: int = 503, reason: str = "not now", times: int = 1) -> None:
        """Refuse the next requests at this path."""
        self._ask("/trouble", {"path": path, "status": status, "reason": reason, "times": times})

    def withhold(self, path: str, *, after: int = 0) -> None:
        """Let *after* requests at this path pass; do what the next one asks, and never answer it."""
        self._ask("/withhold", {"path": path, "after": after})

    @contextmanager
    def holding(self, path: str) -> Iterator[Callable[[], list[dict[str, Any]]]]:
        """Let requests at this path wait in this block; gives a function that waits for one and returns their bodies."""

        def held() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = web.get(f"{self.url}/held").json()[path]
            return found

        self._ask("/hold", {"path": path})
        try:
            yield lambda: wait_until(held, PATIENCE, f"a request to {path}")
        finally:
            self._ask("/release", {"path": path})

    def _ask(self, path: str, body: dict[str, object]) -> None:
        web.post(f"{self.url}{path}", json=body).raise_for_status()


@dataclass
class Stage(Application):
    """An application on a server, together with the services that it calls."""

    outside: Outside

    def post(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.post(f"{self.server.ingress_url}/{path}", json=body, headers=named)


@contextmanager
def staged(name: str, server: RestateServer, place: Path, env: Mapping[str, str] | None = None) -> Iterator[Stage]:
    """Serve `machines/<name>` and the services that it calls."""
    with world(name, place) as outside, serve(name, server, place, {"WORLD_URL": outside.url, **(env or {})}) as served:
        yield Stage(name, served, server, Outside(outside))
