"""Malformed and random input: it gets an answer with a declared status, blocks no key and leaves nothing behind."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest

from durable_fsm.core.codec import MAX_DEPTH
from durable_fsm.errors.statuses import STATUS
from durable_fsm.restate.http.requests import MAX_INPUT
from tests.server.fuzz import KEYS, NO_JSON, TYPES

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

REQUESTS = 500
PARCEL = {"weight": 1, "to": {"street": "x", "number": 1}}
JSON = {"content-type": "application/json"}
SENDERS = 8
LIMIT_OF_INGRESS = 32 * 1024 * 1024

OURS = {200, *STATUS.values()}
"""The statuses that our handlers answer here; no request makes a callback fail or meets a bad snapshot."""

OF_THE_INGRESS = {
    400: "a path that is no UTF-8, a private handler, a body without content type, a bad delay or idempotency key",
    404: "no such service or handler",
    405: "a method other than GET and POST",
    413: "more than 32 MiB",
    202: "a one-way send is accepted, whatever its body",
    415: "a content type that is no content type",
}
"""What Restate's ingress answers by itself, before a machine sees the request."""

ANY_JSON = (
    None, True, False, 0, -1, 1.5, 10**30, -(10**18), 1e308, 5e-324, "", "x", "\u0000", "ü\U0001f600", [], [[]], {},
    {"": ""}, {"a": {"b": [1, {"c": None}]}}, {"street": "Main"}, {"street": "Main", "number": "one"},
    {"street": ["Main"], "number": 1}, {"street": "Main", "number": 0}, {"street": "Main", "number": 1.5},
    {"street": "Main", "number": True}, {"number": 10**40, "street": ""}, {"self": 1, "data": 2, "payload": 3},
    {"event": "redirect"}, {"weight": -1}, {"weight": 1, "to": None}, ["a", 1], ["a", "a"], [None], {"__class__": "x"},
    {"event": None}, {"event": 1, "payload": {}}, {"event": "", "payload": {}}, {"event": "label", "payload": 7},
    {"event": "send_off", "more": 1}, {"event": "done.invoke.x", "payload": 1}, {"event": "error.execution"},
    {"state": 1}, {"state": "packed", "timeout": -1}, {"settled": True, "timeout": "x"}, {"any": []}, {"taken": True},
    {"any": [{"any": []}]}, {"any": [1]}, {"status": "asleep", "event": "label"}, {"tag": "x"}, {"state": "sent", "event": 7},
    {"settled": True, "timeout": 1e400}, {"after": -1}, {"last": 1, "after": 1}, {"last": 10**30}, {"after": True},
    {"retry": "x", "reason": ""}, {"retry": "x", "reason": "y"}, {"move": "nowhere", "reason": "y"}, {"move": []},
    {"move": ["packed", "sent"], "reason": "y"}, {"resend": True, "reason": "y"}, {"skip": 1, "reason": "y"},
    {"event": "deliver\u0000"}, {"event": "*"}, {"event": "ü" * 1000}, {"event": "_deliver"}, {"event": "create"},
)  # fmt: skip
"""JSON texts that mostly fit nothing."""

HANDLERS = (
    "send_off", "redirect", "label", "deliver", "send", "create", "snapshot", "delete", "wait_for", "history", "repair"
)  # fmt: skip
"""The valid routes of `Delivery`."""


@dataclass
class Request:
    """One request, and the key of the machine it may have touched."""

    path: str
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    method: str = "POST"


class Fuzz:
    """Makes requests, half of them on valid routes."""

    def __init__(self, dice: random.Random, keys: list[str]) -> None:
        self.dice = dice
        self.keys = keys

    def requests(self, number: int) -> Iterator[Request]:
        strange: list[Callable[[], Request]] = [
            self.strange_key, self.private_event, self.no_handler, self.no_service, self.strange_method,
            self.strange_headers, self.one_way, self.raw_path,
        ]  # fmt: skip
        for place in range(number):
            yield self.on_a_valid_route() if place % 2 else self.dice.choice(strange)()

    def body(self) -> bytes:
        kind = self.dice.random()
        if kind < 0.35:
            return self.dice.choice(NO_JSON)
        if kind < 0.75:
            return json.dumps(self.dice.choice(ANY_JSON)).encode()
        if kind < 0.80:
            return self.deep()
        if kind < 0.84:
            return self.large()
        if kind < 0.90:
            return b""
        if kind < 0.95:
            return self.dice.randbytes(self.dice.randrange(200))
        whole = json.dumps(self.dice.choice(ANY_JSON)).encode()
        return whole[: self.dice.randrange(len(whole) + 1)]

    def deep(self) -> bytes:
        levels = self.dice.choice((MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 300, 900, 2000, 100_000))
        opening, closing = self.dice.choice(((b"[", b"]"), (b'{"a":', b"}")))
        return opening * levels + b"1" + closing * (levels if self.dice.random() < 0.8 else 0)

    def large(self) -> bytes:
        size = self.dice.choice((MAX_INPUT - 1, MAX_INPUT, MAX_INPUT + 1, 2 * MAX_INPUT))
        return b'"' + b"x" * (size - 2) + b'"'

    def path(self, key: str, handler: str) -> str:
        return f"/Delivery/{quote(key, safe='')}/{handler}"

    def typed(self) -> dict[str, str]:
        type_ = self.dice.choice(TYPES) if self.dice.random() < 0.3 else "application/json"
        return {} if type_ is None else {"content-type": type_}

    def on_a_valid_route(self) -> Request:
        weights = [6, 8, 8, 2, 12, 8, 1, 1, 4, 2, 4]
        handler = self.dice.choices(HANDLERS, weights)[0]
        return Request(self.path(self.dice.choice(self.keys), handler), self.body(), self.typed())

    def strange_key(self) -> Request:
        return Request(self.path(self.dice.choice(KEYS), self.dice.choice(HANDLERS)), self.body(), self.typed())

    def private_event(self) -> Request:
        event = self.dice.choice(("done.state.x", "error.execution", "done.invoke.charging", "_deliver", "_parked"))
        key = self.dice.choice(self.keys)
        if self.dice.random() < 0.5:
            return Request(self.path(key, quote(event)), self.body(), self.typed())
        return Request(self.path(key, "send"), json.dumps({"event": event}).encode(), self.typed())

    def no_handler(self) -> Request:
        handler = self.dice.choice(
            ("waitfor", "History", "cancels", "bake", "send/x", "send/send/send", "", "__init__")
        )
        return Request(self.path(self.dice.choice(self.keys), handler), self.body(), self.typed())

    def no_service(self) -> Request:
        path = self.dice.choice(
            ("/", "/Delivery", "/Delivery/", "/delivery/k/send", "/Order.activities/charging", "//")
        )
        return Request(path, self.body(), self.typed())

    def strange_method(self) -> Request:
        method = self.dice.choice(("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"))
        return Request(self.path(self.dice.choice(self.keys), "send_off"), b"", {}, method)

    def strange_headers(self) -> Request:
        headers = self.dice.choice(
            (
                {"idempotency-key": "ü".encode().decode("latin-1")},
                {"idempotency-key": "x" * 5000},
                {"idempotency-key": ""},
                {"content-encoding": "gzip"},
                {"traceparent": "nonsense"},
                {"x-restate-id": "inv_1"},
                {"accept": "text/html"},
            )
        )
        return Request(self.path(self.dice.choice(self.keys), "redirect"), self.body(), {**self.typed(), **headers})

    def one_way(self) -> Request:
        delay = self.dice.choice(("", "?delay=10ms", "?delay=nonsense", "?delay=-1s", "?delay=", "?x=y"))
        path = self.path(self.dice.choice(self.keys), self.dice.choice(HANDLERS))
        return Request(f"{path}/send{delay}", self.body(), self.typed())

    def raw_path(self) -> Request:
        key = self.dice.choice((".", "..", "%2e%2e", "%ff", "%", "%zz", "%c3%28", "%ed%a0%80", "%2", "", "%00"))
        return Request(f"/Delivery/{key}/{self.dice.choice(HANDLERS)}", self.body(), self.typed())


def test_no_input_blocks_a_machine_or_gets_an_undeclared_status(host: Host, scale: int, dice: random.Random) -> None:
    """A hundred lines of nonsense, and the next valid event is taken at once."""
    keys = [host.key("fuzz") for _ in range(10)] + [f"{key}-{host.key()}" for key in KEYS if len(key) < 100]
    for key in keys[::2]:
        host.receipt("Delivery", key, "create", PARCEL)
    fuzz = Fuzz(dice, keys)

    statuses: Counter[tuple[int, str]] = Counter()
    surprises: list[str] = []
    for request, answer in _all_answers(host, list(fuzz.requests(REQUESTS * scale))):
        source = answer.headers.get("x-restate-error-source", "invocation" if answer.status_code == 200 else "ingress")
        statuses[answer.status_code, source] += 1
        declared = OURS if source == "invocation" else OF_THE_INGRESS
        if answer.status_code not in declared or answer.status_code >= 500:
            surprises.append(f"{request.method} {request.path[:200]} {request.content[:200]!r}: {answer.text[:300]}")
    host.settled()

    print(f"{sum(statuses.values())} requests: {dict(sorted(statuses.items()))}")
    assert surprises == []
    for key in [*keys, *KEYS]:
        assert host.post("Counter", key, "increment").status_code == 200
        assert host.post("Delivery", key, "snapshot").status_code in (200, 404)
        created = host.post("Delivery", key, "create", PARCEL)
        assert created.status_code in (200, 409), created.text
    host.settled()


def _all_answers(host: Host, requests: list[Request]) -> list[tuple[Request, httpx.Response]]:
    with (
        httpx.Client(
            timeout=60, trust_env=False, verify=False, limits=httpx.Limits(max_keepalive_connections=0)
        ) as client,
        ThreadPoolExecutor(SENDERS) as pool,
    ):

        def send(request: Request) -> httpx.Response:
            url = httpx.URL(host.server.ingress_url).copy_with(raw_path=request.path.encode())
            try:
                return client.request(request.method, url, content=request.content, headers=_bytes(request.headers))
            except httpx.HTTPError as error:
                raise AssertionError(f"no answer to {request!r:.500}: {error!r}") from error

        return list(zip(requests, pool.map(send, requests), strict=True))


def _bytes(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


@pytest.mark.parametrize("body", NO_JSON)
def test_a_body_that_is_not_valid_json_is_refused_with_that_reason(awake: Host, body: bytes) -> None:
    answer = awake.client.post(awake.url("Counter", awake.key("no-json"), "increment"), content=body, headers=JSON)

    assert answer.status_code == 400, answer.text
    assert answer.json()["metadata"]["type"] == "MalformedInput"


@pytest.mark.parametrize("levels", [MAX_DEPTH, MAX_DEPTH + 1, 10_000])
def test_a_body_nested_too_deeply_is_refused_by_the_service(awake: Host, levels: int) -> None:
    body = b"[" * levels + b"]" * levels

    answer = awake.client.post(awake.url("Counter", awake.key("deep"), "increment"), content=body, headers=JSON)

    assert answer.status_code == (200 if levels == MAX_DEPTH else 400), answer.text


@pytest.mark.parametrize(("size", "status"), [(MAX_INPUT, 422), (MAX_INPUT + 1, 413), (LIMIT_OF_INGRESS + 1, 413)])
def test_a_body_that_is_too_long_is_refused_by_the_service_or_the_ingress(awake: Host, size: int, status: int) -> None:
    body = b'"' + b"x" * (size - 2) + b'"'

    answer = awake.client.post(awake.url("Delivery", awake.key("large"), "create"), content=body, headers=JSON)

    assert answer.status_code == status, answer.text[:300]


def test_a_request_without_body_and_content_type_has_no_payload(awake: Host) -> None:
    assert awake.client.post(awake.url("Counter", awake.key("empty"), "increment")).json()["reply"] == 1


@pytest.mark.parametrize("key", KEYS)
def test_any_text_may_be_a_key(awake: Host, key: str) -> None:
    receipt = awake.receipt("Counter", key, "increment")

    assert receipt["key"] == key


@pytest.mark.parametrize(
    ("handler", "body", "problem"),
    [
        ("redirect", '{"street": "a", "number": 1, "street": "b"}', "member 'street' appears twice at $."),
        ("send", '{"event": "label", "payload": "x", "event": "redirect"}', "member 'event' appears twice at $."),
        ("create", '{"to": {"street": "a", "number": 1, "number": 2}}', "member 'number' appears twice at $.to."),
        ("label", '[1, {"a": 1}, {"a": 1, "\\u0061": 2}]', "member 'a' appears twice at $[2]."),
        ("label", '{"x": {"a:b": "c:d", "a:b": 1}}', "member 'a:b' appears twice at $.x."),
    ],
)
def test_a_member_that_appears_twice_is_refused_with_its_place(
    awake: Host, handler: str, body: str, problem: str
) -> None:
    answer = awake.client.post(awake.url("Delivery", awake.key("twice"), handler), content=body, headers=JSON)

    assert (answer.status_code, answer.json()["metadata"]["type"]) == (400, "MalformedInput")
    assert answer.json()["message"].endswith(problem)


def test_texts_with_colons_are_no_repeated_members(awake: Host) -> None:
    key = awake.key("once")
    awake.receipt("Delivery", key, "create", PARCEL)

    awake.receipt("Delivery", key, "redirect", {"street": '12:30 : "a": b', "number": 1})

    assert awake.snapshot("Delivery", key)["data"]["to"]["street"] == '12:30 : "a": b'
