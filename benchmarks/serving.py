"""Serve the contenders of `speed.py`: with `durable-fsm serve`, as users do, and two peers with Node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from benchmarks.load import NOTHING, PRESS, Contender
from benchmarks.shapes import GROWN, SHAPES
from durable_fsm.frontends import chart_from
from durable_fsm.local.process import HOST, ServiceProcess, free_port
from durable_fsm.local.server import RestateServer
from durable_fsm.local.waiting import wait_until

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "benchmarks" / "peers"
NODE = {"PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"}
SERVERS = ("hypercorn", "uvicorn", "granian")

OURS, BARE, FLOOR = "ours", "ours for the same work", "hand-written"
TYPESCRIPT, XSTATE = "hand-written, TypeScript", "XState integration"

SETTLED = 0.3
"""How many seconds background activities may run after the last event."""


@dataclass(frozen=True)
class Way:
    """A way of serving: the server, the version of HTTP, the number of processes, and whether activities are apart."""

    server: str
    http1: bool = False
    workers: int = 1
    runners: str = ""

    @property
    def name(self) -> str:
        words = [self.server, "HTTP/1.1" if self.http1 else "HTTP/2"]
        words += ["two workers"] if self.workers == 2 else []
        words += [f"activities by {self.runners}, HTTP/2"] if self.runners else []
        return ", ".join(words)


def plain(server: str) -> Way:
    """Return the usual way for a server: HTTP/2, or HTTP/1.1 for uvicorn, which has no HTTP/2."""
    return Way(server, http1=server == "uvicorn")


SPOKEN = (("hypercorn", False), ("hypercorn", True), ("granian", False), ("granian", True), ("uvicorn", True))
WAYS = [
    *(Way(server, http1, workers) for server, http1 in SPOKEN for workers in (1, 2)),
    *(Way("uvicorn", http1=True, runners=runners) for runners in ("hypercorn", "granian")),
]
WORK = {"a pure event": "Ours", "an activity of one step": "OneStep", "an activity of ten steps": "TenSteps"}
"""The work that compares ways of serving, and its machine."""


@contextmanager
def served(place: Path, way: Way, what: str, *restates: RestateServer, **env: str) -> Iterator[ServiceProcess]:
    """Start an application, wait until all of its processes listen, and register it with these servers."""
    port, apart = free_port(), free_port()
    command = [sys.executable, "-m", "durable_fsm.cli", "serve", what, "--bind", f"{HOST}:{port}"]
    command += ["--server", way.server, "--workers", str(way.workers)]
    if way.runners:
        command += ["--runner-bind", f"{HOST}:{apart}", "--runner-server", way.runners]
    log = place / f"{port}.log"
    health = f"http://{HOST}:{port}/ready"
    service = ServiceProcess(
        command, port=port, log=log, health=health, env={"PYTHONHASHSEED": "0", **env}, cwd=ROOT, name=what
    )
    try:
        service.start().wait_ready()
        wait_until(lambda: "\nReady. " in log.read_text("utf-8"), timedelta(seconds=20), f"all processes of {what}")
        for restate in restates:
            restate.register(service.url, http1=way.http1)
            if way.runners:
                restate.register(f"http://{HOST}:{apart}")
        yield service
    finally:
        service.close()


@contextmanager
def contenders(place: Path, restate: RestateServer) -> Iterator[dict[str, Contender]]:
    """Serve all contenders, each in its own process except the two peers; yield them by name."""
    with ExitStack() as ending:

        def contender(kind: str, by: str, what: str, name: str, object: str, **env: str) -> Contender:
            service = served(place, plain(by), what, restate, BENCH_NAME=name, **env)
            return Contender(f"{kind}, {by}", f"{object}{name}", ending.enter_context(service), restate)

        found: list[Contender] = []
        for by in SERVERS:
            found.append(contender(OURS, by, "benchmarks.speed_app:app", by.title(), "Ours"))
            found.append(contender(BARE, by, "benchmarks.speed_app:app", f"{by.title()}Bare", "Ours", BENCH_BARE="1"))
            found.append(contender(FLOOR, by, "benchmarks.floor:app", by.title(), "HandWritten"))
        port = free_port()
        command = ["node", "serve.mjs", str(port)]
        peers = ServiceProcess(command, port=port, log=place / "peers.log", env=NODE, cwd=PEERS)
        ending.callback(peers.close)
        restate.register(peers.start().wait_ready().url)
        found.append(Contender(TYPESCRIPT, "HandWrittenTs", peers, restate))
        event = json.dumps({"event": {"type": "press", **PRESS}}).encode()
        found.append(Contender(XSTATE, "XStateToggle", peers, restate, "send", event, first="create"))
        yield {one.name: one for one in found}


def compared() -> list[tuple[str, str]]:
    """List the pairs to measure back to back, by the names of their contenders."""
    pairs = [(f"{kind}, {by}", f"{FLOOR}, {by}") for by in SERVERS for kind in (BARE, OURS)]
    pairs += [
        (f"{kind}, {by}", peer)
        for peer in (TYPESCRIPT, XSTATE)
        for by in ("hypercorn", "uvicorn")
        for kind in (BARE, OURS)
    ]
    return pairs


@contextmanager
def ways(place: Path, restate: RestateServer) -> Iterator[dict[str, list[Contender]]]:
    """Serve our machine, and two with activities, in all ways; yield them by their work."""
    with ExitStack() as ending:
        found: dict[str, list[Contender]] = {work: [] for work in WORK}
        for number, way in enumerate(WAYS):
            name = f"Way{number}"
            service = ending.enter_context(served(place, way, "benchmarks.speed_app:ways", restate, BENCH_NAME=name))
            for work, machine in WORK.items():
                body = Contender.body if machine == "Ours" else NOTHING
                found[work].append(Contender(way.name, f"{machine}{name}", service, restate, body=body))
        yield found


def shapes(service: ServiceProcess, restate: RestateServer) -> list[Contender]:
    """Serve the charts of other shapes in one process."""
    return [
        Contender(
            name,
            chart_from(definition).name,
            service,
            restate,
            body=NOTHING,
            settle=SETTLED if "background" in name else 0.0,
        )
        for name, definition in SHAPES.items()
    ]


def sizes(what: str, service: ServiceProcess, restate: RestateServer) -> list[Contender]:
    """Serve the charts of several sizes."""
    return [
        Contender(str(size), chart_from(definition).name, service, restate, body=NOTHING)
        for size, definition in GROWN[what].items()
    ]


def install_peers() -> None:
    """Let npm install the peers, once."""
    if not (PEERS / "node_modules").is_dir():
        print("npm install, once (needs network access) …", flush=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=PEERS, env={**os.environ, **NODE}, check=True)
