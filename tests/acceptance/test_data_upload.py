"""R13, slow upload: a caller who does not wait gets the URL by mail, once, in whichever order things happen.

The client is a script in a process of its own. Buckets, texts and mails are counted by the services outside.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_fsm import chart_from
from durable_fsm.testing import Rehearsal, RestateServer, wait_until
from machines.data_upload.client import BY_MAIL
from machines.data_upload.machine import DataUpload
from tests.acceptance.applications import PATIENCE, ROOT, Outside, Stage, edges, hosted, rehearsed, staged
from tests.web import web

pytestmark = pytest.mark.server

WORKFLOW = "dataUploader.workflow"
TEXT = "a long text"
SHORT = 0.2
"""How long a client waits for its URL in these tests, in seconds. The upload is held until it has left."""


@dataclass
class Store(Stage):
    """Uploads on one server, with the bucket store and the mail server."""

    def run_client(self, user: str, seconds: float = 60, text: str = TEXT) -> subprocess.CompletedProcess[str]:
        """Run the client's script to its end."""
        command = [sys.executable, "-m", "machines.data_upload.client", user, f"--email={user}@example.org"]
        options = [f"--text={text}", f"--seconds={seconds}", f"--url={self.server.ingress_url}"]
        return subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)

    def run(self, user: str, text: str = TEXT) -> None:
        assert self.post(f"{WORKFLOW}/{user}/run/send", {"text": text}).status_code == 202

    def attach(self, user: str) -> httpx.Response:
        return web.get(f"{self.server.ingress_url}/restate/workflow/{WORKFLOW}/{user}/attach")

    def url(self, user: str) -> str:
        """The answer of the run; waits for it."""
        answer = self.attach(user)
        assert answer.status_code == 200, answer.text
        return str(answer.json())

    def ask(self, user: str, email: str) -> str:
        """Ask for a mail; returns what the machine did with that."""
        answer = self.post(f"{WORKFLOW}/{user}/resultAsEmail", {"email": email})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["outcome"])

    def wait_mailed(self, user: str) -> None:
        """Wait until every mail that was asked for is sent, and recorded as sent."""
        wait_until(lambda: "mailed" in self.leaves(user), PATIENCE, f"the mails of {user}")

    def leaves(self, user: str) -> list[str]:
        found: list[str] = self.server.call("dataUploader", user, "snapshot")["leaves"]
        return found

    def done_for(self, user: str, path: str) -> list[dict[str, Any]]:
        """The bodies of the requests done outside for a user. Their idempotency keys contain it."""
        return [one["body"] for one in self.outside.ledger() if one["path"] == path and f"/{user}/" in one["key"]]

    def mails(self, user: str) -> list[tuple[str, str]]:
        """The mails sent for a user, as address and text, by address."""
        return sorted((mail["to"], mail["text"]) for mail in self.done_for(user, "/mails"))


@contextmanager
def opened(server: RestateServer, place: Path) -> Iterator[Store]:
    with staged("data_upload", server, place) as stage:
        yield Store(stage.name, stage.served, stage.server, Outside(stage.outside.process))


store_awake, store_replaying, store = hosted("store", opened)


def mail(email: str, url: str) -> tuple[str, str]:
    return email, f"Your data is at {url}"


def test_a_client_of_a_quick_upload_prints_the_url_and_no_mail_is_sent(store: Store) -> None:
    client = store.run_client("quick")

    url = store.url("quick")
    assert (client.returncode, client.stdout.strip(), client.stderr) == (0, url, "")
    assert url.endswith(f"/{len(TEXT)}")
    assert (store.leaves("quick"), store.mails("quick")) == (["uploaded", "nobody_waiting"], [])


def test_a_client_that_does_not_wait_leaves_and_gets_the_url_by_mail(store: Store) -> None:
    with store.outside.holding("/uploads") as held:
        client = store.run_client("slow", SHORT)
        assert client.returncode == BY_MAIL, client.stderr
        assert "will be mailed to slow@example.org" in client.stdout
        assert len(held()) == 1
        wait_until(lambda: store.leaves("slow") == ["uploading", "waiting"], PATIENCE, "the wish for a mail")
        assert (store.done_for("slow", "/uploads"), store.mails("slow")) == ([], [])

    store.wait_mailed("slow")
    assert store.mails("slow") == [mail("slow@example.org", store.url("slow"))]


def test_a_service_killed_during_the_upload_and_again_during_the_mail_does_each_once(store_awake: Store) -> None:
    store = store_awake
    with store.outside.holding("/uploads") as held:
        store.run("killed")
        assert len(held()) == 1
        assert store.ask("killed", "killed@example.org") == "taken"
        store.restart()
        wait_until(lambda: len(held()) == 2, PATIENCE, "the upload to be tried again")
        store.outside.withhold("/mails")
    wait_until(lambda: store.mails("killed"), PATIENCE, "the mail, whose answer is lost")
    assert "mailing" in store.leaves("killed")
    store.restart()

    store.wait_mailed("killed")
    assert store.mails("killed") == [mail("killed@example.org", store.url("killed"))]
    assert (len(store.done_for("killed", "/buckets")), len(store.done_for("killed", "/uploads"))) == (1, 1)


def test_asking_after_the_upload_is_over_mails_at_once(store: Store) -> None:
    store.run("late")
    url = store.url("late")

    assert store.ask("late", "late@example.org") == "taken"

    store.wait_mailed("late")
    assert store.mails("late") == [mail("late@example.org", url)]


def test_an_upload_that_ends_between_the_timeout_of_its_client_and_the_wish_for_a_mail_is_mailed(store: Store) -> None:
    with store.outside.holding("/uploads") as held:
        store.run("race")
        assert held()
        with pytest.raises(httpx.ReadTimeout):
            web.get(f"{store.server.ingress_url}/restate/workflow/{WORKFLOW}/race/attach", timeout=SHORT)
    url = store.url("race")
    assert store.leaves("race") == ["uploaded", "nobody_waiting"]

    sent = store.post(f"{WORKFLOW}/race/resultAsEmail/send", {"email": "race@example.org"})

    assert sent.status_code == 202
    store.outside.wait_done("/mails", to="race@example.org")
    store.wait_mailed("race")
    assert store.mails("race") == [mail("race@example.org", url)]


def test_each_of_several_listeners_gets_one_mail_however_early_or_late_they_ask(store: Store) -> None:
    early, later, last = "early@example.org", "later@example.org", "last@example.org"
    with store.outside.holding("/mails") as held:
        with store.outside.holding("/uploads") as uploading:
            store.run("many")
            assert uploading()
            assert [store.ask("many", email) for email in (early, later, early)] == ["taken"] * 3
        wait_until(lambda: len(held()) == 2, PATIENCE, "both mails to be on their way")
        assert store.ask("many", last) == "deferred"

    store.outside.wait_done("/mails", to=last)
    store.wait_mailed("many")
    url = store.url("many")
    assert store.mails("many") == [mail(email, url) for email in (early, last, later)]


def test_a_refused_upload_is_told_to_the_client_and_to_a_listener(store: Store) -> None:
    client = store.run_client("virus", text="a virus")

    assert (client.returncode, client.stdout) == (1, "")
    assert "the text contains a virus" in client.stderr
    answer = store.attach("virus")
    assert (answer.status_code, answer.json()["message"]) == (422, "the text contains a virus")
    assert store.ask("virus", "virus@example.org") == "taken"
    store.wait_mailed("virus")
    assert store.mails("virus") == [
        ("virus@example.org", "Your data was not uploaded: the text contains a virus"),
    ]


def test_a_user_uploads_once(store: Store) -> None:
    store.run("once")
    url = store.url("once")

    assert store.post(f"{WORKFLOW}/once/run", {"text": "another text"}).status_code == 409
    assert store.url("once") == url
    assert len(store.done_for("once", "/uploads")) == 1


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    assert set(edges(DataUpload)) >= {
        ("creating_bucket", "done.invoke.creating_bucket", ("uploading",)),
        ("uploading", "done.invoke.uploading", ("uploaded",)),
        ("nobody_waiting", "result_as_email", ("waiting",)),
        ("mailing", "done.invoke.mailing", ("mailed",)),
        ("mailed", "result_as_email", ("mailing",)),
    }
    assert [
        edge.targets for edge in chart_from(DataUpload).transitions if edge.source == "waiting" and not edge.events
    ] == [("mailing",)]


def test_the_server_does_what_the_rehearsal_does(store: Store) -> None:
    rehearsal = Rehearsal(DataUpload, key="told")
    rehearsal.create({"text": TEXT})
    rehearsal.finish("creating_bucket", "bucket-0")
    rehearsal.send("result_as_email", {"email": "told@example.org"})
    rehearsal.finish("uploading", "https://bucket-0.example/11")
    rehearsal.finish("mailing", [{"status": "done", "result": None}])

    with store.outside.holding("/uploads") as held:
        store.run("told")
        assert held()
        store.ask("told", "told@example.org")
    store.wait_mailed("told")

    assert store.recorded("dataUploader", "told") == rehearsed(rehearsal)


def test_restate_has_completed_the_requests(store: Store) -> None:
    store.run("asked")
    store.url("asked")
    store.ask("asked", "asked@example.org")

    done = store.server.query(
        "SELECT target_service_name, target_handler_name, completion_result FROM sys_invocation"
        " WHERE status = 'completed' AND target_service_key = 'asked' AND target_service_name LIKE 'dataUploader%'"
    )
    answered = {(row["target_service_name"], row["target_handler_name"], row["completion_result"]) for row in done}
    assert {(WORKFLOW, "run", "success"), (WORKFLOW, "resultAsEmail", "success")} <= answered
    store.wait_mailed("asked")


def test_the_commands_of_the_readme_do_what_it_says(store_awake: Store) -> None:
    store = store_awake
    commands = store.run_readme({"localhost:9090": store.outside.url})

    with store.outside.holding("/uploads"):
        assert next(commands) == {}
        assert store.run_client("ben", SHORT).returncode == BY_MAIL
        assert next(commands) == {}
    url = next(commands)
    assert url == store.url("ben")
    assert next(commands)["outcome"] in ("taken", "deferred")
    store.outside.wait_done("/mails", to="eve@example.org")
    store.wait_mailed("ben")
    mailed = [one["body"]["to"] for one in next(commands) if one["path"] == "/mails" and "/ben/" in one["key"]]
    assert mailed == ["ben@example.org", "eve@example.org"]
