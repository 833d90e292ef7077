"""Histories as the server stores them: the tail in the snapshot, and full pages in objects of their own.

A service answers the same by its handler `history`, one call for each page. Here one query reads all pages of some machines,
also while no service runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import UNSET

from durable_fsm.admin.client import Admin, literal
from durable_fsm.admin.conditions import texts
from durable_fsm.admin.past import EntryRecord
from durable_fsm.client.values import Entry
from durable_fsm.restate.fastjson import loads
from durable_fsm.restate.names import StateKey, history_name, page_key
from durable_fsm.restate.stored.history import StoredEntry, page_of, shown
from durable_fsm.restate.stored.snapshot import StoredRecord

KEYS = 200
"""Pages that one query names."""

PAGES = 100
"""Pages of one machine that are read at once: of the latest steps, or of those before the one that is looked at."""

PageReader = Callable[[list[str]], Mapping[str, list[EntryRecord]]]
"""Reads pages by their keys; one that is not kept, or cannot be read, is missing."""


def histories_of(
    admin: Admin, chart: str, machines: Mapping[str, StoredRecord], last: int
) -> dict[str, tuple[Entry, ...]]:
    """The last entries of the histories of these machines, oldest first, without the service; by key.

    Fewer than *last*, if there were no more, or if the chart does not keep them any longer. A page that is still on its
    way to its object is missing.
    """
    wanted = {
        page_key(key, stored.life, number): key
        for key, stored in machines.items()
        if stored.log is not None
        for number in _pages_with(stored, last)
    }
    entries: dict[str, dict[int, Entry]] = {key: {} for key in machines}
    for name, text in _pages_at(admin, chart, list(wanted)):
        with suppress(ValueError, TypeError, RecursionError):  # a page that is not ours is missing, too
            found = loads(text.encode())
            msgspec.convert(found, list[StoredEntry])
            _keep(entries[wanted[name]], found)
    for key, stored in machines.items():
        tail = stored.log.tail if stored.log is not None else ()
        _keep(entries[key], (loads(bytes(entry)) for entry in tail))
    return {key: tuple(found[n] for n in sorted(found)[-last:]) for key, found in entries.items()}


def _pages_with(stored: StoredRecord, last: int) -> Iterable[int]:
    """Numbers of the pages that have the last entries, as far as the tail does not have them."""
    log = stored.log
    assert log is not None
    first = max(1, log.entries - last + 1)
    return range(page_of(first), page_of(log.first - 1) + 1) if first < log.first else ()


def _pages_at(admin: Admin, chart: str, names: list[str]) -> Iterator[tuple[str, str]]:
    for begin in range(0, len(names), KEYS):
        rows = admin.query(
            f"SELECT service_key, value_utf8 FROM state WHERE service_name = {literal(history_name(chart))}"
            f" AND service_key IN {texts(names[begin : begin + KEYS])} AND key = '{StateKey.ENTRIES}' AND scope IS NULL"
        )
        yield from ((row["service_key"], row.get("value_utf8") or "") for row in rows)


# ── one machine, as its host has written the entries ──────────────────────────────────────────────────────────────────


def entries_of(pages: PageReader, key: str, stored: StoredRecord, n: int | None = None) -> list[EntryRecord]:
    """The entries of a machine, consecutive up to the latest, and back to the one that is looked at, if it is kept."""
    if stored.log is None:
        return []
    found = tail_of(stored)
    number = stored.log.pages + (0 if stored.log.sent is UNSET else 1)  # a part of the next page may have left
    while number > 0:
        keys = [page_key(key, stored.life, page) for page in range(max(1, number - PAGES + 1), number + 1)]
        read = pages(keys)
        for name in reversed(keys):
            if name not in read:
                return found  # it is not kept any more, or is still on its way
            found = [*read[name], *found]
        number -= len(keys)
        if n is None or (found and int(found[0]["n"]) <= n):
            break
    return found


def tail_of(stored: StoredRecord) -> list[EntryRecord]:
    """The latest entries, which the snapshot carries."""
    found: list[EntryRecord] = []
    for entry in () if stored.log is None else stored.log.tail:
        with suppress(ValueError, RecursionError, LookupError, TypeError):
            found.append(loads(bytes(entry)))
    return found


def pages_at(admin: Admin, chart: str, keys: list[str]) -> dict[str, list[EntryRecord]]:
    """Pages of the histories of a chart's machines, by key; one that is not kept, or cannot be read, is missing."""
    found: dict[str, list[EntryRecord]] = {}
    for name, text in _pages_at(admin, chart, keys):
        with suppress(ValueError, RecursionError):
            found[name] = loads(text.encode())
    return found


def _keep(entries: dict[int, Entry], records: Iterable[dict[str, Any]]) -> None:  # Any: an entry, as it was stored
    for record in records:
        entries[record["n"]] = Entry(record["n"], str(record.get("event", "")), shown(record))
