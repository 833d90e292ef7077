"""The entries of a history, and its tail: the latest of them, which the snapshot carries. `restate.history` has the rest.

A page has twenty entries. If entries are long, because they are recorded (see `recording`), a page leaves in parts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple, TypeAlias, cast

import msgspec
from msgspec import UNSET, UnsetType

from durable_fsm.core.effects import Microstep, Outcome
from durable_fsm.core.events import Failure
from durable_fsm.core.retention import History
from durable_fsm.core.turn import Taken
from durable_fsm.core.values import Json
from durable_fsm.errors import ActionError, DurableFSMError
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.observability.places import place_behind
from durable_fsm.restate.observability.redaction import cleaned
from durable_fsm.restate.observability.texts import said

PAGE = 20
"""Entries of a page."""

LONGEST_PART = 8 * 1024
"""Bytes of recorded entries after which they leave the snapshot, although their page is not full yet."""

LONGEST_MESSAGE = 1_000
"""How many characters of a failure's message an entry quotes."""

MOST_ERRORS = 5
"""How many exceptions of callbacks an entry lists: a loop may raise many."""

TAKEN = Outcome.TAKEN.value


Instant: TypeAlias = Annotated[int, msgspec.Meta(ge=-62_135_596_800_000, le=253_402_300_799_999)]
"""Milliseconds since 1970, of the years 1 to 9999."""


class StoredEntry(msgspec.Struct):
    """The members of every entry; an earlier build wrote the time as a text."""

    n: int
    seq: int
    at: Instant | str
    event: str
    outcome: str = ""
    steps: list[dict[str, Any]] = []


def entry_of(taken: Taken, number: int, at: int) -> dict[str, Json]:
    """The entry of one event. Every snapshot carries entries, so they leave out what is empty, and what `shown` can add."""
    entry: dict[str, Json] = {"n": number, "seq": taken.seq, "at": at, "event": taken.event}
    if taken.outcome != TAKEN:
        entry["outcome"] = taken.outcome
    if taken.trace:
        entry["steps"] = [_step_of(microstep, taken.event) for microstep in taken.trace]
    if taken.error is not None:
        entry["error"] = _error_of(taken.error)
    if taken.caught:
        entry["errors"] = [_caught_of(error) for error in taken.caught[:MOST_ERRORS]]
    if taken.failure is not None:
        entry["failure"] = cleaned(_failure_of(taken.failure))
    if taken.note and (note := cleaned(taken.note)):
        entry["note"] = note
    return entry


def _error_of(error: DurableFSMError) -> dict[str, Json]:
    record: dict[str, Json] = {"type": type(error).__name__, "message": said(error.what)}
    return {**record, "place": place} if (place := place_behind(error)) else record


def _caught_of(error: ActionError) -> dict[str, Json]:
    record: dict[str, Json] = {"callback": error.callback, "problem": said(error.problem)}
    return {**record, "place": place} if (place := place_behind(error)) else record


def _failure_of(failure: Failure) -> dict[str, Json]:
    record: dict[str, Json] = {"type": failure.type, "message": said(failure.message[:LONGEST_MESSAGE])}
    if failure.place:
        record["place"] = failure.place
    if failure.attempts:
        record["attempts"] = failure.attempts
    return record


def _step_of(microstep: Microstep, event: str) -> Json:
    record: dict[str, Json] = {}
    if microstep.event != event:
        record["event"] = microstep.event
    for name in ("exited", "transitions", "entered", "raised"):
        if ids := getattr(microstep, name):
            record[name] = list(ids)
    return record


def shown(entry: Any) -> dict[str, Json]:  # Any: as it was stored
    """An entry for readers: with the outcome `taken`, and with the event in every step that has one.

    Without its seed: that is the id of an invocation, by which its answer can be read.
    """
    full: dict[str, Any] = {"outcome": TAKEN, **entry}
    full.pop("seed", None)
    if "steps" in full:
        steps = [{"event": entry["event"], **step} for step in full["steps"]]
        full["steps"] = [{name: value for name, value in step.items() if value is not None} for step in steps]
    return full


class FullPage(NamedTuple):
    """A page that has left the tail, or a part of one: whether it *begins* the page, and whether it *ends* it."""

    number: int
    entries: tuple[msgspec.Raw, ...]
    begins: bool = True
    ends: bool = True


class HistoryTail(msgspec.Struct, frozen=True):
    """The part of a history that the snapshot carries.

    Attributes:
        tail: the entries since the last full page, as texts: only a reader decodes them.
        pages: number of full pages that have left.
        entries: number of all entries there ever were.
        sent: number of entries of the next page that have left already.
    """

    tail: tuple[msgspec.Raw, ...] = ()
    pages: int = 0
    entries: int = 0
    sent: int | UnsetType = UNSET

    def __post_init__(self) -> None:
        sent = 0 if self.sent is UNSET else self.sent
        if self.pages < 0 or self.entries != self.pages * PAGE + sent + len(self.tail):
            raise ValueError("the history lacks entries that its numbers count")

    def with_entries(self, taken: list[Taken], at: int) -> tuple[HistoryTail, list[FullPage]]:
        """Add an entry for each event that was processed; return the pages that are full now, too."""
        entries = [entry_of(one, self.entries + place, at) for place, one in enumerate(taken, 1)]
        texts = [msgspec.Raw(dumps(cast("Json", entry))) for entry in entries]
        if self.sent is not UNSET:
            return self.with_texts(texts)
        tail = (*self.tail, *texts)
        full: list[FullPage] = []
        while len(tail) > PAGE:
            full.append(FullPage(self.pages + len(full) + 1, tail[:PAGE]))
            tail = tail[PAGE:]
        return HistoryTail(tail, self.pages + len(full), self.entries + len(entries)), full

    def with_texts(self, texts: Iterable[msgspec.Raw]) -> tuple[HistoryTail, list[FullPage]]:
        """Add entries to a page of which a part may have left."""
        log, full = self, list[FullPage]()
        for text in texts:
            if log.fills_page:
                log, page = log.without_tail()
                full.append(page)
            log = HistoryTail((*log.tail, text), log.pages, log.entries + 1, log.sent)
        return log, full

    @property
    def fills_page(self) -> bool:
        """Whether the next entry begins a new page."""
        return len(self.tail) + (0 if self.sent is UNSET else self.sent) == PAGE

    def without_tail(self) -> tuple[HistoryTail, FullPage]:
        """Let the tail leave, as the end of its page or as a part of it."""
        sent = 0 if self.sent is UNSET else self.sent
        page = FullPage(self.pages + 1, self.tail, begins=sent == 0, ends=self.fills_page)
        if page.ends:
            return HistoryTail((), self.pages + 1, self.entries), page
        return HistoryTail((), self.pages, self.entries, sent + len(self.tail)), page

    @property
    def first(self) -> int:
        """Number of the first entry of the tail."""
        return self.entries - len(self.tail) + 1

    def first_kept(self, history: History | None) -> int:
        """Number of the first entry that is kept, as far as the chart limits their number."""
        if history is None:
            return self.first
        if history.entries is None:
            return 1
        return max(1, (self.pages - pages_of(history.entries)) * PAGE + 1)


def pages_of(entries: int) -> int:
    """How many pages hold so many entries."""
    return -(-entries // PAGE)


def page_of(entry: int) -> int:
    """The page that an entry belongs to, by their numbers."""
    return (entry - 1) // PAGE + 1
