"""All machines of a chart at a glance: how many are where, one page of them, or a few that someone looks at.

The server counts and filters. Every answer says when it was read and how long that took; a caller that shows an answer
for longer shows its age with it.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from durable_fsm.admin.client import Admin
from durable_fsm.admin.histories import histories_of
from durable_fsm.admin.inventory import (
    CHANGED,
    CONFIGURATION,
    STATUS,
    UNREADABLE,
    VERSION,
    Filter,
    MachineRow,
    machines_at,
    machines_of,
    snapshots_of,
)
from durable_fsm.admin.readings import AsOf, Row, Stopwatch
from durable_fsm.client.values import Entry
from durable_fsm.core.chart import Chart
from durable_fsm.core.durations import instant_of
from durable_fsm.core.program import index_of

PAGE = 50


@dataclass(frozen=True, slots=True)
class Group:
    """The machines that have the same active leaves, status and version.

    Attributes:
        oldest, median: when the one that did nothing for the longest time last changed, and the one in the middle; None if
            an earlier build wrote all of them.
    """

    configuration: tuple[str, ...]
    status: str
    version: str
    machines: int
    oldest: datetime | None = None
    median: datetime | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many machines of a chart are where; `ended` ones have left nothing but their keys."""

    chart: str
    groups: tuple[Group, ...]
    ended: int
    as_of: AsOf

    @property
    def machines(self) -> int:
        return sum(group.machines for group in self.groups)

    @property
    def by_status(self) -> Counter[str]:
        return _sums((group.status, group.machines) for group in self.groups)

    @property
    def by_version(self) -> Counter[str]:
        return _sums((group.version, group.machines) for group in self.groups)

    def population(self, definition: Chart | None = None) -> Counter[str]:
        """How many machines are in each state; with the chart, also in each state that contains others.

        Machines that have ended count in the final state that they reached, as long as their snapshot is kept.
        """
        return _sums((id, group.machines) for group in self.groups for id in _active(group, definition))


def _sums(parts: Iterable[tuple[str, int]]) -> Counter[str]:
    found = Counter[str]()
    for name, many in parts:
        found[name] += many
    return found


def _active(group: Group, definition: Chart | None) -> Collection[str]:
    if definition is None:
        return group.configuration
    known = tuple(leaf for leaf in group.configuration if leaf in definition.states)
    return {*group.configuration, *index_of(definition).with_ancestors(known)}


def counts_of(admin: Admin, chart: str) -> Counts:
    """Count the machines of a chart by configuration, status and version, in one scan of the server."""
    watch = Stopwatch()
    rows = admin.query(
        f"SELECT {CONFIGURATION} AS leaves, {STATUS} AS status, {VERSION} AS version,"
        f" json_get_bool(value_utf8, 'gone') AS gone, count(*) AS machines, min({CHANGED}) AS oldest,"
        f" approx_percentile_cont({CHANGED}, 0.5) AS median"
        f" FROM state WHERE {snapshots_of(chart)} GROUP BY 1, 2, 3, 4"
    )
    ended = sum(int(row["machines"]) for row in rows if row.get("gone"))
    groups = sorted(
        (_group_of(row) for row in rows if not row.get("gone")),
        key=lambda group: (-group.machines, group.configuration, group.status, group.version),
    )
    return Counts(chart, tuple(groups), ended, watch.read())


def _group_of(row: Row) -> Group:
    return Group(
        configuration=_leaves_of(row.get("leaves")),
        status=str(row.get("status") or UNREADABLE),
        version=str(row.get("version") or ""),
        machines=int(row["machines"]),
        oldest=_instant(row.get("oldest")),
        median=_instant(row.get("median")),
    )


def _leaves_of(text: str | None) -> tuple[str, ...]:
    """The leaves of a group; none if they are not what we have written."""
    try:
        leaves = json.loads(text or "[]")
    except ValueError:
        return ()
    return tuple(str(leaf) for leaf in cast("list[object]", leaves)) if isinstance(leaves, list) else ()


def _instant(at: float | None) -> datetime | None:
    return None if at is None else instant_of(int(at))


# ── pages ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Page:
    """Some machines in the order of their keys; there are more after the key `next`, if that is not None."""

    machines: tuple[MachineRow, ...]
    next: str | None
    as_of: AsOf


def page_of(
    admin: Admin,
    chart: str,
    wanted: Filter | None = None,
    definition: Chart | None = None,
    *,
    prefix: str = "",
    after: str = "",
    size: int = PAGE,
) -> Page:
    """One page of the machines that a filter admits, after a key."""
    watch = Stopwatch()
    found: list[MachineRow] = []
    for machine in machines_of(admin, chart, wanted, definition, prefix=prefix, after=after, batch=size + 1):
        if len(found) == size:
            return Page(tuple(found), found[-1].key, watch.read())
        found.append(machine)
    return Page(tuple(found), None, watch.read())


def similar_keys(admin: Admin, chart: str, key: str) -> list[str]:
    """Keys of machines that are spelt much like this one, among those that begin like it."""
    found = page_of(admin, chart, prefix=key[: len(key) // 2], size=10 * PAGE)
    return difflib.get_close_matches(key, [row.key for row in found.machines], n=3, cutoff=0.7)


# ── a few machines ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Points:
    """Some machines by key, without those that do not exist; with their histories, if these were asked for."""

    machines: Mapping[str, MachineRow]
    histories: Mapping[str, tuple[Entry, ...]]
    as_of: AsOf


def points_at(
    admin: Admin, chart: str, keys: Collection[str], definition: Chart | None = None, *, last: int = 0
) -> Points:
    """Some machines, and the *last* entries of their histories, by point reads: nothing else that is stored is read.

    Some 50 keys at once cost about as much as one.
    """
    watch = Stopwatch()
    machines = machines_at(admin, chart, keys, definition)
    stored = {key: machine.stored for key, machine in machines.items() if machine.stored is not None}
    histories = histories_of(admin, chart, stored, last) if last else {}
    return Points(machines, histories, watch.read())
