"""R04, signing up: once for an id, decided by the first click, whenever that comes.

Users and mail are files that the service writes and that outlive it.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_fsm import chart_from
from durable_fsm.testing import Rehearsal, RestateServer, Served, wait_until
from machines.signup.machine import Signup

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
WORKFLOW = "usersignup.workflow"
SLOW = 0.5
"""How long it takes here until a mail is known to be sent, in seconds."""
PATIENCE = timedelta(seconds=20)
ADA = {"name": "Ada", "email": "ada@example.org"}


@dataclass
class Site:
    """Sign-ups on one server, and the outbox."""

    served: Served
    server: RestateServer
    place: Path

    def run(self, user: str) -> dict[str, Any]:
        answer = httpx.post(f"{self.server.ingress_url}/{WORKFLOW}/{user}/run/send", json=ADA, trust_env=False)
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def result(self, user: str, what: str = "attach") -> httpx.Response:
        url = f"{self.server.ingress_url}/restate/workflow/{WORKFLOW}/{user}/{what}"
        return httpx.get(url, timeout=30, trust_env=False)

    def kept(self, folder: str, user: str) -> list[str]:
        """What was written down of a user, without their id."""
        place = self.place / folder
        texts = [one.read_text() for one in place.iterdir() if not one.suffix] if place.exists() else []
        return [text.removeprefix(f"{user} ") for text in texts if text.startswith(f"{user} ")]

    def secret(self, user: str) -> str:
        """The secret, as it stands in the mail."""
        [mail] = wait_until(lambda: self.kept("outbox", user), PATIENCE, f"the mail to {user}")
        return mail.split()[-1]

    def click(self, user: str, secret: str) -> httpx.Response:
        url = f"{self.server.ingress_url}/{WORKFLOW}/{user}/click"
        return httpx.post(url, json={"secret": secret}, timeout=20, trust_env=False)

    def wait_for(self, user: str, state: str) -> None:
        def there() -> bool:
            found = self.server.state("usersignup", user)
            return bool(found) and state in self.server.call("usersignup", user, "snapshot")["configuration"]

        wait_until(there, PATIENCE, f"{user} to be {state}")


@pytest.fixture(scope="module")
def site(restate_server: RestateServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place = tmp_path_factory.mktemp("site")
    env = {"SIGNUP_PLACE": str(place), "SIGNUP_MAIL_SECONDS": str(SLOW), "DURABLE_FSM_PAYLOAD_CHECKS": "1"}
    app = "machines.signup.service:app"
    with Served.begin(app, restate_server, log=place / "log", app_dir=ROOT, env=env) as served:
        yield Site(served, restate_server, place)


def test_an_id_signs_up_once_and_gets_one_mail(site: Site) -> None:
    first, again = site.run("once"), site.run("once")

    assert (first["status"], again["status"]) == ("Accepted", "PreviouslyAccepted")
    taken = httpx.post(f"{site.server.ingress_url}/{WORKFLOW}/once/run", json=ADA, trust_env=False)
    assert taken.status_code == 409
    assert site.result("once", "output").status_code == 470
    site.wait_for("once", "awaiting_click")
    assert (len(site.kept("users", "once")), len(site.kept("outbox", "once"))) == (1, 1)


def test_a_wrong_secret_is_no_verification(site: Site) -> None:
    site.run("wrong")
    site.wait_for("wrong", "awaiting_click")

    assert site.click("wrong", "guessed").status_code == 200
    assert site.result("wrong").json() is False


def test_the_right_secret_verifies_although_the_service_was_killed_while_it_waited(site: Site) -> None:
    site.run("killed")
    site.wait_for("killed", "awaiting_click")

    site.served.kill()
    assert not site.served.process.alive
    site.served.restart()

    assert site.click("killed", site.secret("killed")).status_code == 200
    assert site.result("killed").json() is True
    assert (len(site.kept("users", "killed")), len(site.kept("outbox", "killed"))) == (1, 1)


def test_a_click_before_the_mail_is_known_to_be_sent_counts(site: Site) -> None:
    site.run("early")
    clicked = site.click("early", site.secret("early"))

    assert clicked.json()["outcome"] == "deferred"
    assert site.result("early").json() is True


def test_the_first_click_decides(site: Site) -> None:
    site.run("twice")
    secret = site.secret("twice")
    site.wait_for("twice", "awaiting_click")
    assert site.click("twice", secret).status_code == 200

    assert site.click("twice", "guessed").status_code == 410
    assert site.result("twice").json() is True


def test_the_secret_is_in_no_history_and_no_log(site: Site) -> None:
    site.run("hidden")
    secret = site.secret("hidden")
    site.wait_for("hidden", "awaiting_click")
    site.click("hidden", secret)
    site.result("hidden")

    assert secret not in json.dumps(site.server.call("usersignup", "hidden", "history"))
    assert secret not in (site.place / "log").read_text()


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    chart = chart_from(Signup)

    edges = {(edge.source, event, edge.targets) for edge in chart.transitions for event in edge.events}
    assert {
        ("creating_user", "done.invoke.creating_user", ("sending_email",)),
        ("sending_email", "done.invoke.sending_email", ("awaiting_click",)),
        ("awaiting_click", "click", ("verified",)),
        ("awaiting_click", "click", ("rejected",)),
        ("awaiting_click", "abort", ("aborted",)),
        ("awaiting_click", "expire", ("expired",)),
    } <= edges
    assert {state.id for state in chart.states.values() if "click" in state.defers} == {
        "creating_user",
        "sending_email",
    }


def test_what_was_recorded_is_what_was_rehearsed(site: Site) -> None:
    rehearsal = Rehearsal(Signup, key="told")
    rehearsal.create(ADA)
    rehearsal.finish("creating_user")
    rehearsal.finish("sending_email")
    rehearsal.send("click", {"secret": rehearsal.data.secret})

    site.run("told")
    site.wait_for("told", "awaiting_click")
    site.click("told", site.secret("told"))
    assert site.result("told").json() is rehearsal.output

    entries = site.server.call("usersignup", "told", "history")["entries"]
    recorded = [
        (tuple(step.get("exited", ())), tuple(step.get("transitions", ())), tuple(step.get("entered", ())))
        for entry in entries
        for step in entry["steps"]
    ]
    assert recorded == [(step.exited, step.transitions, step.entered) for step in rehearsal.trace]


def test_restate_has_completed_what_was_asked(site: Site) -> None:
    site.run("asked")
    site.wait_for("asked", "awaiting_click")
    site.click("asked", site.secret("asked"))
    site.result("asked")

    done = site.server.query(
        "SELECT target_service_name, target_handler_name, completion_result FROM sys_invocation"
        " WHERE status = 'completed' AND target_service_key = 'asked' AND target_service_name LIKE 'usersignup%'"
    )
    answered = {(row["target_service_name"], row["target_handler_name"], row["completion_result"]) for row in done}
    assert {(WORKFLOW, "run", "success"), (WORKFLOW, "click", "success")} <= answered


def test_the_commands_of_the_page_do_what_it_says(site: Site) -> None:
    page = (ROOT / "machines/signup/README.md").read_text().replace("/ada/", "/paige/")
    commands = [line for line in page.splitlines() if line.startswith("curl ")]

    printed = []
    for command in commands:
        argv = [*shlex.split(command.replace("localhost:8080", site.server.ingress_url)), "-sS", "--noproxy", "*"]
        printed.append(json.loads(subprocess.run(argv, capture_output=True, check=True, timeout=20).stdout))
        if argv[1].endswith("run/send"):
            site.wait_for("paige", "awaiting_click")

    assert (printed[0]["status"], printed[1]["configuration"], printed[2]) == ("Accepted", ["rejected"], False)
