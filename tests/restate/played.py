"""Restate in memory, with its protocol: sends an application the bytes of an attempt, and reads the answer.

It keeps the journal of an invocation and the state of its key, so one application may begin what another goes on with.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

START, SUSPENSION, ERROR, END, PROPOSED = 0x0000, 0x0001, 0x0002, 0x0003, 0x0005
INPUT, OUTPUT, GET, SET, CLEAR, CLEAR_ALL, SLEEP, CALL, SEND = (
    0x0400,
    0x0401,
    0x0402,
    0x0403,
    0x0404,
    0x0405,
    0x040C,
    0x040D,
    0x040E,
)
GOT, SLEPT, CALLED, SENT, RAN, SIGNAL = 0x8002, 0x800C, 0x800D, 0x800E, 0x8011, 0xFBFF
"""Notifications: of a value, a sleep, the answer of a call, the id of what was sent or called, a run, and a signal."""

CANCELLED = 1
"""The number of the signal that cancels."""

VERSION = "application/vnd.restate.invocation.v6"

Part = tuple[int, int | bytes]
"""A field of a message: its number, and its value."""


class Frame(NamedTuple):
    """A message of the protocol: its type, and its fields."""

    kind: int
    parts: tuple[Part, ...]

    @property
    def is_command(self) -> bool:
        return self.kind & 0xFC00 == 0x0400

    def __getitem__(self, number: Any) -> Any:
        """The first field with this number; None if there is none."""
        return next((value for n, value in self.parts if n == number), None)

    def encode(self) -> bytes:
        body = b"".join(_encoded(*part) for part in self.parts)
        return struct.pack(">HHI", self.kind, 0, len(body)) + body

    @property
    def comparable(self) -> tuple[int, tuple[Part, ...]]:
        """Without what depends on the clock, and on the way of a traceback."""
        clocked = {SEND: 4, SLEEP: 1, ERROR: 3, PROPOSED: 14}.get(self.kind)
        return self.kind, tuple(part for part in self.parts if part[0] != clocked)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _bytes(number: int, value: bytes) -> bytes:
    return _encoded(number, value)


def _encoded(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _parts(text: bytes) -> Iterator[Part]:
    at = 0

    def varint() -> int:
        nonlocal at
        number = shift = 0
        while True:
            byte = text[at]
            at, number, shift = at + 1, number | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return number

    while at < len(text):
        number, wire = divmod(varint(), 8)
        value: int | bytes = varint()
        if wire == 2:
            at, value = at + value, text[at : at + value]
        yield number, value


def _content(value: bytes) -> bytes:
    found = dict(_parts(value)).get(1, b"")
    assert isinstance(found, bytes)
    return found


def frames(text: bytes) -> list[Frame]:
    found: list[Frame] = []
    while text:
        kind, _, length = struct.unpack(">HHI", text[:8])
        found.append(Frame(kind, tuple(_parts(text[8 : 8 + length]))))
        text = text[8 + length :]
    return found


@dataclass
class Answered:
    """What an application sent: its messages of ASGI, and the protocol's in them."""

    messages: list[dict[str, Any]]

    @property
    def frames(self) -> list[Frame]:
        return frames(b"".join(message.get("body", b"") for message in self.messages))

    @property
    def bodies(self) -> list[bytes]:
        return [message["body"] for message in self.messages if message.get("body")]


@dataclass
class Invoked:
    """One invocation: its target, its journal, and the state of its key.

    Attributes:
        state: What is stored under the key.
        is_partial: Whether nothing of it is sent along.
        journal: The commands that are stored, and the notifications about them.
    """

    target: str
    key: str
    body: bytes
    number: int
    state: dict[str, bytes]
    is_partial: bool = False
    journal: list[Frame] = field(default_factory=list[Frame])

    def __post_init__(self) -> None:
        self._sent_along = {} if self.is_partial else dict(self.state)

    def request(self) -> bytes:
        """What Restate sends to begin an attempt."""
        start: list[Part] = [(1, self.number.to_bytes(24, "big")), (2, self._id(0)), (3, 1 + len(self.journal))]
        start += [(4, _bytes(1, name.encode()) + _bytes(2, value)) for name, value in self._sent_along.items()]
        start += [(5, 1)] if self.is_partial else []
        start += [(6, self.key.encode())] if self.key else []
        given = Frame(INPUT, ((1, _bytes(1, b"accept") + _bytes(2, b"*/*")), (14, _bytes(1, self.body))))
        return b"".join(frame.encode() for frame in (Frame(START, (*start, (9, self.number))), given, *self.journal))

    def store(self, sent: list[Frame]) -> bool:
        """Keep what an attempt has sent, and tell it what became of that; False if it would learn nothing."""
        known = len(self.journal)
        for frame in sent:
            if frame.is_command:
                self.journal.append(frame)
            if frame.kind == SET:
                self.state[frame[1].decode()] = _content(frame[3])
            elif frame.kind == CLEAR:
                self.state.pop(frame[1].decode(), None)
            elif frame.kind == CLEAR_ALL:
                self.state.clear()
            elif frame.kind in (CALL, SEND):
                self.journal.append(Frame(SENT, ((1, frame[10]), (16, self._id(len(self.journal))))))
            elif frame.kind == GET:
                value = self.state.get(frame[1].decode())
                result = (4, b"") if value is None else (5, _bytes(1, value))
                self.journal.append(Frame(GOT, ((1, frame[11]), result)))
            elif frame.kind == PROPOSED:
                result = (6, frame[15]) if frame[14] is None else (5, _bytes(1, frame[14]))
                self.journal.append(Frame(RAN, ((1, frame[1]), result)))
        return len(self.journal) > known

    def answer(self, asked: Frame, output: Frame | None) -> None:
        """Answer a call with the output of what was called; or a sleep, with None."""
        if output is None:
            result: Part = (4, b"")
        else:
            result = (6, output[15]) if output[14] is None else (5, output[14])
        self.journal.append(Frame(SLEPT if output is None else CALLED, ((1, asked[11]), result)))

    def cancel(self) -> None:
        self.journal.append(Frame(SIGNAL, ((2, CANCELLED), (4, b""))))

    def _id(self, number: int) -> bytes:
        return b"inv_1%030d%03d" % (self.number, number)


ROUNDS = 50
"""So many rounds of the event loop Restate waits for an answer before it ends its side."""


async def ask(app: Any, target: str, request: bytes, *, pieces: int = 1, stays_open: bool = False) -> Answered:
    """Send a request, in so many pieces; with *stays_open* Restate's side ends later than that, as over HTTP/2."""
    size = -(-len(request) // pieces)
    parts = [request[at : at + size] for at in range(0, len(request), size)]
    coming = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    coming[-1]["more_body"] = stays_open
    answered, over, closed = Answered([]), list[bool](), list[bool]()

    async def receive() -> dict[str, Any]:
        if coming:
            return coming.pop(0)
        if stays_open and not closed:
            for _ in range(ROUNDS):
                if over:
                    break
                await asyncio.sleep(0)
            closed.append(True)
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.Event().wait()
        raise AssertionError("nothing comes any more")

    async def send(message: dict[str, Any]) -> None:
        answered.messages.append(dict(message))
        if any(frame.kind in (SUSPENSION, ERROR, END) for frame in answered.frames):
            over.append(True)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": f"/invoke/{target}",
        "headers": [(b"content-type", VERSION.encode()), (b"accept", VERSION.encode())],
    }
    await app(scope, receive, send)
    return answered
