"""The one place between what the server stores and what a page may show: nothing reaches a template around it.

Members that the chart redacts are removed from data, payloads and results, and their values from every text. If it is not
known what is to be redacted, no data and no text of a failure is shown at all. Ids of callbacks are never read: a
sender who knows one can answer it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from durable_fsm.console.facts import MachineFacts
from durable_fsm.console.reading import KnownChart
from durable_fsm.core.codec import plain
from durable_fsm.core.redact import REDACTED, without
from durable_fsm.core.values import Json

MOST_DATA = 64 * 1024
"""Characters of data on a page; the rest can be downloaded."""

MOST_ROWS = 1_000

INLINE = 56
"""A list or an object that is shorter is shown on one line."""

LONGEST_TEXT = 2_000


class Redactor:
    """Shows values and texts of one machine as far as the chart allows it.

    Attributes:
        why: why nothing is shown; empty if something is.
    """

    def __init__(self, known: KnownChart | None, facts: MachineFacts | None = None, *, hide_data: bool = False) -> None:
        redaction = None if known is None else known.redaction
        self.why = ""
        if hide_data:
            self.why = "This console shows no data (--no-data)."
        elif redaction is None:
            self.why = (
                "Data is not shown: it is unknown which of it is secret. A build of this chart does not carry it."
            )
        self._redaction = None if self.why else redaction
        self._secrets = [] if self._redaction is None or facts is None else self._redaction.texts(_values_of(facts))

    @property
    def is_open(self) -> bool:
        return self._redaction is not None

    def value(self, value: Json) -> Json:
        """A value without what is secret; None if nothing may be shown."""
        if self._redaction is None:
            return None
        return self._without(self._redaction.members(value))

    def at(self, path: str, value: Json) -> Json:
        """A value of the data that has a path of its own, such as `/customer/card`."""
        if self._redaction is None:
            return None
        if self._redaction.covers(path.replace("/", ".")):
            return REDACTED
        return self.value(value)

    def text(self, text: str) -> str:
        """A text for people, such as the message of a failure."""
        if self._redaction is None:
            return ""
        shown = without(text, self._secrets) if self._secrets else text
        return shown if len(shown) <= LONGEST_TEXT else f"{shown[:LONGEST_TEXT]}…"

    def _without(self, value: Json) -> Json:
        if not self._secrets:
            return value
        if isinstance(value, str):
            return without(value, self._secrets)
        if isinstance(value, list):
            return [self._without(item) for item in value]
        if isinstance(value, dict):
            return {name: self._without(member) for name, member in value.items()}
        return value


def _values_of(facts: MachineFacts) -> Iterable[Json]:
    """Every value of a machine that may hold a secret, which a text may quote."""
    stored = facts.stored
    if stored is None:
        return
    yield stored.data
    yield stored.output
    yield from (one.payload for one in stored.timers)
    yield from (one.payload for one in stored.deferred)
    yield from (one.result for one in stored.undo)
    yield from (one.result for one in facts.parked)
    yield from (plain(one.result) for one in stored.machines if one.ended)
    if stored.failure is not None:
        yield stored.failure.metadata


# ── data ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class DataRow:
    """A line of data: a member, or a list item; `text` is empty where its members follow."""

    depth: int
    name: str
    text: str
    kind: str
    path: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class ShownData:
    """The data of a machine as lines; `cut` if there is more than a page should hold."""

    rows: tuple[DataRow, ...]
    cut: bool
    octets: int


def data_of(value: Json, changed: Iterable[str] = ()) -> ShownData:
    """The lines of a value that `Redactor` has looked at; paths in *changed* are marked, with what is in them."""
    marks = tuple(changed)
    rows: list[DataRow] = []
    budget = MOST_DATA
    for row in _rows(value, 0, "", "", marks):
        budget -= len(row.text) + len(row.name)
        if budget < 0 or len(rows) >= MOST_ROWS:
            return ShownData(tuple(rows), cut=True, octets=len(compact(value)))
        rows.append(row)
    return ShownData(tuple(rows), cut=False, octets=len(compact(value)))


def compact(value: Json) -> str:
    """JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "), default=str)


def _rows(value: Json, depth: int, name: str, path: str, changed: tuple[str, ...]) -> Iterable[DataRow]:
    mark = any(path == one or path.startswith(f"{one}/") for one in changed)
    if isinstance(value, (dict, list)) and value:
        inside = _items(value)
        line = compact(value)
        if depth and len(line) <= INLINE:
            touched = mark or any(one.startswith(f"{path}/") for one in changed)
            yield DataRow(depth, name, line, "json", path, touched)
            return
        if depth:
            yield DataRow(depth, name, "", "open", path, mark)
        for member, item in inside:
            yield from _rows(item, depth + 1, member, f"{path}/{member}", changed)
    else:
        yield DataRow(max(depth, 1), name, _scalar(value), _kind(value), path, mark)


def _items(value: Any) -> list[tuple[str, Json]]:  # Any: an object or a list of JSON
    if isinstance(value, dict):
        return list(cast("dict[str, Json]", value).items())
    return [(str(place), item) for place, item in enumerate(value)]


def _scalar(value: Json) -> str:
    text = compact(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def _kind(value: Json) -> str:
    if value == REDACTED:
        return "redacted"
    if value is None or value == [] or value == {}:
        return "none"
    return "text" if isinstance(value, str) else "number"
