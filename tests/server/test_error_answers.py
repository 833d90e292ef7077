"""Errors in an author's code: answers contain no traceback, no path of a file and no line of code."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.server.watched import Watched

pytestmark = pytest.mark.server

TRACES = re.compile(r'Traceback|File "|\.py\b|\bline \d+, in|raise |site-packages|object at 0x|/work/|/home/|/usr/')

CASES: list[tuple[str, object, int, str]] = [
    ("guard", None, 500, "RuntimeError: the guard breaks"),
    ("action", None, 500, "RuntimeError: the action breaks"),
    ("enter", None, 500, "RuntimeError: the entry breaks"),
    ("mute", None, 500, "Unspeakable"),
    ("validator", None, 409, "The guard breaks."),
    ("typed", {"n": 13}, 500, "an internal error (RuntimeError)"),
    ("typed", {"n": 14}, 422, "touched"),
    ("typed", "no object", 422, "at $"),
    ("spoil", {"n": 3}, 500, "an internal error (RuntimeError)"),
    ("spoil", {"n": 4}, 500, "touched at $.n"),
    ("create", {"n": 13}, 500, "an internal error (RuntimeError)"),
    ("create", {"n": 14}, 422, "touched"),
    ("begin", None, 500, "RuntimeError: the input breaks"),
    ("back", None, 409, "is not accepted"),
    ("send", {"event": "unknown"}, 404, "there is no event 'unknown'"),
    ("send", {"event": "error.execution"}, 403, "is private"),
    ("send", [], 400, "cannot be read"),
    ("snapshot", None, 404, "there is no such machine"),
    ("wait_for", {"event": "action", "taken": True}, 500, "the action breaks"),
    ("wait_for", {"state": "nowhere"}, 400, "nowhere"),
    ("repair", {"retry": "breaking", "reason": "why not"}, 404, "there is no such machine"),
    ("action", "x" * (1024 * 1024), 413, "bytes"),
    ("send", {"event": "x" * 201}, 400, "200 characters at most"),
    ("repair", {"move": "calm", "reason": "x" * 1_001}, 400, "1,000 characters at most"),
]


@pytest.mark.parametrize(("handler", "body", "status", "words"), CASES)
def test_an_error_answer_says_what_failed_without_a_traceback(
    watched: Watched, handler: str, body: object, status: int, words: str
) -> None:
    host, key = watched.host, watched.host.key("broken")

    answer = host.post("Careless", key, handler, body)

    assert answer.status_code == status, answer.text
    assert words in answer.json()["message"]
    told = answer.text + json.dumps(failures(watched, "Careless", key))
    assert not TRACES.search(told), told


def test_an_error_answer_of_a_webhook_has_no_traceback_either(watched: Watched) -> None:
    answer = watched.host.client.post(f"{watched.host.server.ingress_url}/Careless.webhooks/shop", json={})

    assert answer.status_code == 422
    assert "RuntimeError: the decoder breaks" in answer.text
    assert not TRACES.search(answer.text + json.dumps(failures(watched, "Careless.webhooks")))


def test_a_failed_activity_leaves_its_message_and_no_traceback(watched: Watched) -> None:
    host, key = watched.host, watched.host.key("broken")

    host.receipt("Careless", key, "work")
    host.settled()

    view = json.dumps([host.snapshot("Careless", key), host.post("Careless", key, "history").json()])
    assert host.snapshot("Careless", key)["configuration"] == ["calm"]
    assert not TRACES.search(view + json.dumps(failures(watched, "Careless.activities")))


def test_the_log_has_the_traceback(watched: Watched) -> None:
    key = watched.host.key("broken")

    watched.host.post("Careless", key, "typed", {"n": 13})

    log = (watched.directory / "log").read_text()
    assert re.search(rf'"message":"Careless/{key}: unexpected RuntimeError".*"exception":"Traceback', log)


def failures(watched: Watched, service: str, key: str | None = None) -> list[Any]:
    """The failures of invocations that Restate keeps."""
    rows = watched.host.invocations(service, key)
    return [row.get("completion_failure") or row.get("last_failure") for row in rows]
