"""R04, signing up: once per id, decided by the first click, early or late.

Users and mail are files that the service writes and that outlive it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_fsm import chart_from
from durable_fsm.testing import Rehearsal, RestateServer, wait_until
from machines.signup.machine import Signup
from tests.acceptance.applications import Application, edges, hosted, rehearsed, serve
from tests.web import web

pytestmark = pytest.mark.server

WORKFLOW = "usersignup.workflow"
SLOW = 0.5
"""How long sending a mail takes in these tests, in seconds."""
PATIENCE = timedelta(seconds=60)
ADA = {"name": "Ada", "email": "ada@example.org"}


@dataclass
class Site(Application):
    """Sign-ups on one server, and the outbox."""

    place: Path

    def run(self, user: str) -> dict[str, Any]:
        answer = web.post(f"{self.server.ingress_url}/{WORKFLOW}/{user}/run/send", json=ADA)
        assert answer.status_code == 202, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def result(self, user: str, what: str = "attach") -> httpx.Response:
        url = f"{self.server.ingress_url}/restate/workflow/{WORKFLOW}/{user}/{what}"
        return web.get(url)

    def kept(self, folder: str, user: str) -> list[str]:
        """The texts written about a user, without their id."""
        place = self.place / folder
        texts = [one.read_text() for one in place.iterdir() if not one.suffix] if place.exists() else []
        return [text.removeprefix(f"{user} ") for text in texts if text.startswith(f"{user} ")]

    def secret(self, user: str) -> str:
        """The secret in the mail to a user."""
        [mail] = wait_until(lambda: self.kept("outbox", user), PATIENCE, f"the mail to {user}")
        return mail.split()[-1]

    def click(self, user: str, secret: str) -> httpx.Response:
        url = f"{self.server.ingress_url}/{WORKFLOW}/{user}/click"
        return web.post(url, json={"secret": secret})

    def wait_for(self, user: str, state: str) -> None:
        def there() -> bool:
            found = self.server.state("usersignup", user)
            return bool(found) and state in self.server.call("usersignup", user, "snapshot")["configuration"]

        wait_until(there, PATIENCE, f"{user} to be {state}")


@contextmanager
def opened(server: RestateServer, place: Path) -> Iterator[Site]:
    env = {"SIGNUP_PLACE": str(place), "SIGNUP_MAIL_SECONDS": str(SLOW)}
    with serve("signup", server, place, env) as served:
        yield Site("signup", served, server, place)


site_awake, site_replaying, site = hosted("site", opened)


def test_an_id_signs_up_once_and_gets_one_mail(site: Site) -> None:
    first, again = site.run("once"), site.run("once")

    assert (first["status"], again["status"]) == ("Accepted", "PreviouslyAccepted")
    taken = web.post(f"{site.server.ingress_url}/{WORKFLOW}/once/run", json=ADA)
    assert taken.status_code == 409
    assert site.result("once", "output").status_code == 470
    site.wait_for("once", "awaiting_click")
    assert (len(site.kept("users", "once")), len(site.kept("outbox", "once"))) == (1, 1)


def test_a_wrong_secret_does_not_verify(site: Site) -> None:
    site.run("wrong")
    site.wait_for("wrong", "awaiting_click")

    assert site.click("wrong", "guessed").status_code == 200
    assert site.result("wrong").json() is False


def test_the_right_secret_verifies_although_the_service_was_killed_while_waiting_for_it(site_awake: Site) -> None:
    site_awake.run("killed")
    site_awake.wait_for("killed", "awaiting_click")

    site_awake.restart()

    assert site_awake.click("killed", site_awake.secret("killed")).status_code == 200
    assert site_awake.result("killed").json() is True
    assert (len(site_awake.kept("users", "killed")), len(site_awake.kept("outbox", "killed"))) == (1, 1)


def test_a_click_that_comes_before_the_mail_is_confirmed_counts(site: Site) -> None:
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


def test_the_secret_appears_in_neither_history_nor_log(site: Site) -> None:
    site.run("hidden")
    secret = site.secret("hidden")
    site.wait_for("hidden", "awaiting_click")
    site.click("hidden", secret)
    site.result("hidden")

    assert secret not in json.dumps(site.server.call("usersignup", "hidden", "history"))
    assert secret not in (site.place / "log").read_text()


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    assert set(edges(Signup)) >= {
        ("creating_user", "done.invoke.creating_user", ("sending_email",)),
        ("sending_email", "done.invoke.sending_email", ("awaiting_click",)),
        ("awaiting_click", "click", ("verified",)),
        ("awaiting_click", "click", ("rejected",)),
        ("awaiting_click", "abort", ("aborted",)),
        ("awaiting_click", "expire", ("expired",)),
    }
    assert {state.id for state in chart_from(Signup).states.values() if "click" in state.defers} == {
        "creating_user",
        "sending_email",
    }


def test_the_server_does_what_the_rehearsal_does(site: Site) -> None:
    rehearsal = Rehearsal(Signup, key="told")
    rehearsal.create(ADA)
    rehearsal.finish("creating_user")
    rehearsal.finish("sending_email")
    rehearsal.send("click", {"secret": rehearsal.data.secret})

    site.run("told")
    site.wait_for("told", "awaiting_click")
    site.click("told", site.secret("told"))
    assert site.result("told").json() is rehearsal.output

    assert site.recorded("usersignup", "told") == rehearsed(rehearsal)


def test_restate_has_completed_the_requests(site: Site) -> None:
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


def test_the_commands_of_the_readme_do_what_it_says(site: Site) -> None:
    commands = site.run_readme({"/ada/": "/paige/"})

    assert next(commands)["status"] == "Accepted"
    site.wait_for("paige", "awaiting_click")
    assert next(commands)["configuration"] == ["rejected"]
    assert [*commands] == [False]
