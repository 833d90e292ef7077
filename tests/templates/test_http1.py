"""R24, the template http1: request and response over HTTP/1.1, so that a greeting that waits occupies no request."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from durable_fsm.cli.project import ROOT
from durable_fsm.testing import RestateServer, ServiceProcess
from tests.acceptance.applications import Outside
from tests.templates.images import Image
from tests.templates.projects import Greeted, Project, fresh_project
from tests.templates.proxy import Proxy, proxied

pytestmark = pytest.mark.server

project = fresh_project("http1")


@pytest.fixture(scope="module")
def served(project: Project, notifications: Outside) -> Iterator[ServiceProcess]:
    with project.serving(project.command("durable-fsm serve"), notifications) as service:
        yield service


@pytest.fixture(scope="module")
def proxy(served: ServiceProcess) -> Iterator[Proxy]:
    with proxied(served) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def greeted(
    project: Project, served: ServiceProcess, proxy: Proxy, restate_server: RestateServer, notifications: Outside
) -> Iterator[Greeted]:
    yield from project.registered(served, restate_server, notifications, through=proxy.url)


def test_the_project_passes_its_own_tests(project: Project) -> None:
    assert "3 passed" in project.run("pytest", "-q")


def test_its_image_is_that_of_the_template_plain_with_another_command(project: Project) -> None:
    image, plain = Image.read(project.folder / "Dockerfile"), Image.read(ROOT / "plain" / "Dockerfile")

    assert image.command == project.command("durable-fsm serve")
    assert image.stages[0] == plain.stages[0]
    assert [step for step in image.stages[1] if step[0] != "ENTRYPOINT"] == [
        step for step in plain.stages[1] if step[0] != "ENTRYPOINT"
    ]


def test_restate_knows_it_as_request_and_response_over_http_1(greeted: Greeted) -> None:
    assert greeted.deployment["protocol_type"] == "RequestResponse"
    assert greeted.deployment["http_version"] == "HTTP/1.1"


def test_a_greeting_that_waits_holds_no_request_and_goes_on_in_another(greeted: Greeted, proxy: Proxy) -> None:
    run = f"/invoke/{greeted.flow}/run"
    with ThreadPoolExecutor() as caller:
        for name in ("Carol", "Cara", "Chloe", "Clara", "Cleo"):  # a pause is short, and may be over before it is seen
            asked = caller.submit(greeted.greet, name)
            is_suspended = greeted.is_suspended(name)
            held, before = proxy.held(run), proxy.begun.count(run)
            answer = asked.result()
            if is_suspended:
                break

    assert (is_suspended, held) == (True, 0)
    assert proxy.begun.count(run) > before
    assert answer == f"You said hi to {name}!"


def test_each_message_is_sent_once_although_some_are_refused_and_the_service_is_killed(greeted: Greeted) -> None:
    greeted.tell()
