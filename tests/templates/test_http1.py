"""R24, the template http1: request and response over HTTP/1.1, so that a greeting that waits occupies no request."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from durable_fsm.testing import RestateServer
from tests.acceptance.applications import Outside
from tests.templates.projects import Greeted, Project, fresh_project

pytestmark = pytest.mark.server

project = fresh_project("http1")


@pytest.fixture(scope="module")
def greeted(project: Project, restate_server: RestateServer, notifications: Outside) -> Iterator[Greeted]:
    with project.serving(project.command("durable-fsm serve"), notifications) as service:
        yield from project.registered(service, restate_server, notifications)


def test_the_project_passes_its_own_tests(project: Project) -> None:
    assert "3 passed" in project.run("pytest", "-q")


def test_restate_knows_it_as_request_and_response_over_http_1(greeted: Greeted) -> None:
    assert greeted.deployment["protocol_type"] == "RequestResponse"
    assert greeted.deployment["http_version"] == "HTTP/1.1"


def test_a_greeting_that_waits_holds_no_request(greeted: Greeted) -> None:
    with ThreadPoolExecutor() as caller:
        asked = caller.submit(greeted.greet, "Carol")
        status = greeted.status_in_pause("Carol")
        answer = asked.result()

    assert (status, answer) == ("suspended", "You said hi to Carol!")


def test_each_message_is_sent_once_although_some_are_refused_and_the_service_is_killed(greeted: Greeted) -> None:
    greeted.tell()
