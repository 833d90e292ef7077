"""The history of a machine: its latest entries in the snapshot, the *tail*, and full pages in objects of their own.

Every event loads and writes the snapshot, so the tail must stay short: as soon as it is longer than a page, `spill` sends
the page to an object of its own. A reader never misses a page that is still on its way, because Restate keeps the order of
messages between two keys: the reader's call comes after the page.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, TypeAlias, cast

import msgspec
import restate
from restate import ObjectContext, ObjectSharedContext

from durable_fsm.core.chart import Chart, History
from durable_fsm.core.codec import rounded_up
from durable_fsm.core.effects import Microstep, Outcome
from durable_fsm.core.events import Failure
from durable_fsm.core.turn import Taken
from durable_fsm.core.values import Json
from durable_fsm.errors import DurableFSMError, SnapshotUnreadable
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.http.errors import said
from durable_fsm.restate.http.requests import FOR_EVER, HistoryRequest
from durable_fsm.restate.names import StateKey, history_name
from durable_fsm.restate.observability.places import place_behind
from durable_fsm.restate.observability.redaction import cleaned
from durable_fsm.restate.registration import BYTES, register

PAGE = 20
"""Entries of a page."""

MOST = 1_000
"""Most entries of one answer."""

LONGEST_MESSAGE = 1_000
"""How many characters of a failure's message an entry quotes."""

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
    if taken.failure is not None:
        entry["failure"] = cleaned(_failure_of(taken.failure))
    if taken.note and (note := cleaned(taken.note)):
        entry["note"] = note
    return entry


def _error_of(error: DurableFSMError) -> dict[str, Json]:
    record: dict[str, Json] = {"type": type(error).__name__, "message": said(error.what)}
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
    """An entry for readers: with the outcome `taken`, and with the event in every step that has one."""
    full: dict[str, Any] = {"outcome": TAKEN, **entry}
    if "steps" in full:
        steps = [{"event": entry["event"], **step} for step in full["steps"]]
        full["steps"] = [{name: value for name, value in step.items() if value is not None} for step in steps]
    return full


class FullPage(NamedTuple):
    """A page that has left the tail."""

    number: int
    entries: tuple[msgspec.Raw, ...]


class HistoryTail(msgspec.Struct, frozen=True):
    """The part of a history that the snapshot carries.

    Attributes:
        tail: the entries since the last full page, as texts: only a reader decodes them.
        pages: number of full pages that have left.
        entries: number of all entries there ever were.
    """

    tail: tuple[msgspec.Raw, ...] = ()
    pages: int = 0
    entries: int = 0

    def __post_init__(self) -> None:
        if self.pages < 0 or self.entries != self.pages * PAGE + len(self.tail):
            raise ValueError("the history lacks entries that its numbers count")

    def with_entries(self, taken: list[Taken], at: int) -> tuple[HistoryTail, list[FullPage]]:
        """Add an entry for each event that was taken; return the pages that are full now, too."""
        entries = [entry_of(one, self.entries + place, at) for place, one in enumerate(taken, 1)]
        tail = (*self.tail, *(msgspec.Raw(dumps(cast("Json", entry))) for entry in entries))
        full: list[FullPage] = []
        while len(tail) > PAGE:
            full.append(FullPage(self.pages + len(full) + 1, tail[:PAGE]))
            tail = tail[PAGE:]
        return HistoryTail(tail, self.pages + len(full), self.entries + len(entries)), full

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
        return max(1, (self.pages - _pages(history.entries)) * PAGE + 1)


def _pages(entries: int) -> int:
    """How many pages hold so many entries."""
    return -(-entries // PAGE)


def _page_of(entry: int) -> int:
    """The page that an entry belongs to, by their numbers."""
    return (entry - 1) // PAGE + 1


# ── the pages ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class HistoryPages:
    """The object that keeps the pages of a chart's machines, one page for each key; see `page_key`."""

    def __init__(self, chart: Chart, history: History) -> None:
        self.chart = chart
        self.name = history_name(chart.name)
        self.history = history

    def service(self) -> restate.VirtualObject:
        service = restate.VirtualObject(
            self.name,
            description=f"Pages of the history of {self.chart.name}'s machines.",
            ingress_private=True,
            invocation_retry_policy=FOR_EVER,
        )
        for handler in (self.put, self.get, self.drop):
            register(service, handler.__name__, handler, chart=self.chart, retried=True)
        return service

    async def put(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Keep a page, for as long as the chart says."""
        ctx.set(StateKey.ENTRIES, body, serde=BYTES)
        if self.history.age is not None:
            delay = rounded_up(self.history.age)
            ctx.generic_send(self.name, "drop", b"{}", key=ctx.key(), send_delay=delay)
        return b""

    async def get(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Answer with the entries of a page; none if it is not kept."""
        # This handler is exclusive so that it runs after a `put` that is still on its way.
        page: bytes | None = await ctx.get(StateKey.ENTRIES, serde=BYTES)
        return page or b"[]"

    async def drop(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Forget a page; with `{"to": number}` also all pages before it, down to that one."""
        ctx.clear(StateKey.ENTRIES)
        to = loads(body).get("to")
        stem, _, number = ctx.key().rpartition("~")
        if to is not None and int(number) > to:
            ctx.generic_send(self.name, "drop", body, key=f"{stem}~{int(number) - 1}")
        return b""


def page_key(key: str, life: str, number: int) -> str:
    return f"{key}~{life}~{number}"


def spill(ctx: ObjectContext, chart: Chart, life: str, pages: list[FullPage]) -> None:
    """Send full pages to their objects, and have the oldest forgotten if there are more than the chart keeps."""
    history = chart.hosting.history
    assert history is not None
    for page in pages:
        body = b"[%b]" % b",".join(map(bytes, page.entries))
        ctx.generic_send(history_name(chart.name), "put", body, key=page_key(ctx.key(), life, page.number))
        if history.entries is not None and (gone := page.number - _pages(history.entries)) > 0:
            ctx.generic_send(history_name(chart.name), "drop", b"{}", key=page_key(ctx.key(), life, gone))


def forget(ctx: ObjectContext, chart: Chart, life: str, tail: HistoryTail) -> None:
    """Have all pages of a machine forgotten."""
    history = chart.hosting.history
    if history is not None and tail.pages:
        to = _page_of(tail.first_kept(history))
        ctx.generic_send(history_name(chart.name), "drop", dumps({"to": to}), key=page_key(ctx.key(), life, tail.pages))


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def entries_of(
    ctx: ObjectSharedContext, chart: Chart, life: str, tail: HistoryTail, request: HistoryRequest
) -> dict[str, Json]:
    """The answer to a reader: the entries in order, the number of the first that may be kept, and where to continue."""
    first = tail.first_kept(chart.hosting.history)
    if isinstance(request.last, int):
        limit = min(request.last, MOST)
        after = max(tail.entries - limit, 0)
    else:
        limit = min(request.limit, MOST) if isinstance(request.limit, int) else 100
        after = request.after if isinstance(request.after, int) else 0
    begin = max(after + 1, first)
    end = min(begin + limit - 1, tail.entries)
    texts: list[bytes] = []
    if begin < tail.first and begin <= end:
        pages = range(_page_of(begin), _page_of(min(end, tail.first - 1)) + 1)
        keys = [page_key(ctx.key(), life, page) for page in pages]
        calls = [ctx.generic_call(history_name(chart.name), "get", b"", key=key) for key in keys]
        await restate.gather(*calls)
        texts = [await call for call in calls]
    try:
        entries: list[dict[str, Json]] = [entry for text in texts for entry in loads(text)]
        entries += (loads(bytes(entry)) for entry in tail.tail)
        msgspec.convert(entries, list[StoredEntry])
    except (ValueError, TypeError, RecursionError) as error:
        raise SnapshotUnreadable(chart=chart.name, problem=f"its history: {error}.") from error
    return {
        "entries": [shown(entry) for entry in entries if begin <= cast("int", entry["n"]) <= end],
        "first": first,
        "last": tail.entries,
        "next": end if begin <= end < tail.entries else None,
    }
