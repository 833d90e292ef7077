"""R19, XState: an authorization, a payment and a counter, read from JSON and written by hand, on both servers.

The features of XState one by one are in `test_xstate_conformance.py`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_fsm import chart_from
from durable_fsm.testing import Rehearsal, RestateServer, wait_until
from machines.xstate import by_hand, machine
from machines.xstate.data import PATIENCE
from tests.acceptance.applications import PATIENCE as LONG
from tests.acceptance.applications import Stage, edges, hosted, rehearsed, staged

pytestmark = pytest.mark.server

CHECKING, ANSWERING = 0.1, 0.05
SCALED = {
    "AUTH_CHECKING_SECONDS": f"{CHECKING}",
    "AUTH_ANSWERING_SECONDS": f"{ANSWERING}",
    "PAYMENT_PATIENCE_SECONDS": "0.1",
    "PAYMENT_KEPT_SECONDS": "0.1",
}
TRANSFER = {"sender": "ada", "recipient": "bob", "cents": 10}
BOTH = {"": machine, "_by_hand": by_hand}

_numbers = itertools.count(1)


@contextmanager
def opened(server: RestateServer, place: Path) -> Iterator[Stage]:
    with staged("xstate", server, place, SCALED) as stage:
        yield stage


stage_awake, stage_replaying, stage = hosted("stage", opened)


@pytest.fixture(params=BOTH, ids=["json", "by_hand"])
def kind(request: pytest.FixtureRequest) -> str:
    """What the names of charts end with: nothing for those read from JSON."""
    found: str = request.param
    return found


@pytest.fixture
def key() -> str:
    return f"k-{next(_numbers)}"


def call(stage: Stage, chart: str, key: str, handler: str, body: object = None, **headers: str) -> Any:
    answer = stage.post(f"{chart}/{key}/{handler}", body, **headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def wait_for(stage: Stage, chart: str, key: str, **condition: object) -> Any:
    return call(stage, chart, key, "wait_for", {"timeout": "60s", **condition})


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["metadata"]["type"]


def changes_of(stage: Stage, key: str) -> list[tuple[str, int]]:
    """What the bank has booked for a payment, whose idempotency keys contain its key."""
    booked = stage.outside.done("/balances")
    return [(one["body"]["user"], one["body"]["cents"]) for one in booked if f"/{key}/" in one["key"]]


# ── authorization ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_client_is_authorized_and_a_repeated_wait_has_the_same_answer(stage: Stage, kind: str, key: str) -> None:
    auth = f"auth{kind}"
    created = call(stage, auth, key, "create")
    waiting = {"status": "done", "timeout": "60s", "event": "auth", "payload": {"user": key}}

    began = time.monotonic()
    met = stage.post(f"{auth}/{key}/wait_for", waiting, idempotency_key=f"{auth}/{key}")
    took = time.monotonic() - began
    again = stage.post(f"{auth}/{key}/wait_for", waiting, idempotency_key=f"{auth}/{key}")

    assert created["configuration"] == ["idle"]
    assert (met.status_code, met.json()["configuration"]) == (200, ["authorized"])
    assert (again.json(), "idempotency-expires" in again.headers) == (met.json(), True)
    [issued] = stage.outside.done("/tokens", code=f"code of {key}")
    assert met.json()["output"] == issued["answer"]["token"]
    assert took >= CHECKING + ANSWERING


def test_a_client_is_answered_at_once_and_read_while_the_authority_works(stage: Stage, kind: str, key: str) -> None:
    auth = f"auth{kind}"
    stage.outside.withhold("/tokens")
    call(stage, auth, key, "create")

    sent = call(stage, auth, key, "auth", {"user": key})
    stage.outside.wait_done("/tokens", code=f"code of {key}")
    seen = call(stage, auth, key, "snapshot")

    assert sent["configuration"] == seen["configuration"] == ["authorizing"]
    [child] = seen["machines"]
    assert child["id"] == "authority"
    call(stage, auth, key, "delete", {})


def test_a_service_killed_while_it_checks_gets_one_token(stage_awake: Stage, key: str) -> None:
    users = {f"auth{kind}": f"{key}{kind}" for kind in BOTH}
    for auth, user in users.items():
        stage_awake.outside.withhold("/tokens")
        call(stage_awake, auth, key, "create")
        call(stage_awake, auth, key, "auth", {"user": user})
        stage_awake.outside.wait_done("/tokens", code=f"code of {user}")

    stage_awake.restart()

    for auth, user in users.items():
        met = wait_for(stage_awake, auth, key, status="done")
        [issued] = stage_awake.outside.done("/tokens", code=f"code of {user}")
        assert (met["configuration"], met["output"]) == (["authorized"], issued["answer"]["token"])


def test_an_unknown_user_is_refused(stage: Stage, kind: str, key: str) -> None:
    call(stage, f"auth{kind}", key, "create")

    met = wait_for(stage, f"auth{kind}", key, status="done", event="auth", payload={"user": "mallory"})

    assert (met["configuration"], met["failure"]["code"]) == (["refused"], 403)


# ── payment ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_payment_that_waits_too_long_is_approved_by_hand_and_made_once(stage: Stage, kind: str, key: str) -> None:
    payment = f"payment{kind}"
    call(stage, payment, key, "create", TRANSFER)

    wait_for(stage, payment, key, state="awaiting_manual_approval")
    met = wait_for(stage, payment, key, status="done", event="approve")

    assert met["configuration"] == ["succeeded"]
    assert changes_of(stage, key) == [("ada", -10), ("bob", 10)]
    mails = [one["body"]["to"] for one in stage.outside.done("/mails") if f"/{key}/" in one["key"]]
    assert sorted(mails) == ["ada", "staff"]


def test_money_that_cannot_be_credited_is_refunded(stage: Stage, kind: str, key: str) -> None:
    payment = f"payment{kind}"
    call(stage, payment, key, "create", {**TRANSFER, "recipient": "nobody"})

    met = wait_for(stage, payment, key, status="done", event="approve")

    assert met["configuration"] == ["cancelled"]
    assert changes_of(stage, key) == [("ada", -10), ("ada", 10)]


def test_a_payment_that_was_never_created_is_unknown(stage: Stage, kind: str, key: str) -> None:
    payment = f"payment{kind}"

    for handler, body in (("approve", None), ("snapshot", None), ("wait_for", {"status": "done"})):
        assert refused(stage.post(f"{payment}/{key}/{handler}", body)) == (404, "NotStarted")


def test_a_payment_is_gone_after_its_end(stage: Stage, kind: str, key: str) -> None:
    payment = f"payment{kind}"
    call(stage, payment, key, "create", TRANSFER)
    call(stage, payment, key, "reject")

    def is_gone() -> bool:
        return refused(stage.post(f"{payment}/{key}/approve")) == (410, "Gone")

    wait_until(is_gone, LONG, "the payment to be gone")
    for handler, body in (("snapshot", None), ("create", TRANSFER), ("wait_for", {"status": "done"})):
        assert refused(stage.post(f"{payment}/{key}/{handler}", body)) == (410, "Gone")


# ── counter ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_counter_counts_under_the_version_it_began_with(stage_awake: Stage, key: str) -> None:
    counters = [f"counter{kind}" for kind in BOTH]
    old, new = f"{key}-old", f"{key}-new"

    def data(key: str) -> list[Any]:
        return [call(stage_awake, counter, key, "snapshot")["data"] for counter in counters]

    stage_awake.served.restart(env={"COUNTER": "v1"})
    for counter in counters:
        call(stage_awake, counter, old, "create")
        call(stage_awake, counter, old, "increment")

    stage_awake.served.restart(env={"COUNTER": "v2 with v1"})
    for counter in counters:
        call(stage_awake, counter, old, "increment")
        call(stage_awake, counter, new, "increment")
    assert data(old) == [{"count": 2}] * 2
    assert data(new) == [{"total": 1}] * 2

    stage_awake.served.restart(env={"COUNTER": "v2"})
    for counter in counters:
        answer = stage_awake.post(f"{counter}/{old}/increment")
        assert refused(answer) == (500, "VersionError")
        assert "was written by chart version '1'; this deployment reads '2'" in answer.json()["message"]
        call(stage_awake, counter, new, "increment")
    assert data(old) == [{"count": 2}] * 2

    assert data(new) == [{"total": 2}] * 2


# ── what every application shows ──────────────────────────────────────────────────────────────────────────────────────


def test_the_server_does_what_the_rehearsal_does(stage: Stage, kind: str, key: str) -> None:
    transfer = {**TRANSFER, "sender": "carol", "recipient": "nobody"}
    rehearsal = Rehearsal(BOTH[kind].Payment)
    rehearsal.create(transfer)
    rehearsal.advance(PATIENCE)
    rehearsal.send("approve")
    rehearsal.finish("debiting")
    rehearsal.fail("crediting", "nobody has no account")
    rehearsal.fail("refunding", "carol's account is about to be closed")

    call(stage, f"payment{kind}", key, "create", transfer)
    wait_for(stage, f"payment{kind}", key, state="awaiting_manual_approval")
    wait_for(stage, f"payment{kind}", key, state="owing", event="approve")

    assert stage.recorded(f"payment{kind}", key) == rehearsed(rehearsal)
    assert changes_of(stage, key) == [("carol", -10)]


def test_restate_has_completed_the_requests(stage: Stage, kind: str, key: str) -> None:
    call(stage, f"counter{kind}", key, "increment")
    call(stage, f"auth{kind}", key, "create")

    done = stage.server.query(
        "SELECT target_service_name AS chart, target_handler_name AS handler FROM sys_invocation"
        f" WHERE status = 'completed' AND completion_result = 'success' AND target_service_key = '{key}'"
    )
    asked = {(row["chart"], row["handler"]) for row in done}
    assert asked == {(f"counter{kind}", "increment"), (f"auth{kind}", "create")}


def test_the_commands_of_the_readme_do_what_it_says(stage_awake: Stage) -> None:
    names = {"me": f"readme-{next(_numbers)}", "rent": f"readme-{next(_numbers)}", "visits": f"readme-{next(_numbers)}"}
    places = {f"/{name}/": f"/{other}/" for name, other in names.items()}

    created, token, again, payment, manual, made, once, counted = stage_awake.run_readme(places)

    assert (created["configuration"], token["configuration"]) == (["idle"], ["authorized"])
    assert again == token
    assert payment["configuration"] == ["awaiting_approval"]
    assert (manual["configuration"], made["configuration"]) == (["awaiting_manual_approval"], ["succeeded"])
    assert (once["outcome"], counted["data"]) == ("taken", {"total": 1})


def test_the_chart_has_the_states_and_edges_of_the_story(kind: str) -> None:
    written: Any = BOTH[kind]
    assert set(edges(written.Auth)) >= {
        ("idle", "auth", ("authorizing",)),
        ("authorizing", "token", ("authorized",)),
    }
    assert set(edges(chart_from(written.Auth).states["authorizing"].machines[0].chart)) >= {
        ("waiting_for_code", "code", ("checking",)),
        ("checking", "done.invoke.checking", ()),
    }
    assert set(edges(written.Payment)) >= {
        ("awaiting_approval", "after_patience_awaiting_approval", ("awaiting_manual_approval",)),
        ("awaiting_approval", "approve", ("debiting",)),
        ("awaiting_approval", "reject", ("rejected",)),
        ("awaiting_manual_approval", "approve", ("debiting",)),
        ("debiting", "done.invoke.debiting", ("crediting",)),
        ("debiting", "error.invoke.debiting", ("cancelled",)),
        ("crediting", "done.invoke.crediting", ("succeeded",)),
        ("crediting", "error.invoke.crediting", ("refunding",)),
        ("refunding", "done.invoke.refunding", ("cancelled",)),
    }
    assert set(edges(written.Counter)) == {("counter", "increment", ()), ("counter", "decrement", ())}
    assert [chart_from(one).version for one in (written.CounterV1, written.Counter)] == ["1", "2"]
