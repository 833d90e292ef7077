"""Handlers and events that can be called from outside, and private ones that cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from durable_fsm.local.failures import AdminError
from durable_fsm.testing import Served
from tests.server.watched import Watched

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "security.md"
EVENTS = {"press"}
HOOKS = {"shop"}
OPEN, CLOSED = "open", "closed"


def documented(chart: str) -> dict[tuple[str, str], str]:
    """The table of the page: the open handlers, by service and handler; `*` means all others of a service."""
    rows = re.findall(r"^\| `(Order[.\w]*)` \| (.+?) \| (open|closed)\b(.*?) \|$", PAGE.read_text(), re.MULTILINE)
    found: dict[tuple[str, str], str] = {}
    for service, handlers, word, _ in rows:
        names = set(re.findall(r"`(\w+)`", handlers)) or {"*"}
        if "public event" in handlers:
            names = EVENTS
        if "webhook" in handlers:
            names = HOOKS
        found |= {(service.replace("Order", chart), name): word for name in names}
    return found


def served(host: Host, chart: str) -> Iterator[tuple[str, str, str]]:
    """Services of a chart, their kinds and their handlers."""
    for name in host.served.deployment.services:
        if name == chart or name.startswith(f"{chart}."):
            found: dict[str, Any] = host.client.get(f"{host.server.admin_url}/services/{name}").json()
            for handler in found["handlers"]:
                yield name, found["ty"], handler["name"]


def answer_from_outside(host: Host, service: str, kind: str, handler: str) -> str:
    path = f"{service}/{host.key('probe')}/{handler}" if kind != "Service" else f"{service}/{handler}"
    answer = host.client.post(f"{host.server.ingress_url}/{path}/send")
    if answer.status_code == 400 and "not public" in answer.text:
        return CLOSED
    assert answer.status_code == 202, answer.text
    with suppress(AdminError):  # it is over already
        host.server.kill_invocation(answer.json()["invocationId"])  # a run would wait for the end of its machine
    return OPEN


def test_the_open_handlers_are_those_that_the_documentation_lists(watched: Watched) -> None:
    told = documented("Everything")
    seen = {
        (service, handler): answer_from_outside(watched.host, service, kind, handler)
        for service, kind, handler in served(watched.host, "Everything")
    }

    expected = {place: told.get(place, told.get((place[0], "*"), "not documented")) for place in seen}
    assert seen == expected
    assert {place for place in told if place[1] != "*"} <= seen.keys()


def test_handlers_that_begin_with_an_underscore_are_closed_everywhere(watched: Watched) -> None:
    for chart in ("Everything", "Closed", "Worker", "Wallet", "Till", "Careless"):
        for service, kind, handler in served(watched.host, chart):
            if handler.startswith("_"):
                assert answer_from_outside(watched.host, service, kind, handler) == CLOSED, (service, handler)


def test_operators_only_leaves_just_events_and_webhooks_open(watched: Watched) -> None:
    seen = {
        handler
        for service, kind, handler in served(watched.host, "Closed")
        if answer_from_outside(watched.host, service, kind, handler) == OPEN
    }

    assert seen == EVENTS | HOOKS


def test_both_front_ends_can_close_handlers(watched: Watched) -> None:
    host, key = watched.host, watched.host.key("till")
    host.receipt("Till", key, "close")

    for handler in ("repair", "delete", "history"):
        answer = host.post("Till", key, handler)
        assert (answer.status_code, "not public" in answer.text) == (400, True)
    assert host.snapshot("Till", key)["configuration"] == ["shut"]


def test_operators_reach_closed_handlers_through_a_service_of_their_own(watched: Watched) -> None:
    host, key = watched.host, watched.host.key("till")
    host.receipt("Till", key, "close")
    request = {"chart": "Till", "key": key, "repair": {"move": "open", "reason": "closed too early"}}

    def ask(token: str) -> int:
        url = f"{host.server.ingress_url}/Desk/repair"
        return host.client.post(url, json=request, headers={"x-token": token}).status_code

    with Served.begin("watch_app:desk_app", host.server, log=watched.directory / "desk.log", app_dir=HERE):
        assert ask("guess") == 401
        assert host.snapshot("Till", key)["configuration"] == ["shut"]
        assert ask("let me in") == 200
    assert host.snapshot("Till", key)["configuration"] == ["open"]


@pytest.mark.parametrize(
    "event",
    [
        "done.invoke.busy",
        "done_invoke_busy",
        "error.invoke.busy",
        "error_invoke_busy",
        "error.execution",
        "error.communication",
        "error",
        "error.",
        "done",
        "done.invoke",
        "done.state",
        "done.state.busy",
        "tick",
        "whatever",
        "timer",
    ],
)
def test_a_private_event_is_refused_in_every_spelling(watched: Watched, event: str) -> None:
    host, key = watched.host, watched.host.key("spelling")
    host.receipt("Everything", key, "create")
    before = host.stored("Everything", key)

    sent = host.post("Everything", key, "send", {"event": event, "payload": {"token": "1"}})
    waited = host.post("Everything", key, "wait_for", {"event": event, "taken": True, "timeout": "1s"})

    assert sent.status_code == waited.status_code == (404 if event == "timer" else 403), (sent.text, waited.text)
    assert host.stored("Everything", key) == before


@pytest.mark.parametrize(
    "event",
    ["", " error.execution", "ERROR.execution", "error\x00.execution", "＊", "*", "_deliver", "create", "delete"],
)
def test_a_name_that_only_resembles_an_event_is_unknown(watched: Watched, event: str) -> None:
    host, key = watched.host, watched.host.key("spelling")
    host.receipt("Everything", key, "create")

    answer = host.post("Everything", key, "send", {"event": event})

    assert answer.status_code in (403, 404), answer.text
    assert host.snapshot("Everything", key)["seq"] == 1


@pytest.mark.parametrize("key", ["~", "a~b~1", "/", "..", "%2F", "'; DROP", "{}", "\x00", "a\nb", "𝄞", "x" * 1_000])
def test_a_key_is_never_interpreted_as_anything_else(watched: Watched, key: str) -> None:
    host, mine = watched.host, watched.host.key(key)

    for _ in range(12):  # a page of the history is stored under a key made of this one
        host.receipt("Worker", mine, "note")

    assert host.snapshot("Worker", mine)["key"] == mine
    history = host.post("Worker", mine, "history").json()
    assert [entry["event"] for entry in history["entries"]] == ["create", *["note"] * 12]
