"""The request of each call, by table, and the mistakes that are refused before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm.client.calls import BUILT_IN, KEPT, Calls, segment
from durable_fsm.client.protocol import Exchange, HttpRequest, HttpResponse, Ingress
from durable_fsm.core.receipt import Receipt
from durable_fsm.errors import ActionError, InvalidPayload, UnexpectedAnswer, UnknownEvent
from durable_fsm.frontends.declare import after, event
from durable_fsm.restate import names
from durable_fsm.restate.names import Handler

INGRESS = Ingress("http://restate", timedelta(seconds=10))
PLAIN: dict[str, Any] = {"idempotency_key": "i-1", "delay": None}


class Payment(BaseModel):
    cents: int


class Bill(StateChart[Any]):
    open = State(initial=True)
    paid = State(final=True)

    pay = event(open.to(paid), Payment)
    lapse = after(timedelta(days=1), open.to(paid))
    cancel = open.to.itself(internal=True)


CALLS = Calls.to(INGRESS, Bill, "b/1")
BY_NAME = Calls.to(INGRESS, "Bill", "b/1")


def first(exchange: Exchange[Any]) -> HttpRequest:
    wanted = next(exchange)
    assert isinstance(wanted, HttpRequest)
    return wanted


@pytest.mark.parametrize(
    ("call", "path", "body"),
    [
        pytest.param(
            lambda: CALLS.send(Bill.pay, Payment(cents=5), **PLAIN),
            "pay",
            {"cents": 5},
            id="send",
        ),
        pytest.param(lambda: CALLS.tell("pay", None, **PLAIN), "pay/send", None, id="tell"),
        pytest.param(
            lambda: CALLS.tell("pay", 1, idempotency_key=None, delay=timedelta(seconds=1.5)),
            "pay/send?delay=1500ms",
            1,
            id="later",
        ),
        pytest.param(
            lambda: CALLS.send("lapse", None, **PLAIN), "send", {"event": "lapse", "payload": None}, id="private"
        ),
        pytest.param(
            lambda: CALLS.send("cancel", None, **PLAIN), "send", {"event": "cancel", "payload": None}, id="built in"
        ),
        pytest.param(lambda: BY_NAME.send("pay", 1, **PLAIN), "send", {"event": "pay", "payload": 1}, id="by name"),
        pytest.param(lambda: CALLS.create({"a": 1}, idempotency_key=None), "create", {"a": 1}, id="create"),
        pytest.param(CALLS.snapshot, "snapshot", None, id="snapshot"),
        pytest.param(lambda: CALLS.page(after=3, limit=2), "history", {"after": 3, "limit": 2}, id="history"),
        pytest.param(lambda: CALLS.latest(5), "history", {"last": 5}, id="latest"),
        pytest.param(lambda: CALLS.cancel(None), "cancel", {}, id="cancel"),
        pytest.param(lambda: CALLS.cancel(Bill.open), "cancel", {"activity": "open"}, id="cancel one"),
        pytest.param(lambda: CALLS.delete(compensate=False, abandon=False), "delete", {}, id="delete"),
        pytest.param(
            lambda: CALLS.delete(compensate=True, abandon=False), "delete", {"compensate": True}, id="compensate"
        ),
        pytest.param(lambda: CALLS.delete(compensate=False, abandon=True), "delete", {"abandon": True}, id="abandon"),
    ],
)
def test_a_call_is_one_request(call: Callable[[], Exchange[Any]], path: str, body: object) -> None:
    request = first(call())

    assert (request.method, request.path) == ("POST", f"/Bill/b%2F1/{path}")
    assert (request.body and json.loads(request.body)) == body
    assert ("content-type" in request.headers) == (body is not None)


def test_a_call_that_changes_a_machine_has_an_idempotency_key_of_its_own() -> None:
    made = [first(CALLS.send("pay", 1, idempotency_key=None, delay=None)) for _ in range(2)]

    assert len({request.headers["idempotency-key"] for request in made}) == 2
    assert first(CALLS.send("pay", 1, **PLAIN)).headers["idempotency-key"] == "i-1"
    assert "idempotency-key" not in first(CALLS.snapshot()).headers


@pytest.mark.parametrize("key", ["ключ", "a\nb", " a", "a ", "\x00"])
def test_an_idempotency_key_that_a_header_cannot_carry_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"idempotency key '.*' cannot be sent: .*quote"):
        next(CALLS.send("pay", 1, idempotency_key=key, delay=None))


def test_a_misspelt_event_is_found_before_it_is_sent() -> None:
    with pytest.raises(UnknownEvent) as caught:
        next(CALLS.send("pya", None, **PLAIN))

    assert str(caught.value) == "Bill/b/1: there is no event 'pya'. It knows: 'cancel', 'pay'. Did you mean 'pay'?"
    assert first(CALLS.send("lapse", None, **PLAIN)).body  # private: the machine says so
    assert first(Calls.to(INGRESS, "Bill", "b").send("pya", None, **PLAIN)).body


def test_a_payload_that_is_not_json_is_found_before_it_is_sent() -> None:
    with pytest.raises(InvalidPayload, match="payload of 'pay' does not fit JSON"):
        next(CALLS.send("pay", float("nan"), **PLAIN))


@pytest.mark.parametrize(
    ("key", "sent"), [("a/b", "a%2Fb"), ("..", "%2E%2E"), (".", "%2E"), ("a%2Fb", "a%252Fb"), ("é ", "%C3%A9%20")]
)
def test_a_key_is_one_segment_of_the_path(key: str, sent: str) -> None:
    assert segment(key) == sent


@pytest.mark.parametrize("key", ["", "\ud800"])
def test_a_key_that_cannot_be_sent_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"key|surrogates"):
        Calls.to(INGRESS, "Bill", key)


def test_a_receipt_is_read_and_any_other_answer_is_an_error() -> None:
    exchange = CALLS.create(None, idempotency_key=None)
    next(exchange)
    told = {"chart": "Bill", "key": "b/1", "seq": 0, "event": "create", "outcome": "created", "status": "running"}

    with pytest.raises(StopIteration) as end:
        exchange.send(HttpResponse(200, json.dumps({**told, "configuration": ["open"], "reply": None}).encode(), {}, 0))
    other = CALLS.create(None, idempotency_key=None)
    next(other)
    with pytest.raises(UnexpectedAnswer, match="a page"):
        other.send(HttpResponse(200, b"a page", {}, 0))

    assert isinstance(end.value.value, Receipt)
    assert end.value.value.configuration == ("open",)


def test_the_client_knows_the_handlers_that_every_machine_has() -> None:
    assert {name for name in names.BUILT_IN if name[0] != "_"} | {Handler.RUN} == BUILT_IN


def test_a_workflow_is_started_one_way_and_then_attached_to() -> None:
    exchange = CALLS.run({"a": 1}, timedelta(hours=2))

    begun = next(exchange)
    attached = exchange.send(HttpResponse(202, b'{"invocationId": "i"}', {}, 0))
    with pytest.raises(StopIteration) as end:
        exchange.send(HttpResponse(200, b'{"paid": true}', {}, 0))

    assert isinstance(begun, HttpRequest)
    assert isinstance(attached, HttpRequest)
    assert (begun.method, begun.path, begun.body) == ("POST", "/Bill.workflow/b%2F1/run/send", b'{"a":1}')
    assert (attached.method, attached.path) == ("GET", "/restate/workflow/Bill.workflow/b%2F1/attach")
    assert (begun.lasts, attached.lasts) == (timedelta(0), timedelta(hours=2))
    assert end.value.value == {"paid": True}


def test_a_workflow_can_be_started_without_waiting_for_it() -> None:
    exchange = CALLS.submit({"a": 1})

    begun = next(exchange)
    with pytest.raises(StopIteration) as end:
        exchange.send(HttpResponse(202, b'{"invocationId": "i"}', {}, 0))

    assert isinstance(begun, HttpRequest)
    assert (begun.method, begun.path, begun.body) == ("POST", "/Bill.workflow/b%2F1/run/send", b'{"a":1}')
    assert end.value.value is None


@pytest.mark.parametrize("delay", [timedelta(seconds=-1), timedelta(days=36_526)])
def test_a_delay_that_the_server_cannot_keep_is_refused(delay: timedelta) -> None:
    with pytest.raises(ValueError, match="a delay must be between 0 and 36,525 days"):
        next(CALLS.tell("pay", 1, idempotency_key=None, delay=delay))


@pytest.mark.parametrize(("key", "notes"), [("r-1", [KEPT]), (None, [])])
def test_a_failure_that_a_corrected_build_would_not_give_says_to_use_another_key(
    key: str | None, notes: list[str]
) -> None:
    exchange = BY_NAME.send("pay", {"cents": 5}, idempotency_key=key, delay=None)
    first(exchange)
    facts = {"type": "ActionError", "chart": "Bill", "event": "pay", "callback": "on_pay", "problem": "no stock."}
    body = json.dumps({"message": "no", "metadata": facts}).encode()

    with pytest.raises(ActionError) as failed:
        exchange.send(HttpResponse(500, body, {}, 0))

    assert getattr(failed.value, "__notes__", []) == notes
