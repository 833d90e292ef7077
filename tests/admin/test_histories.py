"""Histories from the server's tables, without a service."""

from __future__ import annotations

import json
from typing import Any

import pytest

from durable_fsm.admin.histories import histories_of
from durable_fsm.restate.names import page_key
from durable_fsm.restate.stored.snapshot import StoredRecord, read_record


def entry(n: int) -> dict[str, Any]:
    return {"n": n, "seq": n, "at": n, "event": f"event {n}"}


class _Tables:
    """A server that has pages of one machine."""

    def __init__(self, *pages: range) -> None:
        self.pages = {page_key("o-1", "abc", number): [*map(entry, page)] for number, page in enumerate(pages, 1)}
        self.asked: list[str] = []

    def query(self, sql: str) -> list[dict[str, Any]]:
        self.asked += (key for key in self.pages if f"'{key}'" in sql)
        return [
            {"service_key": key, "value_utf8": json.dumps(self.pages[key])} for key in self.pages if key in self.asked
        ]


def machine(tail: range, **log: int) -> StoredRecord:
    found = {
        "format": 1, "chart": "Order", "version": "1", "digest": "d" * 12, "life": "abc", "seq": 33, "status": "running",
        "configuration": ["open"], "data": {}, "log": {"tail": [*map(entry, tail)], "entries": tail[-1], **log},
    }  # fmt: skip
    return read_record("Order", json.dumps(found).encode())


@pytest.mark.parametrize(("last", "pages"), [(3, []), (5, [2]), (13, [2]), (14, [1, 2]), (100, [1, 2])])
def test_a_page_of_which_only_a_part_has_left_is_read_too(last: int, pages: list[int]) -> None:
    tables = _Tables(range(1, 21), range(21, 31))
    stored = machine(range(31, 34), pages=1, sent=10)

    found = histories_of(tables, "Order", {"o-1": stored}, last)["o-1"]  # type: ignore[arg-type]

    assert [one.n for one in found] == [*range(max(1, 34 - last), 34)]
    assert tables.asked == [page_key("o-1", "abc", page) for page in pages]
