"""Projects as `durable-fsm new` writes them: installed from their own files only, served, greeted, killed.

A module of tests has one project, in an environment of its own, and the notification service that its activities call:

    project = fresh_project("plain")

    def test_...(project: Project, restate_server: RestateServer, notifications: Outside) -> None:
        with project.serving(project.command("durable-fsm serve"), notifications) as service: ...
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from durable_fsm.testing import Deployment, RestateServer, ServiceProcess, free_port, wait_until
from tests.acceptance.applications import Outside
from tests.acceptance.figures import FIGURES
from tests.cli.terminal import PROGRAM
from tests.templates.wheelhouse import Wheelhouse
from tests.web import web

PATIENCE = timedelta(seconds=60)
PORT = 9080
"""Where the commands of the READMEs serve."""


@dataclass
class Project:
    """A project in `folder`, and the chart that it hosts. `environ` is what its commands find around them."""

    template: str
    folder: Path
    chart: str
    house: Wheelhouse
    environ: dict[str, str] = field(default_factory=dict)

    @classmethod
    def new(cls, template: str, place: Path, house: Wheelhouse) -> Project:
        """Write it into an empty folder."""
        name = f"{template.replace('-', '_')}_greeter"
        subprocess.run(
            [*PROGRAM, "new", name, "--template", template], cwd=place, check=True, capture_output=True, timeout=300
        )
        folder = place / name
        environ = {**house.env, "PYTHONPATH": "", "PYTEST_ADDOPTS": ""}
        return cls(template, folder, "".join(part.title() for part in name.split("_")), house, environ)

    def install(self) -> None:
        """Make `.venv`, from the project's own files: what they ask for, and nothing else."""
        self.run("uv", "venv", "--quiet")
        self.run("uv", "pip", "install", "--quiet", "--python", ".venv", ".", "--group", "dev")

    def run(self, *command: str) -> str:
        """Run a command in its folder; return what it printed."""
        ran = subprocess.run(
            [self._found(command[0]), *command[1:]],
            cwd=self.folder,
            env={**os.environ, **self.environ},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def command(self, words: str) -> list[str]:
        """The command of its README that contains these words."""
        page = (self.folder / "README.md").read_text("utf-8")
        blocks = re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
        [line] = [line for block in blocks for line in block.splitlines() if words in line]
        return shlex.split(line, comments=True)

    def register(self, url: str, server: RestateServer) -> Any:
        """Run its README's command that registers a service, for this address, at this server.

        Returns the deployment as Restate has it.
        """
        words = [re.sub(r"^http://\S+:\d+$", url, word) for word in self.command("durable-fsm register")]
        self.run(*words, "--admin", server.admin_url)
        found = web.get(f"{server.admin_url}/deployments").raise_for_status().json()["deployments"]
        [deployment] = [one for one in found if one.get("uri") == f"{url}/"]
        return deployment

    def registered(
        self, service: ServiceProcess, server: RestateServer, outside: Outside, *, through: str = ""
    ) -> Iterator[Greeted]:
        """Register the service, and remove everything of it afterwards. Restate reaches it *through* that address, if given."""
        url = through or service.url
        deployment = self.register(url, server)
        names = tuple(one["name"] for one in deployment["services"])
        yield Greeted(self, service, server, outside, deployment)
        FIGURES.count(self.template, server, names)
        server.clear(Deployment(deployment["id"], url, names))
        server.deregister(deployment["id"])

    @contextmanager
    def serving(self, command: Sequence[str], outside: Outside, **env: str) -> Iterator[ServiceProcess]:
        """Run a command that serves, at a free port instead of its own."""
        port = free_port()
        words = [re.sub(rf"^\S+:{PORT}$", f"127.0.0.1:{port}", word) for word in command]
        with ServiceProcess(
            [self._found(words[0]), *words[1:]],
            port=port,
            log=self.folder / "service.log",
            health=f"http://127.0.0.1:{port}/health",
            env={**self.environ, "NOTIFICATIONS_URL": outside.url, **env},
            cwd=self.folder,
            name=self.folder.name,
        ) as service:
            yield service

    def _found(self, program: str) -> str:
        own = self.folder / ".venv" / "bin" / program
        return str(own) if own.is_file() else program


@dataclass
class Greeted:
    """A service that greets, on a server, and what its greetings do outside."""

    project: Project
    service: ServiceProcess
    server: RestateServer
    outside: Outside
    deployment: Mapping[str, Any]  # Any: JSON

    @property
    def flow(self) -> str:
        return f"{self.project.chart}.flow"

    def greet(self, name: str) -> Any:
        """Run its README's command that greets Alice, for this person; return the answer."""
        words = [word.replace("Alice", name) for word in self.project.command(".flow/run --json")]
        words[1] = self.server.ingress_url + urlsplit(words[1]).path
        return json.loads(self.project.run(*words, "-sS", "--noproxy", "*", "-H", f"idempotency-key: {name}"))

    def timers(self, name: str) -> list[str]:
        """The status of a greeting, once for each timer it has had: the deadline of an activity, the pause, a deadline."""
        rows = self.server.query(
            "SELECT i.status AS status FROM sys_invocation i JOIN sys_journal j ON i.id = j.id"
            f" WHERE i.target_service_name = '{self.flow}' AND i.idempotency_key = '{name}'"
            " AND j.entry_type = 'Command: Sleep'"
        )
        return [str(row["status"]) for row in rows]

    def has_paused(self, name: str) -> bool:
        return len(self.timers(name)) > 1

    def is_suspended(self, name: str) -> bool:
        """Wait until a greeting is suspended in its pause; False if the pause was over before that was seen."""

        def seen() -> str:
            _, *statuses = self.timers(name) or [""]
            return "over" if len(statuses) > 1 else "".join(statuses).replace("running", "")

        return wait_until(seen, PATIENCE, f"the pause of {name}") == "suspended"

    def messages(self, name: str) -> list[str]:
        """The messages that were sent to a person."""
        return [one["path"] for one in self.outside.done(name=name)]

    def tell(self) -> None:
        """Greet people although messages are refused, and the service is killed in a pause, then stopped in a pause."""
        self.outside.trouble("/notifications", times=2)
        stops: list[int | None] = []

        killed = self.interrupted(["Alice", "Ada", "Ann"], self.service.kill)
        stopped = self.interrupted(["Bob", "Ben", "Bill"], lambda: stops.append(self.service.stop()))

        assert [one["body"]["name"] for one in self.outside.refused("/notifications")] == ["Alice", "Alice"]
        assert set(stops) == {0}
        assert self.completed() >= {"Alice", "Bob", killed, stopped}

    def interrupted(self, names: list[str], end: Callable[[], None]) -> str:
        """Greet one after the other until the service has ended in a pause; return whose pause it was.

        The service is started again each time. Only on a busy machine does its end come too late.
        """
        for name in names:
            with ThreadPoolExecutor() as caller:
                asked = caller.submit(self.greet, name)
                wait_until(partial(self.has_paused, name), PATIENCE, f"the pause of {name}")
                end()
                before = self.messages(name)
                self.service.start().wait_ready()
                answer = asked.result()
            assert answer == f"You said hi to {name}!"
            assert self.messages(name) == ["/notifications", "/reminders"]
            if before == ["/notifications"]:
                return name
        pytest.fail(f"Each pause was over before the service ended: {names}")

    def completed(self) -> set[str]:
        rows = self.server.query(
            "SELECT idempotency_key FROM sys_invocation WHERE status = 'completed' AND completion_result = 'success'"
            f" AND target_service_name = '{self.flow}'"
        )
        return {row["idempotency_key"] for row in rows}


def fresh_project(template: str, *, install: bool = True) -> Any:  # Any: pytest does not name its fixtures' type
    """A fixture for a module: a project of this template, installed in an environment of its own."""

    def made(tmp_path_factory: pytest.TempPathFactory, wheelhouse: Wheelhouse) -> Project:
        project = Project.new(template, tmp_path_factory.mktemp(template), wheelhouse)
        if install:
            project.install()
        return project

    return pytest.fixture(scope="module", name="project")(made)
