"""R26, the template single-file: one script, which uv runs with the packages that the script names itself."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterator

import pytest

from durable_fsm.testing import RestateServer
from tests.acceptance.applications import Outside
from tests.templates.projects import Greeted, Project, fresh_project

pytestmark = pytest.mark.server

SERVE = "app.py --bind"

project = fresh_project("single-file", install=False)


@pytest.fixture(scope="module")
def greeted(project: Project, restate_server: RestateServer, notifications: Outside) -> Iterator[Greeted]:
    with project.serving(project.command(SERVE), notifications) as service:
        yield from project.registered(service, restate_server, notifications)


def test_the_script_passes_its_own_tests(project: Project) -> None:
    assert "3 passed" in project.run(*project.command("--with pytest"), "-q")


def test_one_file_is_enough_to_serve(project: Project, greeted: Greeted) -> None:
    [header] = [part for part in (project.folder / "app.py").read_text("utf-8").split("# ///") if "script" in part]
    named = tomllib.loads(header.replace(" script\n", "").replace("# ", ""))

    assert named == {"requires-python": ">=3.11", "dependencies": ["durable-fsm", "httpx>=0.27"]}
    assert not (project.folder / "pyproject.toml").exists()
    assert greeted.service.command[:3] == ("uv", "run", "app.py")


def test_restate_knows_it_as_bidirectional_streams_over_http_2(greeted: Greeted) -> None:
    assert greeted.deployment["protocol_type"] == "BidiStream"
    assert greeted.deployment["http_version"] == "HTTP/2.0"


def test_each_message_is_sent_once_although_some_are_refused_and_the_service_is_killed(greeted: Greeted) -> None:
    greeted.tell()


def test_systemd_starts_what_the_readme_starts(project: Project) -> None:
    unit = (project.folder / "app.service").read_text("utf-8")
    [start] = [line.partition("=")[2] for line in unit.splitlines() if line.startswith("ExecStart=")]

    assert shlex.split(start.replace("/srv/single-file-greeter/", "")) == ["/usr/bin/env", *project.command(SERVE)]
