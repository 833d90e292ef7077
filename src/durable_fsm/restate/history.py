"""The history of a machine: its latest entries in the snapshot, the *tail*, and full pages in objects of their own.

Every event loads and writes the snapshot, so the tail must stay short: as soon as it is longer than a page, `spill` sends
the page to an object of its own. A reader never misses a page that is still on its way, because Restate keeps the order of
messages between two keys: the reader's call comes after the page.
"""

from __future__ import annotations

from typing import cast

import msgspec
import restate
from msgspec import UNSET
from restate import ObjectContext, ObjectSharedContext

from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import rounded_up
from durable_fsm.core.retention import History
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.turn import Taken
from durable_fsm.core.values import Json
from durable_fsm.errors import SnapshotUnreadable
from durable_fsm.restate.fastjson import WireRecord, dumps, loads
from durable_fsm.restate.http.requests import FOR_EVER, HistoryRequest
from durable_fsm.restate.names import StateKey, history_name, page_key
from durable_fsm.restate.observability.redaction import current
from durable_fsm.restate.observability.report import sender
from durable_fsm.restate.registration import BYTES, register
from durable_fsm.restate.stored.history import FullPage, HistoryTail, StoredEntry, page_of, pages_of, shown
from durable_fsm.restate.stored.recording import Recorder

MOST = 1_000
"""Most entries of one answer."""

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
        for handler in (self.put, self.add, self.get, self.drop):
            register(service, handler.__name__, handler, chart=self.chart, retried=True)
        return service

    async def put(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Keep a page, for as long as the chart says."""
        ctx.set(StateKey.ENTRIES, body, serde=BYTES)
        if self.history.age is not None:
            delay = rounded_up(self.history.age)
            ctx.generic_send(self.name, "drop", b"{}", key=ctx.key(), send_delay=delay)
        return b""

    async def add(self, ctx: ObjectContext, body: bytes) -> bytes:
        """Keep a part of a page behind those that came before: `{"entries": […], "ends": true}`."""
        part = PagePart.decode(body)
        kept: bytes | None = await ctx.get(StateKey.ENTRIES, serde=BYTES)
        entries = [*msgspec.json.decode(kept or b"[]", type=list[msgspec.Raw]), *part.entries]
        ctx.set(StateKey.ENTRIES, msgspec.json.encode(entries), serde=BYTES)
        if part.ends and self.history.age is not None:
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


class PagePart(WireRecord, frozen=True):
    """A part of a page, and whether the page is full with it."""

    entries: tuple[msgspec.Raw, ...]
    ends: bool = False


def recorded(
    ctx: ObjectContext, log: HistoryTail, before: Snapshot | None, taken: list[Taken], at: int
) -> tuple[HistoryTail, list[FullPage]]:
    """Add recorded entries to a history, see `stored.recording`; return the pages that leave it, too."""
    data = UNSET if before is None else before.data
    return Recorder(log, data, by=sender(), seed=ctx.request().id, seen=current()).with_entries(taken, at)


def spill(ctx: ObjectContext, chart: Chart, life: str, pages: list[FullPage]) -> None:
    """Send full pages to their objects, and have the oldest forgotten if there are more than the chart keeps."""
    history = chart.hosting.history
    assert history is not None
    for page in pages:
        key = page_key(ctx.key(), life, page.number)
        if page.begins and page.ends:
            body = b"[%b]" % b",".join(map(bytes, page.entries))
            ctx.generic_send(history_name(chart.name), "put", body, key=key)
        else:
            ctx.generic_send(history_name(chart.name), "add", PagePart(page.entries, page.ends).encode(), key=key)
        if page.ends and history.entries is not None and (gone := page.number - pages_of(history.entries)) > 0:
            ctx.generic_send(history_name(chart.name), "drop", b"{}", key=page_key(ctx.key(), life, gone))


def forget(ctx: ObjectContext, chart: Chart, life: str, tail: HistoryTail) -> None:
    """Have all pages of a machine forgotten."""
    history = chart.hosting.history
    last = tail.pages if tail.sent is UNSET else tail.pages + 1
    if history is not None and last:
        to = page_of(tail.first_kept(history))
        ctx.generic_send(history_name(chart.name), "drop", dumps({"to": to}), key=page_key(ctx.key(), life, last))


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
        pages = range(page_of(begin), page_of(min(end, tail.first - 1)) + 1)
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
