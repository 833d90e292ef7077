"""Errors in an author's code: answers contain no traceback, no path of a file and no line of code."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.server.watched import Watched

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

TRACES = re.compile(r'Traceback|File "|\.py\b|\bline \d+, in|raise |site-packages|object at 0x|/work/|/home/|/usr/')

CASES: list[tuple[str, object, int, str]] = [
    ("guard", None, 500, "RuntimeError: the guard breaks"),
    ("action", None, 500, "RuntimeError: the action breaks"),
    ("enter", None, 500, "RuntimeError: the entry breaks"),
    ("mute", None, 500, "Unspeakable"),
    ("validator", None, 409, "The guard breaks."),
    ("typed", {"n": 13}, 500, "RuntimeError: touched at $.n"),
    ("typed", {"n": 14}, 422, "touched"),
    ("typed", "no object", 422, "at $"),
    ("spoil", {"n": 3}, 500, "RuntimeError: touched at $.n"),
    ("spoil", {"n": 4}, 500, "touched at $.n"),
    ("create", {"n": 13}, 500, "RuntimeError: touched at $.n"),
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
    unplaced = re.sub(r'"place": "[^"]*"', "", view)  # the place is there for operators, and is no traceback
    assert not TRACES.search(unplaced + json.dumps(failures(watched, "Careless.activities")))


LOGGED = {
    "guard": ("breaks, in 'guard',", "watch_app.py", "Careless.breaks", "the guard breaks"),
    "action": ("on_action, in 'action',", "watch_app.py", "Careless.on_action", "the action breaks"),
    "enter": ("on_enter_entered, in 'enter',", "watch_app.py", "Careless.on_enter_entered", "the entry breaks"),
    "begin": ("broken_input, in 'begin',", "watch_app.py", "broken_input", "the input breaks"),
    "typed": ("the code of Touchy, in 'typed',", "watch_app.py", "Touchy.break_", "touched"),
    "work": ("step 'breaking'", "watch_app.py", "break_", "the work breaks"),
    "shop": ("the decoder of a request to webhook 'shop'", "watch_app.py", "broken_request", "the decoder breaks"),
}
"""What the log says of the code that breaks: which code, where, and why."""


def test_the_log_has_the_tracebacks_of_the_authors_code_from_its_first_line_on(watched: Watched) -> None:
    host = watched.host
    for handler in LOGGED.keys() - {"shop"}:
        host.post("Careless", host.key("broken"), handler, {"n": 13} if handler == "typed" else None)
    host.client.post(f"{host.server.ingress_url}/Careless.webhooks/shop", json={})
    host.settled()

    lines = [json.loads(line) for line in (watched.directory / "log").read_text().splitlines() if line[:1] == "{"]
    raised = [line for line in lines if line.get("kind") == "raised" and line["chart"] == "Careless"]
    for where, file, function, words in LOGGED.values():
        [line, *_] = [line for line in raised if f": {where} raised RuntimeError: {words} (" in line["message"]]
        assert file in line["place"], line
        assert line["place"].endswith(f" in {function}"), line
        first = line["exception"].splitlines()[1]
        assert file in first, line["exception"]
        assert "durable_fsm" not in line["exception"]


def failures(watched: Watched, service: str, key: str | None = None) -> list[Any]:
    """The failures of invocations that Restate keeps."""
    rows = watched.host.invocations(service, key)
    return [row.get("completion_failure") or row.get("last_failure") for row in rows]


def test_a_failure_is_kept_with_its_idempotency_key_and_says_to_use_another_one(host: Host) -> None:
    work = host.key("work")
    host.receipt("Fragile", work, "create")

    def move(key: str) -> httpx.Response:
        body = {"move": "done", "reason": "why"}
        return host.client.post(host.url("Fragile", work, "repair"), json=body, headers={"idempotency-key": key})

    with host.deployed(CHARTS_BROKEN="raises"):
        failed = move("r-1")
    kept = move("r-1")
    other = move("r-2")

    assert (failed.status_code, failed.json()["metadata"]["type"]) == (500, "ActionError")
    assert failed.json()["message"].endswith("after the correction, send the request with another key.")
    assert (kept.status_code, kept.json()) == (500, failed.json())
    assert (other.status_code, other.json()["configuration"]) == (200, ["done"])
