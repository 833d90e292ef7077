"""The small worlds outside of `machines/`, as tests see them: real HTTP services that outlive what is killed."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from durable_fsm.testing import RestateServer, Served, ServiceProcess, free_port, wait_until

ROOT = Path(__file__).parents[2]
PATIENCE = timedelta(seconds=20)


@dataclass
class Outside:
    """One of these worlds: what was done in it, and what is to go wrong."""

    process: ServiceProcess

    @property
    def url(self) -> str:
        return self.process.url

    def ledger(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/ledger", timeout=5, trust_env=False).json()
        return found

    def done(self, path: str = "", **body: object) -> list[dict[str, Any]]:
        """What was done there for requests that say this."""
        return [one for one in self.ledger() if path in ("", one["path"]) and body.items() <= one["body"].items()]

    def wait_done(self, path: str, **body: object) -> dict[str, Any]:
        """The first of that, once it was done."""
        return wait_until(lambda: self.done(path, **body), PATIENCE, f"{path} of {body}")[0]

    def trouble(self, path: str, *, status: int = 503, reason: str = "not now", times: int = 1) -> None:
        """Refuse the next requests there."""
        self._ask("/trouble", {"path": path, "status": status, "reason": reason, "times": times})

    def withhold(self, path: str, *, after: int = 0) -> None:
        """Do what is asked for there, after so many others, and do not answer."""
        self._ask("/withhold", {"path": path, "after": after})

    def _ask(self, path: str, body: dict[str, object]) -> None:
        httpx.post(f"{self.url}{path}", json=body, timeout=5, trust_env=False).raise_for_status()


@dataclass
class Stage:
    """An application of `machines/` on a server, and its world."""

    name: str
    served: Served
    server: RestateServer
    outside: Outside

    @property
    def ingress(self) -> str:
        return self.server.ingress_url

    def post(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(f"{self.ingress}/{path}", json=body, headers=named, timeout=40, trust_env=False)

    def restart(self) -> None:
        """Kill the service, see that it is dead, and start it again."""
        self.served.kill()
        assert not self.served.process.alive
        self.served.restart()

    def recorded(self, machine: str, key: str) -> list[tuple[tuple[str, ...], ...]]:
        """The microsteps of a machine's history: left, taken, entered."""
        entries = self.server.call(machine, key, "history")["entries"]
        return [
            (tuple(step.get("exited", ())), tuple(step.get("transitions", ())), tuple(step.get("entered", ())))
            for entry in entries
            for step in entry.get("steps", ())
        ]

    def page(self, **instead: str) -> list[Any]:
        """Run the curls of the application's page that can be run as they stand, with something in place of something else."""
        text = (ROOT / "machines" / self.name / "README.md").read_text()
        for old, new in {"localhost:8080": self.ingress, "http://localhost:9090": self.outside.url, **instead}.items():
            text = text.replace(old, new)
        text = text.replace("localhost:9090", self.outside.url)
        commands = [shlex.split(line) for line in text.splitlines() if line.startswith("curl ") and "…" not in line]
        return [
            json.loads(
                subprocess.run([*argv, "-sS", "--noproxy", "*"], capture_output=True, check=True, timeout=40).stdout
            )
            for argv in commands
        ]


@contextmanager
def staged(name: str, server: RestateServer, place: Path, env: dict[str, str] | None = None) -> Iterator[Stage]:
    """Serve `machines/<name>` and its world."""
    port = free_port()
    command = [sys.executable, "-m", f"machines.{name}.world", "--port", str(port)]
    world = ServiceProcess(command, port=port, log=place / "world.log", cwd=ROOT, name=f"the world of {name}")
    try:
        world.start().wait_ready()
        given = {"WORLD_URL": world.url, "DURABLE_FSM_PAYLOAD_CHECKS": "1", **(env or {})}
        app = f"machines.{name}.service:app"
        with Served.begin(app, server, log=place / "service.log", app_dir=ROOT, env=given) as served:
            yield Stage(name, served, server, Outside(world))
    finally:
        world.close()
