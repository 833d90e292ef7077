"""Where the machines of a plan were: by key, in a temporary file, so that memory does not grow with the fleet."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from types import TracebackType
from typing import NamedTuple, Self

from durable_fsm.plan.plan_file import PlannedMachine


class PlannedPlace(NamedTuple):
    """The life and the seq that a machine had."""

    life: str
    seq: int


class PlanIndex:
    """Finds machines of a plan by chart and key. A database without a name is a file that SQLite removes when it is closed."""

    def __init__(self, machines: Iterable[PlannedMachine]) -> None:
        self._places = sqlite3.connect("", isolation_level=None)
        self._places.execute("PRAGMA journal_mode = OFF")
        self._places.execute("CREATE TABLE places (chart, key, life, seq, PRIMARY KEY (chart, key)) WITHOUT ROWID")
        self._places.execute("BEGIN")
        self._places.executemany(
            "INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?)",
            ((one.chart, one.key, one.life, str(one.seq)) for one in machines),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._places.close()

    def __len__(self) -> int:
        return int(self._places.execute("SELECT count(*) FROM places").fetchone()[0])

    def place_of(self, chart: str, key: str) -> PlannedPlace | None:
        """Where a machine was; None if it was not there."""
        row = self._places.execute("SELECT life, seq FROM places WHERE chart = ? AND key = ?", (chart, key)).fetchone()
        return None if row is None else PlannedPlace(row[0], int(row[1]))
