"""Callers who know the id of a waiting invocation: none of them can answer in the machine's place."""

from __future__ import annotations

import base64
import json
import string
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from durable_fsm.core.address import child_key
from durable_fsm.testing import wait_until

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

DIGITS = string.digits + string.ascii_lowercase + string.ascii_uppercase
FIRST_AWAKEABLE = 17
"""Number of the first awakeable of an invocation; Restate keeps those before it for itself."""

FORGERIES = {
    "the end of a machine": ("resolve", b'{"ended":{"status":"done","output":{"price":1}}}'),
    "a receipt": ("resolve", b'{"receipt":{"outcome":"met","configuration":["sold"]}}'),
    "an error": ("resolve", b'{"error":{"message":"no","status":418,"metadata":{}}}'),
    "null": ("resolve", b"null"),
    "an empty object": ("resolve", b"{}"),
    "a list": ("resolve", b"[]"),
    "garbage": ("resolve", b"\xff{"),
    "nothing": ("resolve", b""),
    "a refusal": ("reject", b"no"),
}


def awakeable(invocation: str, number: int) -> str:
    """The id of an awakeable of an invocation, as anyone can compute it."""
    digits = invocation.removeprefix("inv_1")
    partition, rest = (_decoded(part) for part in (digits[:11], digits[11:]))
    raw = partition.to_bytes(8, "little") + rest.to_bytes(16, "little") + number.to_bytes(4, "big")
    return f"sign_1{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"


def _decoded(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number * len(DIGITS) + DIGITS.index(digit)
    return number


def forge(host: Host, invocation: str, verb: str, body: bytes) -> None:
    """Answer the first awakeables of an invocation, whether it has any or not."""
    headers = {"content-type": "application/json" if verb == "resolve" else "text/plain"}
    for number in range(FIRST_AWAKEABLE, FIRST_AWAKEABLE + 3):
        url = f"{host.server.ingress_url}/restate/awakeables/{awakeable(invocation, number)}/{verb}"
        assert host.client.post(url, content=body, headers=headers).status_code == 202


def pending_callback(bench: Host, key: str) -> str:
    """The id of the callback that a new machine waits for."""
    bench.receipt("Signing", key, "wait", {})
    found = wait_until(lambda: bench.snapshot("Signing", key)["activities"][0].get("callbacks"))
    return str(found[0]["id"])


def test_the_ids_of_awakeables_can_be_computed(bench_awake: Host) -> None:
    work = bench_awake.key("work")
    shown = pending_callback(bench_awake, work)

    assert shown == awakeable(bench_awake.jobs("Signing", work)[0]["id"], FIRST_AWAKEABLE)
    bench_awake.receipt("Signing", work, "leave")
    bench_awake.settled()


@pytest.mark.parametrize("forgery", FORGERIES)
def test_the_output_of_a_workflow_cannot_be_forged(ends: Host, forgery: str) -> None:
    key = ends.key("forged")
    ends.server.send("Lodging.workflow", key, "run", {"effect": key})
    ends.wait_in("Lodging", key, "asking")
    run = ends.post("Lodging.workflow", key, "run/send", {}).json()["invocationId"]  # anyone may ask for it
    wait_until(lambda: "waiters" in ends.stored("Lodging", key), what="the run to wait")

    forge(ends, run, *FORGERIES[forgery])
    ends.receipt("Lodging", key, "agree", 5)

    assert ends.server.output(run) == {"price": 505}
    ends.settled()


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_waiting_client_hears_only_from_the_machine(host: Host, forgery: str) -> None:
    ticket = host.key("forged")
    host.receipt("Ticket", ticket, "create")
    wait = host.server.send("Ticket", ticket, "wait_for", {"state": "sold"}, idempotency_key=ticket)
    wait_until(lambda: "waiters" in host.stored("Ticket", ticket), what="the waiter to be registered")

    forge(host, wait, *FORGERIES[forgery])
    host.receipt("Ticket", ticket, "buy")

    answer = host.server.output(wait)
    assert (answer["key"], answer["outcome"], answer["configuration"]) == (ticket, "met", ["sold"])
    assert "waiters" not in host.stored("Ticket", ticket)
    host.settled()


def test_a_waiter_that_an_earlier_build_registered_is_answered_through_its_awakeable(
    awake: Host, bench_awake: Host
) -> None:
    """An activity's callback takes the place of the earlier build's waiter."""
    work, ticket = bench_awake.key("work"), awake.key("ticket")
    callback = pending_callback(bench_awake, work)
    awake.receipt("Ticket", ticket, "create")
    snapshot = {**json.loads(awake.stored("Ticket", ticket)["snapshot"]), "waited_for": True}
    state = {"snapshot": snapshot, "waiters": {callback: {"until": {"state": "sold"}}}}
    written = {name: list(json.dumps(value).encode()) for name, value in state.items()}
    url = f"{awake.server.admin_url}/services/Ticket/state"
    awake.client.post(url, json={"object_key": ticket, "new_state": written}).raise_for_status()
    wait_until(lambda: "waiters" in awake.stored("Ticket", ticket), what="the state to be written")

    awake.receipt("Ticket", ticket, "buy")

    result = bench_awake.wait_in("Signing", work, "over")["data"]["result"]
    assert ("'configuration': ['sold']" in result, "waiters" in awake.stored("Ticket", ticket)) == (True, False)


def test_a_waiter_that_is_registered_again_is_still_answered(awake: Host) -> None:
    """An operator may restart the private step of a wait."""
    ticket = awake.key("again")
    awake.receipt("Ticket", ticket, "create")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(awake.post, "Ticket", ticket, "wait_for", {"state": "sold"})
        wait_until(lambda: "waiters" in awake.stored("Ticket", ticket), what="the waiter to be registered")
        step = awake.invocations("Ticket", ticket, target_handler_name="_wait", status="completed")[0]["id"]
        awake.client.patch(f"{awake.server.admin_url}/invocations/{step}/restart-as-new").raise_for_status()
        wait_until(
            lambda: len(awake.invocations("Ticket", ticket, target_handler_name="_wait", status="completed")) == 2,
            what="the step to be done again",
        )

        awake.receipt("Ticket", ticket, "buy")

        assert waiting.result().json()["configuration"] == ["sold"]


@pytest.mark.parametrize("parent", ["p-1", "line\nbreak", "a/b/0123456789ab.1"])
@pytest.mark.parametrize(
    ("chart", "handler", "body"),
    [
        ("Lodging", "create", {"effect": "x"}),
        ("Lodging", "send", {"event": "agree", "payload": 1}),
        ("Lodging", "wait_for", {"taken": True, "event": "agree", "payload": 1}),
        ("Lodging.workflow", "run", {"effect": "x"}),
    ],
)
def test_a_client_cannot_begin_a_machine_under_the_key_of_a_child(
    ends_awake: Host, parent: str, chart: str, handler: str, body: object
) -> None:
    key = child_key(ends_awake.key(parent), "child", "0123456789ab.3.1")

    answer = ends_awake.post(chart, key, handler, body)

    assert (answer.status_code, answer.json()["metadata"]["type"]) == (404, "NotStarted")
    assert ends_awake.stored("Lodging", key) == {}
