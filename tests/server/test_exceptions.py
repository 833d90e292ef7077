"""Exceptions of every kind at every place where an author's code runs: each is an outcome or a typed answer.

Afterwards every key answers, the process is the same, and nothing of ours is unfinished. The table is in
`raising_app.py`; SCALE adds random combinations.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.server.raising_app import GIVEN, KINDS, WORK

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

DECIDING = ("guard", "action", "before", "after_all", "entry", "reply", "timer", *GIVEN)
"""Places in a step. Their exception is an `error.execution`, which this chart does not take."""

OUTCOMES = (*WORK, "started", "undo", "undo_plainly")
"""Places in outside work, whose exception is the outcome."""

IN_COROUTINES = {"StopIteration": "RuntimeError", "GeneratorExit": "RuntimeError"}
"""What Python, and we, make of these when a coroutine raises them."""

REFUSALS = {"ValueError"}
"""How a type says that a value does not fit."""


@pytest.fixture(autouse=True)
def unharmed(raising: Host) -> Iterator[None]:
    """The process that serves is the same at the end, and nothing is unfinished."""
    key = raising.key("where")
    before = raising.receipt("Raising", key, "where")["reply"]
    yield
    assert raising.receipt("Raising", key, "where")["reply"] == before
    raising.settled()
    rows = [row for row in raising.invocations("Raising", status="scheduled") if "_deliver" not in row["target"]]
    assert rows == []


def ask_all(host: Host, places: tuple[str, ...], wrap: Any = None) -> dict[tuple[str, str], httpx.Response]:
    """Send every place every kind, each to a machine of its own: answers by place and kind.

    Each of the two servers gets every second combination, so that they have all of them together.
    """
    first = int(host.server.always_replay)
    asked = [(place, kind) for shift, place in enumerate(places) for kind in [*KINDS][(shift + first) % 2 :: 2]]
    run = host.key("run")
    calls: list[tuple[str, str, str, object]] = [
        ("Raising", f"{run}-{place}-{kind}", place, wrap(kind) if wrap else {"kind": kind}) for place, kind in asked
    ]
    answers = dict(zip(asked, host.together(calls), strict=True))
    still_answers(host, [key for _, key, _, _ in calls])
    return answers


def still_answers(host: Host, keys: list[str]) -> None:
    host.settled()
    pings = host.together([("Raising", key, "ping", None) for key in keys])
    assert {(ping.status_code, ping.text) for ping in pings if ping.status_code != 200} == set()


def error_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("metadata", {}).get("type", "")


def test_whatever_a_step_raises_is_an_answer(raising: Host) -> None:
    answers = ask_all(raising, DECIDING)

    for (place, kind), answer in answers.items():
        assert error_of(answer) == (500, "ActionError"), (place, kind, answer.text)
        assert kind in answer.json()["message"] or kind.startswith("Restates"), (place, kind, answer.text)


def test_whatever_a_validator_raises_rejects_the_event(raising: Host) -> None:
    answers = ask_all(raising, ("validator",))

    assert {error_of(answer) for answer in answers.values()} == {(409, "EventRejected")}


def test_whatever_a_payloads_type_raises_is_an_answer_that_names_the_field(raising: Host) -> None:
    for place, wrap, path in (
        ("payload", lambda kind: {"inner": [{}], "kind": kind}, "$.kind"),
        ("nested", lambda kind: {"items": [{"inner": [], "kind": kind}]}, "$.items[0].kind"),
    ):
        for (_, kind), answer in ask_all(raising, (place,), wrap).items():
            wanted = (422, "InvalidPayload") if kind in REFUSALS else (500, "ActionError")
            assert error_of(answer) == wanted, (place, kind, answer.text)
            assert path in answer.json()["message"], (place, kind, answer.text)


def test_whatever_a_data_type_raises_is_an_answer_and_the_machine_stays_readable(raising: Host) -> None:
    created = ask_all(raising, ("create",), lambda kind: {"on_load": kind})
    left = ask_all(raising, ("leave_unreadable", "leave_unwritable"))

    for (_, kind), answer in created.items():
        wanted = (422, "InvalidPayload") if kind in REFUSALS else (500, "ActionError")
        assert error_of(answer) == wanted, (kind, answer.text)
        assert "$.on_load" in answer.json()["message"]
    for case, answer in left.items():
        assert error_of(answer) == (500, "ActionError"), (case, answer.text)


def test_whatever_a_migration_raises_is_an_answer_and_leaves_the_machine(raising: Host) -> None:
    run = raising.key("old")
    snapshots: dict[str, str] = {}
    for kind in KINDS:
        raising.receipt("Raising", f"{run}-{kind}", "ping")
        text = raising.stored("Raising", f"{run}-{kind}")["snapshot"]
        snapshots[kind] = text.replace('"version":"2"', '"version":"1"').replace('"kind":""', f'"kind":"{kind}"')
        raising.put("Raising", f"{run}-{kind}", snapshots[kind])

    answers = raising.together([("Raising", f"{run}-{kind}", "ping", None) for kind in KINDS])

    assert {error_of(answer) for answer in answers} == {(500, "MigrationError")}
    assert {kind: raising.stored("Raising", f"{run}-{kind}")["snapshot"] for kind in KINDS} == snapshots


def test_whatever_a_webhooks_code_raises_refuses_the_request(raising: Host) -> None:
    url = f"{raising.server.ingress_url}/Raising.webhooks"
    text = {"content-type": "text/plain"}
    asked = [(place, kind) for place in ("decoder", "check") for kind in KINDS]

    answers = [raising.client.post(f"{url}/{place}", content=kind, headers=text) for place, kind in asked]

    assert [error_of(answer) for answer in answers[: len(KINDS)]] == [(422, "Undecodable")] * len(KINDS)
    assert [error_of(answer) for answer in answers[len(KINDS) :]] == [(400, "BadSignature")] * len(KINDS)


def test_whatever_an_activity_raises_is_its_outcome(raising: Host) -> None:
    answers = ask_all(raising, OUTCOMES)

    assert {answer.status_code for answer in answers.values()} == {200}
    keys = [answer.json()["key"] for answer in answers.values()]
    machines = raising.together([("Raising", key, "snapshot", None) for key in keys])
    for (place, kind), answer in zip(answers, machines, strict=True):
        error = answer.json()["data"]["error"]
        assert error in (kind, IN_COROUTINES.get(kind)), (place, kind, answer.text)


def test_random_combinations_leave_nothing_behind(raising: Host, dice: random.Random, scale: int) -> None:
    """Several kinds at several places of one machine, in any order, some of them at once."""
    places = (*DECIDING, *OUTCOMES, "validator", "leave_unreadable", "leave_unwritable", "ping")
    keys = [raising.key("mixed") for _ in range(20 * scale)]
    for _ in range(5):
        calls: list[tuple[str, str, str, object]] = []
        for key in keys:
            place = dice.choice(places)
            calls.append(("Raising", key, place, None if place == "ping" else {"kind": dice.choice([*KINDS])}))
        answers = raising.together(calls)
        assert {answer.status_code for answer in answers} <= {200, 409, 500}
        assert [
            answer.text for answer in answers if answer.status_code == 500 and "ActionError" not in answer.text
        ] == []

    raising.settled()
    machines = raising.together([("Raising", key, "snapshot", None) for key in keys])
    assert {answer.status_code for answer in machines} <= {200, 404}
    assert [
        answer.json()["parked"] for answer in machines if answer.status_code == 200 and answer.json()["parked"]
    ] == []
