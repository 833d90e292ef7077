"""How the server is read: when a reading was taken and how long it took, what is worth another try, and rows as a stream."""

from __future__ import annotations

import codecs
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

Row = dict[str, Any]  # Any: JSON of a shape that its caller knows

TRIES = 3
FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 5.0
TOO_MANY_REQUESTS = 429

PASSING = ("Resources exhausted", "doesn't exist on this node", "does not exist on this node")
"""Words of failures that pass by themselves: memory for queries is short, or a partition moves to another node."""


@dataclass(frozen=True, slots=True)
class AsOf:
    """When the server was asked, and how long its answer took. The machines may have changed since."""

    at: datetime
    took: timedelta

    def __str__(self) -> str:
        seconds = self.took.total_seconds()
        took = f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1_000:.0f} ms"
        return f"as of {self.at:%H:%M:%S}, read in {took}"

    @property
    def row(self) -> Row:
        """As JSON."""
        return {"at": self.at.isoformat(timespec="milliseconds"), "took_ms": round(self.took.total_seconds() * 1_000)}


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """Measures one reading, from its creation on."""

    at: datetime = field(default_factory=lambda: datetime.now().astimezone())
    _began: float = field(default_factory=time.monotonic)

    def read(self) -> AsOf:
        return AsOf(self.at, timedelta(seconds=time.monotonic() - self._began))


def passes(status: int, message: str) -> bool:
    """Whether a refusal of the server passes by itself, so that the same question is worth another try."""
    return status == TOO_MANY_REQUESTS or any(words in message for words in PASSING)


def wait_before(attempt: int, retry_after: str | None) -> float:
    """Seconds before the next try; *attempt* counts from 1. A server that says how long is believed, up to a limit."""
    try:
        asked = float(retry_after) if retry_after is not None else 0.0
    except ValueError:  # a date
        asked = 0.0
    ours = FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1)
    return min(max(ours, asked), LONGEST_WAIT_SECONDS)


class CutOff(ValueError):
    """A stream of rows ended before its end."""


def rows_in(chunks: Iterable[bytes]) -> Iterator[Row]:
    """The rows of an answer `{"rows":[…]}`, one by one, while it arrives.

    Raises:
        CutOff: the answer ends in the middle; rows may have been yielded before.
        ValueError: it is something else.
    """
    text = _Text(chunks)
    text.skip('{"rows":[')
    if text.peek() == "]":
        return
    while True:
        yield text.value()
        mark = text.take()
        if mark == "]":
            return
        if mark != ",":
            raise ValueError(f"expected another row, and not {mark!r}")


_SCAN = json.JSONDecoder().raw_decode


class _Text:
    """A text that arrives in pieces, read from its front."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._pieces = codecs.iterdecode(iter(chunks), "utf-8")
        self._text = ""
        self._place = 0

    def skip(self, expected: str) -> None:
        """Skip these characters, and the blanks before and among them."""
        for character in expected:
            if (found := self.take()) != character:
                raise ValueError(f"expected {expected!r}, and found {found!r}")

    def peek(self) -> str:
        """The next character that is not blank."""
        while True:
            while self._place < len(self._text) and self._text[self._place].isspace():
                self._place += 1
            if self._place < len(self._text):
                return self._text[self._place]
            self._more(1)

    def take(self) -> str:
        found = self.peek()
        self._place += 1
        return found

    def value(self) -> Row:
        """The JSON object that follows. One that arrives in many pieces is scanned again only when it has doubled."""
        self.peek()
        while True:
            try:
                found, self._place = _SCAN(self._text, self._place)
            except ValueError:
                self._more(len(self._text) - self._place)
            else:
                row: Row = found
                return row

    def _more(self, characters: int) -> None:
        """Wait for at least so many more characters, unless the text ends before.

        Raises:
            CutOff: the text has ended.
        """
        pieces = [self._text[self._place :]]
        self._place = 0
        missing = characters
        for piece in self._pieces:
            pieces.append(piece)
            missing -= len(piece)
            if missing <= 0:
                break
        self._text = "".join(pieces)
        if len(pieces) == 1:
            raise CutOff("the answer ends in the middle")
