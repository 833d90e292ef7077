"""The findings of `durable-fsm doctor`, each on a real server that has the problem."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from durable_fsm.admin.client import Admin
from durable_fsm.admin.diagnosis import diagnoses
from durable_fsm.cli import machine_arg, main
from durable_fsm.testing import RestateServer, Served, free_port, wait_until

pytestmark = pytest.mark.server

HERE = Path(__file__).parent
SECRET = {"STREET_SECRET": "moonlight"}


@dataclass
class Street:
    """A server with lamps, and an operator at the command line."""

    server: RestateServer
    served: Served

    def run(self, *arguments: str) -> str:
        places = ["--ingress", self.server.ingress_url, "--admin", self.server.admin_url]
        return CliRunner().invoke(main, [arguments[0], *places, *arguments[1:]]).stdout

    def shown(self, machine: str) -> dict[str, str]:
        """What show prints about a machine, by name."""
        lines = (re.split(r"  +", line.strip(), maxsplit=1) for line in self.run("show", machine).splitlines())
        return dict(line if len(line) == 2 else line[0].split(" ", 1) for line in lines)

    def findings(self, *arguments: str) -> list[tuple[str, str]]:
        """Kind and text of what doctor finds."""
        return [(one["kind"], one["what"]) for one in json.loads(self.run("doctor", *arguments, "--json"))]


@pytest.fixture(scope="module")
def lit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    log = tmp_path_factory.mktemp("street") / "service.log"
    with RestateServer() as server, Served.begin("street:app", server, log=log, app_dir=HERE, env=SECRET) as served:
        street = Street(server, served)
        for key, events in (("1", ["switch"]), ("2", ["switch", "dim"]), ("3", ["switch", "dim"])):
            for event in events:
                street.run("send", f"Lamp/{key}", event)
        yield street


@pytest.fixture
def street(lit: Street) -> Iterator[Street]:
    wait_until(lambda: lit.findings() == [], what="the questions of an earlier test to be answered")
    yield lit
    lit.served.restart(env={"STREET_BUILD": "first", **SECRET})


def test_machines_of_a_version_that_no_deployment_serves_are_found(street: Street) -> None:
    street.served.restart(env={"STREET_BUILD": "second"})

    found = [what for kind, what in street.findings() if kind == "unreadable"]

    assert [what.partition(":")[0] for what in found] == ["Lamp/1", "Lamp/2", "Lamp/3"]
    assert all("chart version '1'; this deployment reads '2'" in what for what in found)


def test_machines_in_a_state_that_the_chart_does_not_have_any_more_are_found(street: Street) -> None:
    street.served.restart(env={"STREET_BUILD": "without dimming"})

    found = [what for kind, what in street.findings() if kind == "unreadable"]

    assert [what.partition(":")[0] for what in found] == ["Lamp/2", "Lamp/3"]
    assert all("dimmed" in what for what in found)


def test_list_and_show_agree_about_a_machine_that_is_to_be_migrated(street: Street) -> None:
    street.served.restart(env={"STREET_BUILD": "migrating"})

    rows = {row["key"]: row for row in json.loads(street.run("list", "Lamp", "--json"))}
    shown = street.shown("Lamp/2")

    assert (rows["2"]["version"], rows["2"]["states"]) == ("1", ["dimmed"])
    assert (shown["version"], shown["states"]) == ("1", "dimmed")
    assert shown["becomes"] == "version 2, in bright, with its next event"
    assert [kind for kind, _ in street.findings() if kind == "unreadable"] == []


def test_a_service_that_does_not_answer_is_found(street: Street) -> None:
    street.served.kill()

    [found] = [what for kind, what in street.findings() if kind == "silent"]

    assert found.startswith(f"deployment {street.served.deployment.id} at ")
    assert " does not answer: " in found
    assert found.endswith("It has 'Lamp', 'Lamp.history', 'Lamp.rejected', 'Lamp.relay', 'Lamp.webhooks'.")
    assert [kind for kind, _ in street.findings() if kind in ("stuck", "backing-off")] == []


def test_a_machine_whose_service_is_down_is_shown_from_the_servers_own_data(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = street.shown("Lamp/2")
    entries = street.run("history", "Lamp/2")
    assert timedelta(seconds=5) > machine_arg.READ_TIMEOUT + machine_arg.READ_PATIENCE
    monkeypatch.setattr(machine_arg, "READ_TIMEOUT", timedelta(milliseconds=300))
    street.served.kill()

    shown = street.shown("Lamp/2")

    assert shown["service"].startswith("does not answer: ReadTimeout")
    assert {**before, "service": shown["service"]} | {"accepts": ""} == shown | {"accepts": ""}
    assert shown["service"].endswith(" ms.")
    assert "This is what the server itself has stored, as of " in shown["service"]
    silence = json.loads(street.run("show", "Lamp/2", "--json"))["service"]
    assert silence.partition(", as of")[0] == shown["service"].partition(", as of")[0]
    assert street.run("history", "Lamp/2") == entries
    refused = CliRunner().invoke(main, ["events", "Lamp/2", "--ingress", street.server.ingress_url])
    assert refused.exit_code == 7
    assert "the service of Lamp has not answered" in refused.stderr
    assert "has moved" not in refused.stderr


@pytest.mark.parametrize("command", ["show", "history", "events", "watch", "list", "doctor"])
def test_a_read_without_any_server_says_how_to_start_one(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_arg, "READ_PATIENCE", timedelta(0))
    nowhere = f"http://127.0.0.1:{free_port()}"
    about = {"list": ["Lamp"], "doctor": []}.get(command, ["Lamp/2"])

    told = CliRunner().invoke(main, [command, *about, "--ingress", nowhere, "--admin", nowhere])

    assert told.exit_code == 7
    assert "Is `durable-fsm dev` running" in told.stderr
    assert "has moved" not in told.stderr


def test_handlers_that_differ_between_code_and_registration_are_found(street: Street) -> None:
    street.served.restart(env={"STREET_BUILD": "without dimming"})

    found = [what for kind, what in street.findings() if kind == "handlers"]

    assert len(found) == 2
    assert found[0].startswith("Lamp: 'dim' is registered, but the code at ")
    assert found[1].endswith(" has 'flash', which Restate does not know yet.")


def test_handlers_of_a_chart_that_was_not_deployed_are_found(street: Street) -> None:
    assert street.findings(f"{HERE / 'street.py'}:Lamp") == []

    found = street.findings(f"{HERE / 'kiosk.py'}:Kiosk")

    assert ("handlers", "Kiosk: no deployment has this chart: it is not registered.") in found


def test_a_webhook_without_its_secret_is_found(street: Street) -> None:
    street.served.restart(env={"STREET_SECRET": ""})

    [(kind, what)] = street.findings()
    assert kind == "webhook"
    assert what == (
        "Lamp.webhooks/town: webhook 'town' cannot check its requests: the environment has no STREET_SECRET."
        " Set it where the service runs, and restart it."
    )


def test_a_newer_deployment_without_a_handler_of_the_older_is_found() -> None:
    def service(*handlers: str, deployment: str = "dp_2") -> dict[str, object]:
        return {"name": "Lamp", "deployment_id": deployment, "handlers": [{"name": name} for name in handlers]}

    answers: dict[str, object] = {
        "/services": {"services": [service("switch")]},
        "/deployments": {
            "deployments": [{"id": id, "arn": f"arn:{id}", "services": [{"name": "Lamp"}]} for id in ("dp_1", "dp_2")]
        },
        "/deployments/dp_1": {"services": [service("switch", "dim")]},
        "/query": {"rows": [{"pinned_deployment_id": "dp_1", "many": 3}]},
    }

    def answer(request: httpx.Request) -> httpx.Response:
        is_other = request.url.path == "/query" and b"pinned" not in request.content
        return httpx.Response(200, json={"rows": []} if is_other else answers[request.url.path])

    http = httpx.Client(transport=httpx.MockTransport(answer))
    with Admin("http://admin", http) as admin:
        found = list(diagnoses(admin))

    assert [(one.kind, one.what) for one in found] == [
        ("pinned", "3 invocations still belong to the older deployment dp_1 at arn:dp_1."),
        (
            "handlers",
            "Lamp: the newest deployment has no handler 'dim', which the older deployment dp_1 at arn:dp_1 has.",
        ),
    ]
