"""Operators sign what they send: handlers for operators only are open to them, and to nobody else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from durable_fsm.cli import main
from durable_fsm.client import SyncClient
from durable_fsm.core.operators import OPERATOR, SignedRequest
from durable_fsm.errors import Moved, NotOperator
from durable_fsm.testing import RestateServer, Served

pytestmark = pytest.mark.server

HERE = Path(__file__).parent
SECRET, NEXT = "the-secret-of-the-operators", "the-secret-that-follows-it"


@dataclass
class Desk:
    server: RestateServer
    log: Path
    http: httpx.Client
    numbers: int = 0

    def key(self) -> str:
        self.numbers += 1
        return f"s-{self.numbers}"

    def post(self, path: str, body: object = None, headers: dict[str, str] | None = None) -> httpx.Response:
        content = body if isinstance(body, bytes | None) else json.dumps(body)
        kind = {} if content is None else {"content-type": "application/json"}
        return self.http.post(f"{self.server.ingress_url}/{path}", content=content, headers={**kind, **(headers or {})})

    def client(self, secret: str = SECRET) -> SyncClient:
        return SyncClient(self.server.ingress_url, http=self.http).as_operator("ann", secret)


@pytest.fixture(scope="module")
def desk(restate_server: RestateServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    log = tmp_path_factory.mktemp("operators") / "service.log"
    env = {"DURABLE_FSM_OPERATOR_SECRETS": f"{SECRET},{NEXT}"}
    with (
        Served.begin("operators_app:operators_app", restate_server, log=log, app_dir=HERE, env=env),
        httpx.Client(timeout=60) as http,
    ):
        yield Desk(restate_server, log, http)


def test_without_a_signature_handlers_for_operators_answer_403_by_every_way_into_the_ingress(desk: Desk) -> None:
    key = desk.key()
    assert desk.post(f"Strongroom/{key}/unlock").status_code == 200

    for handler, body in (("repair", {"move": "shut", "reason": "so"}), ("history", {}), ("send", {"event": "lock"})):
        for way in ("", "restate/call/"):
            answer = desk.post(f"{way}Strongroom/{key}/{handler}", body)
            assert (answer.status_code, answer.json()["metadata"]["type"]) == (403, "NotOperator")
        sent = desk.post(f"Strongroom/{key}/{handler}/send", body).json()["invocationId"]
        attached = desk.http.get(f"{desk.server.ingress_url}/restate/invocation/{sent}/attach")
        assert attached.status_code == 403, attached.text
    assert desk.client().machine("Strongroom", key).snapshot().configuration == ("open",)


def test_an_operator_may_and_the_history_has_the_name(desk: Desk) -> None:
    key = desk.key()
    machine = desk.client(NEXT).machine("Strongroom", key)

    assert machine.create().outcome == "created"
    machine.send("unlock")
    machine.repair(move="shut", reason="the shift is over")

    entries = [entry.record for entry in machine.history()]
    assert [(entry["event"], entry.get("by")) for entry in entries] == [
        ("create", "operator:ann"),
        ("unlock", "operator:ann"),
        ("repair", "operator:ann"),
    ]
    desk.post(f"Strongroom/{key}/unlock")
    assert [entry.record.get("by") for entry in machine.history(last=1)] == [None]
    assert machine.delete().outcome == "deleted"


def test_a_signed_request_cannot_be_sent_again(desk: Desk) -> None:
    key = desk.key()
    desk.post(f"Strongroom/{key}/unlock")
    body = b'{"reason":"by mistake","move":"shut"}'
    signed = SignedRequest("Strongroom", "repair", key, body, 2).signed("ann", SECRET, until=int(time.time()) + 60)

    first = desk.post(f"Strongroom/{key}/repair", body, signed)
    again = desk.post(f"Strongroom/{key}/repair", body, signed)
    other = desk.post(f"Strongroom/{key}/delete", body, signed)

    assert (first.status_code, again.status_code, other.status_code) == (200, 409, 403)
    assert again.json()["metadata"] | {"chart": "", "key": ""} == {
        "type": "Moved",
        "chart": "",
        "key": "",
        "expected": "2",
        "seq": "3",
        "configuration": '["shut"]',
    }


def test_a_signed_request_that_says_no_step_is_refused(desk: Desk) -> None:
    key = desk.key()
    desk.post(f"Strongroom/{key}/unlock")
    signed = SignedRequest("Strongroom", "send", key, b'{"event":"lock"}').signed("ann", SECRET, until=2**31)
    soon = SignedRequest("Strongroom", "send", key, b'{"event":"lock"}')
    headers = soon.signed("ann", SECRET, until=int(time.time()) + 60)

    late = desk.post(f"Strongroom/{key}/send", b'{"event":"lock"}', signed)
    answer = desk.post(f"Strongroom/{key}/send", b'{"event":"lock"}', headers)

    assert (late.status_code, answer.status_code) == (403, 403)
    assert "must say at which step" in answer.json()["message"]
    wrong = SyncClient(desk.server.ingress_url, http=desk.http).as_operator("ann", "not the secret of anyone")
    with pytest.raises(NotOperator, match="signature is wrong"):
        wrong.machine("Strongroom", key).snapshot()


def test_a_request_for_an_earlier_state_is_refused_with_the_present_one(desk: Desk) -> None:
    key = desk.key()
    assert desk.post(f"Strongroom/{key}/unlock", headers={"x-durable-fsm-if-seq": "0"}).status_code == 200

    moved = desk.post(f"Strongroom/{key}/lock", headers={"x-durable-fsm-if-seq": "1"})
    malformed = desk.post(f"Strongroom/{key}/lock", headers={"x-durable-fsm-if-seq": "one"})
    machine = desk.client().machine("Strongroom", key)
    with pytest.raises(Moved) as refused:
        machine.if_seq(7).send("lock")

    assert (moved.status_code, malformed.status_code) == (409, 400)
    assert (refused.value.expected, refused.value.seq, refused.value.configuration) == (7, 2, ("open",))
    assert machine.if_seq(2).send("lock").configuration == ("shut",)
    body: dict[str, Any] = {"event": "unlock", "if_seq": 1}
    assert desk.post(f"Strongroom/{key}/send", body).status_code == 403  # it is not signed
    with pytest.raises(Moved):
        machine.if_seq(2).delete()
    waited = desk.post(
        f"Strongroom/{key}/wait_for",
        {"state": "open", "event": "unlock"},
        SignedRequest("Strongroom", "wait_for", key, json.dumps({"state": "open", "event": "unlock"}).encode()).signed(
            "ann", SECRET, until=int(time.time()) + 60
        ),
    )
    assert waited.status_code == 400, waited.text
    assert machine.snapshot().seq == 3


def test_the_command_line_signs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    key, runner = desk.key(), CliRunner()
    desk.post(f"Strongroom/{key}/unlock")
    places = ["--ingress", desk.server.ingress_url, "--admin", desk.server.admin_url, "--operator", "bob"]
    repair = ["repair", f"Strongroom/{key}", "--move", "shut", "--reason", "so", "--if-seq", "2", *places]

    refused = runner.invoke(main, repair)
    monkeypatch.setenv("DURABLE_FSM_OPERATOR_SECRETS", SECRET)
    repaired, again = runner.invoke(main, repair), runner.invoke(main, repair)
    history = runner.invoke(main, ["history", f"Strongroom/{key}", *places])

    assert (refused.exit_code, "has no secret" in refused.output) == (2, True)
    assert (repaired.exit_code, again.exit_code) == (0, 4), (repaired.output, again.output)
    assert "it is at step 3 now, in 'shut'. Read it again." in again.output
    assert "operator:bob" in history.output


def test_a_signature_is_no_secret_of_an_answer(desk: Desk) -> None:
    key = desk.key()
    answer = desk.post(f"Strongroom/{key}/snapshot", {}, {OPERATOR: "ann.5.abc"})

    assert answer.status_code == 403
    assert "abc" not in answer.text
    assert SECRET not in desk.log.read_text()
