"""Histories as the server stores them: the tail in the snapshot, and full pages in objects of their own.

A service answers the same by its handler `history`, one call for each page. Here one query reads all pages of some machines,
also while no service runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from durable_fsm.admin.client import Admin, literal
from durable_fsm.admin.conditions import texts
from durable_fsm.client.values import Entry
from durable_fsm.restate.fastjson import loads
from durable_fsm.restate.names import StateKey, history_name, page_key
from durable_fsm.restate.stored.history import StoredEntry, page_of, shown
from durable_fsm.restate.stored.snapshot import StoredRecord

KEYS = 200
"""Pages that one query names."""


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


def _keep(entries: dict[int, Entry], records: Iterable[dict[str, Any]]) -> None:  # Any: an entry, as it was stored
    for record in records:
        entries[record["n"]] = Entry(record["n"], str(record.get("event", "")), shown(record))
