"""Random requests for the charts of `hostile_app.py`, and a client that sends them as fast as the server takes them."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from durable_fsm.core.address import LONGEST_KEY, child_key
from durable_fsm.core.codec import MAX_DEPTH
from durable_fsm.restate.http.requests import MAX_INPUT

PATIENCE_SECONDS = 120

NO_JSON = (
    b"{", b"[", b'"', b"nul", b"{'a': 1}", b"[1,]", b'{"a":1,}', b"\x00", b"NaN", b"Infinity", b"[-Infinity]", b"1e999",
    b"-1e999", b'{"street": NaN, "number": 1}', b"\xff\xfe", b"\xef\xbb\xbf{}", b'"\xc3\x28"', b'"\xed\xa0\x80"',
    b'"\\ud800"', b'{"\\udfff": 1}', b'"\\ud83d"', '{"a": "ü"}'.encode("utf-16"), '"ü"'.encode("latin-1"), b"01",
    b"+1", b".5", b"0x10", b"1 2", b"{}{}", b'"\n"', b"// hi\n{}", b"1" * 5000, b"--", b"<xml/>", b"a=b&c=d",
)  # fmt: skip
"""Bodies that are not a JSON text, or not one that could be stored and read again."""

ODD_JSON = (b'{"a":1,"a":2}', b'{"event":"read","event":"close"}', b"[" * 200, b" ", b"\n\n", b"null", b'"\\u0000"')

KEYS = (
    "a/b", "a//b", "/", "//", "a b", "%", "%2F", "%00", "\u0000", "ü", "\U0001f600", "a?b", "a#b", "a&b=c",
    "'; DROP TABLE state; --", "a" * 2000, "\u202e", "\n", "\r\n", "+", "{}", '"', "\\", "-", "0", "null", "create",
    "victim > There/box", "6:victim > There/box", "~", "a~0123456789ab~1", "x" * LONGEST_KEY,
)  # fmt: skip
"""Keys that machines may have."""

FORBIDDEN_KEYS = (
    "x" * (LONGEST_KEY + 1), "ü" * LONGEST_KEY, "x" * 30_000, "x" * 65_400, child_key("p", "child", "0123456789ab.1"),
    child_key("line\nbreak", "child", "0123456789ab.1.2"),
)  # fmt: skip

TYPES = (
    None, "application/json", "text/plain", "application/octet-stream", "application/xml", "multipart/form-data",
    "application/json; charset=utf-16", "*/*", "nonsense", "", "application/",
)  # fmt: skip

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 2**31, 2**63, -(2**63), 10**400, 0.5, -0.0, 1e308, "", "x", "ü\u0000\U0001f600", "1e9",
    "2030-01-01", [], [[]], {}, {"": None}, {"__class__": "x"}, [1, "a", None], "x" * 5_000, ["x"] * 500,
)  # fmt: skip

ORDER = {"weight": 1.5, "to": {"name": "x", "number": 7}, "notes": ["a"], "extra": {"deep": [1, {"er": None}]}}
REPAIR = {"reason": "because", "move": "idle"}

BODIES: dict[str, dict[str, tuple[Any, ...]]] = {
    "Carrier": {
        "create": ({}, {"bytes": 3}),
        "carry_it": (3, 3_000),
        "carry_alone": (3,),
        "carry_after": (3,),
        "carry_many": (8,),
        "carry_in_turn": (3,),
        "send_off": (3, 4, 5, 34_000_000),
        "ask_outside": (None,),
        "send": ({"event": "carry_it", "payload": 3}, {"event": "send_off", "payload": 0}),
        "cancel": ({}, {"activity": "carrying"}),
    },
    "Porter": {"create": ({}, {"bytes": 9}), "begin": (5, 2_000_000), "send": ({"event": "begin", "payload": 1},)},
    "Bale": {"create": ({}, {"bytes": 9}), "end": (None,)},
    "Scribe": {
        "create": ({},),
        "write": ({"to": "scribe"}, {"to": "scribe", "bytes": 10_000}, {"to": "a/b"}, {"to": "x" * 3_000}),
        "read": ("hello",),
        "close": (None,),
        "send": ({"event": "read", "payload": "hi"},),
    },
    "FrontDesk": {
        "create": ({}, {"notes": ["n"]}),
        "fill": (ORDER,),
        "note": (["a", "b"],),
        "submit": (None,),
        "confirm": (None,),
        "send": ({"event": "fill", "payload": ORDER}, {"event": "confirm"}),
    },
}
"""A body that fits, for the handlers of each chart."""

FOR_ALL: dict[str, tuple[Any, ...]] = {
    "snapshot": (None, {}),
    "history": ({}, {"last": 3}, {"after": 1, "limit": 2}),
    "delete": ({}, {"abandon": True}, {"compensate": True}),
    "repair": (REPAIR, {"reason": "again", "resend": True}, {"reason": "x", "retry": "carrying"}),
}
WAITS = (
    {"status": "done", "timeout": 0.05},
    {"settled": True, "timeout": 0.1},
    {"any": [{"status": "failed"}], "timeout": 0},
)


@dataclass(frozen=True)
class FuzzedRequest:
    path: bytes
    content: bytes
    headers: dict[str, str] = field(default_factory=dict[str, str])
    method: str = "POST"

    @property
    def told(self) -> str:
        """As a failure shows it."""
        return f"{self.method} {self.path[:200]!r} {self.headers!r:.300} {self.content[:300]!r}"


class Fuzzer:
    """Makes requests; the dice decide."""

    def __init__(self, dice: random.Random, keys: list[str]) -> None:
        self.dice = dice
        self.keys = keys

    def requests(self, number: int) -> Iterator[FuzzedRequest]:
        makers: list[tuple[int, Callable[[], FuzzedRequest]]] = [
            (30, self.fitting), (30, self.mutated), (12, self.nonsense), (6, self.forbidden_key), (4, self.private),
            (3, self.nowhere), (3, self.other_method), (6, self.strange_headers), (6, self.one_way), (3, self.raw_path),
            (4, self.webhook), (3, self.workflow), (2, self.flow), (2, self.of_restate),
        ]  # fmt: skip
        weights = [weight for weight, _ in makers]
        for _ in range(number):
            (_, make) = self.dice.choices(makers, weights)[0]
            yield make()

    # ── bodies ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def mutation(self, value: Any) -> Any:
        """The value, with one thing in it that may not fit."""
        if isinstance(value, dict) and value and self.dice.random() < 0.8:
            name = self.dice.choice([*value])
            how = self.dice.random()
            if how < 0.2:
                return {one: member for one, member in value.items() if one != name}
            if how < 0.4:
                return {
                    **value,
                    self.dice.choice(("", "event", "extra", "payload", "ü", "__proto__")): self.any_value(),
                }
            return {**value, name: self.mutation(value[name])}
        return self.any_value()

    def any_value(self) -> Any:
        return self.dice.choice(VALUES) if self.dice.random() < 0.9 else self.deep()

    def deep(self) -> Any:
        value: Any = 1
        for _ in range(self.dice.choice((MAX_DEPTH - 3, MAX_DEPTH, MAX_DEPTH + 1, 400))):
            value = [value] if self.dice.random() < 0.5 else {"a": value}
        return value

    def broken(self) -> bytes:
        kind = self.dice.random()
        if kind < 0.5:
            return self.dice.choice(NO_JSON + ODD_JSON)
        if kind < 0.7:
            return self.dice.randbytes(self.dice.randrange(200))
        if kind < 0.75:
            size = self.dice.choice((MAX_INPUT - 1, MAX_INPUT, MAX_INPUT + 1, 2 * MAX_INPUT))
            return b'"' + b"x" * (size - 2) + b'"'
        if kind < 0.8:
            levels = self.dice.choice((MAX_DEPTH, MAX_DEPTH + 1, 2_000, 50_000))
            return b"[" * levels + b"]" * (levels if self.dice.random() < 0.8 else 0)
        whole = json.dumps(self.dice.choice((ORDER, REPAIR, WAITS[0]))).encode()
        return whole[: self.dice.randrange(len(whole))]

    # ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def key(self) -> str:
        return self.dice.choice(self.keys)

    def route(self) -> tuple[str, str, Any]:
        chart = self.dice.choice([*BODIES])
        handler = self.dice.choice([*BODIES[chart], *FOR_ALL])
        return chart, handler, self.dice.choice(BODIES[chart].get(handler) or FOR_ALL[handler])

    def to(self, chart: str, handler: str, content: bytes, key: str | None = None, **headers: str) -> FuzzedRequest:
        path = f"/{chart}/{quote(self.key() if key is None else key, safe='')}/{handler}"
        typed = {"content-type": "application/json"} if content else {}
        return FuzzedRequest(path.encode(), content, {**typed, **headers})

    def fitting(self) -> FuzzedRequest:
        if self.dice.random() < 0.1:
            return self.to(self.dice.choice([*BODIES]), "wait_for", _written(self.dice.choice(WAITS)))
        chart, handler, body = self.route()
        return self.to(chart, handler, _written(body))

    def mutated(self) -> FuzzedRequest:
        if self.dice.random() < 0.1:  # without its timeout it would wait for an hour
            body = self.mutation({"state": "over", "event": "carry_it", "payload": 1, "timeout": 0.1})
            return self.to(self.dice.choice([*BODIES]), "wait_for/send", _written(body))
        chart, handler, body = self.route()
        return self.to(chart, handler, _written(self.mutation(body)))

    def nonsense(self) -> FuzzedRequest:
        chart, handler, _ = self.route()
        made = self.to(chart, handler, self.broken())
        if self.dice.random() < 0.3:
            type_ = self.dice.choice(TYPES)
            return FuzzedRequest(made.path, made.content, {} if type_ is None else {"content-type": type_})
        return made

    def forbidden_key(self) -> FuzzedRequest:
        chart, handler, body = self.route()
        service = self.dice.choice((chart, "Carrier.workflow"))
        if service != chart:
            handler, body = "send", {"event": "send_off", "payload": 1}
        return self.to(service, handler, _written(body), self.dice.choice(FORBIDDEN_KEYS))

    def private(self) -> FuzzedRequest:
        name = self.dice.choice(
            ("done.state.x", "error.execution", "done.invoke.carrying", "_deliver", "lapse", "_mail")
        )
        chart = self.dice.choice([*BODIES])
        if self.dice.random() < 0.5:
            return self.to(chart, quote(name), b"{}")
        return self.to(chart, "send", _written({"event": name, "payload": {"token": "x"}}))

    def nowhere(self) -> FuzzedRequest:
        services = ("/", "/Carrier", "/Carrier/", "/carrier/k/send", "/Carrier.activities/carrying", "//", "/Carrier.relay/k/_relay",
                    "/Carrier.callbacks/k/pending", "/Carrier/k/waitfor", "/Carrier/k/send/x", "/Carrier/k/__init__")  # fmt: skip
        return FuzzedRequest(self.dice.choice(services).encode(), b"{}", {"content-type": "application/json"})

    def other_method(self) -> FuzzedRequest:
        method = self.dice.choice(("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"))
        chart, handler, _ = self.route()
        made = self.to(chart, handler, b"")
        return FuzzedRequest(made.path, b"", {}, method)

    def strange_headers(self) -> FuzzedRequest:
        chart, handler, body = self.route()
        headers = self.dice.choice(
            (
                {"idempotency-key": "ü".encode().decode("latin-1")},
                {"idempotency-key": "x" * 5_000},
                {"idempotency-key": ""},
                {"idempotency-key": self.dice.choice(("one", "two", "three"))},
                {"content-encoding": "gzip"},
                {"traceparent": "nonsense"},
                {"x-restate-id": "inv_1"},
                {"x-restate-ingress-path": "/x"},
                {"accept": "text/html"},
                {"x-large": "y" * 60_000},
                {"kafka.topic": "entries", "kafka.partition": "x", "kafka.offset": "0"},
            )
        )
        return self.to(chart, handler, _written(body), None, **headers)

    def one_way(self) -> FuzzedRequest:
        chart, handler, body = self.route()
        delay = self.dice.choice(("", "", "?delay=10ms", "?delay=nonsense", "?delay=-1s", "?delay=", "?x=y"))
        content = _written(body) if self.dice.random() < 0.7 else self.broken()
        return self.to(chart, f"{handler}/send{delay}", content)

    def raw_path(self) -> FuzzedRequest:
        keys = (b".", b"..", b"%2e%2e", b"%ff", b"%", b"%zz", b"%c3%28", b"%ed%a0%80", b"%2", b"", b"%00")
        chart, handler, _ = self.route()
        return FuzzedRequest(b"/%b/%b/%b" % (chart.encode(), self.dice.choice(keys), handler.encode()), b"", {})

    def webhook(self) -> FuzzedRequest:
        record: dict[str, Any] = {
            "event": "read",
            "payload": "p",
            "key": self.key(),
            "id": self.dice.choice((None, "a", "ü", "x" * 300)),
        }
        content = _written(record if self.dice.random() < 0.5 else self.mutation(record))
        return FuzzedRequest(b"/Scribe.webhooks/post", content if self.dice.random() < 0.8 else self.broken())

    def workflow(self) -> FuzzedRequest:
        handler, body = self.dice.choice(
            (
                ("run/send", {}),
                ("run/send", {"bytes": 2}),
                ("carry_it", 3),
                ("send", {"event": "send_off", "payload": 1}),
            )
        )
        content = _written(body if self.dice.random() < 0.6 else self.mutation(body))
        return self.to("Carrier.workflow", handler, content)

    def flow(self) -> FuzzedRequest:
        content = _written({"bytes": 3}) if self.dice.random() < 0.5 else self.broken()
        return FuzzedRequest(b"/Haul.flow/run", content, {"content-type": "application/json"})

    def of_restate(self) -> FuzzedRequest:
        """Restate's own doors: an answer to an awakeable that does not exist, and the output of nothing."""
        paths = (
            b"/restate/awakeables/sign_1lPc4iUFAiNQBkVmGUF8d8UkpVNTQmSLwAAAAEQ/resolve",
            b"/restate/awakeables/nonsense/reject",
            b"/restate/invocation/inv_17VXkgWZ2yrQ6m8TtHLFb1yBBx6IlBxkvN/output",
            b"/restate/workflow/Carrier.workflow/nobody/output",
        )
        path = self.dice.choice(paths)
        method = "GET" if path.endswith(b"output") else "POST"
        return FuzzedRequest(path, b"" if method == "GET" else b"{}", {"content-type": "application/json"}, method)


def request_to(chart: str, key: str, handler: str, body: object) -> FuzzedRequest:
    """A request that is in order."""
    path = f"/{chart}/{quote(key, safe='')}/{handler}"
    return FuzzedRequest(path.encode(), _written(body), {"content-type": "application/json"})


def _written(value: Any) -> bytes:
    return b"" if value is None else json.dumps(value).encode()


# ── the client ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class FuzzedAnswer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def from_ingress(self) -> bool:
        """Whether Restate answered by itself, before a handler of ours was called."""
        source = self.headers.get("x-restate-error-source")
        return source == "ingress" or (source is None and self.status not in (200, 202))

    @property
    def type(self) -> str:
        """The type of our error; empty if it is none."""
        try:
            found: Any = json.loads(self.content)
            return str(found["metadata"]["type"])
        except (ValueError, KeyError, TypeError):
            return ""


async def answers_to(
    url: str, requests: list[FuzzedRequest], connections: int
) -> list[tuple[FuzzedRequest, FuzzedAnswer | str]]:
    """Send all requests through so many connections; the answer to each, or why there is none."""
    place = urlsplit(url)
    assert place.hostname is not None
    waiting = iter(requests)
    found: list[tuple[FuzzedRequest, FuzzedAnswer | str]] = []

    async def send_some() -> None:
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        for request in waiting:
            streams = streams or await asyncio.open_connection(place.hostname, place.port)
            reader, writer = streams
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    writer.write(_head(request) + request.content)
                    await writer.drain()
                    answer, stays = await _answer(reader, request.method)
            except (TimeoutError, OSError, EOFError, ValueError) as error:
                found.append((request, f"{type(error).__name__}: {error}"))
                stays = False
            else:
                found.append((request, answer))
            if not stays:
                writer.close()
                streams = None
        if streams is not None:
            streams[1].close()

    await asyncio.gather(*(send_some() for _ in range(connections)))
    return found


def _head(request: FuzzedRequest) -> bytes:
    lines = [f"{request.method} ".encode() + request.path + b" HTTP/1.1", b"host: localhost"]
    lines += [name.encode() + b": " + value.encode("latin-1") for name, value in request.headers.items()]
    if request.content or request.method != "GET":
        lines.append(b"content-length: %d" % len(request.content))
    return b"\r\n".join([*lines, b"", b""])


async def _answer(reader: asyncio.StreamReader, method: str) -> tuple[FuzzedAnswer, bool]:
    """An answer, and whether the connection stays open."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    status = int(first.split()[1])
    if method == "HEAD" or status == 204:
        content = b""
    elif headers.get("transfer-encoding") == "chunked":
        content = await _chunks(reader)
    else:
        content = await reader.readexactly(int(headers.get("content-length", "0")))
    return FuzzedAnswer(status, headers, content), headers.get("connection") != "close"


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = b""
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        found += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return found
