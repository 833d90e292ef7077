"""A machine as it was after an earlier entry of its history: from that, and from the machine as it is.

States are found backwards: what an entry entered is taken away, and what it exited comes back. Data is found forwards, from
the last entry that recorded it whole; that needs `History(record=True)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import UNSET

from durable_fsm.core.chart import ROOT, Chart
from durable_fsm.core.program import index_of
from durable_fsm.core.values import Json
from durable_fsm.restate.stored.recording import Known, data_after, recorded_members

Entry = Mapping[str, Any]  # Any: the members of an entry as it was stored
Charts = Callable[[str], Chart | None]


class Past(NamedTuple):
    """A machine after an entry.

    Attributes:
        version: of its chart then.
        active: all active states, in document order where the chart of that version is known; None if they cannot be found.
        leaves: the innermost of these.
        data: without redacted members; UNSET if it was not recorded.
        problem: why something is missing, as a sentence; empty if all is there.
    """

    version: str
    active: tuple[str, ...] | None
    leaves: tuple[str, ...] | None
    data: Known = UNSET
    problem: str = ""


NOT_RECORDED = "The data was not recorded: History(record=True) lets a machine keep it."
TOO_LONG = "The data is unknown from here on: a change, or all of it, was too long to be recorded."
GONE = "The entries that the data is computed from are no longer kept."
RENAMED = "States before a migration are known only if it was recorded: History(record=True)."
MISSING = "Older entries are no longer kept, so the states of this one are unknown."


def past(charts: Charts, version: str, leaves: Iterable[str], entries: Sequence[Entry], n: int) -> Past:
    """The machine after entry *n*.

    Args:
        charts: the chart of a version, if it is known.
        version: of the machine as it is now; *leaves* are its active ones.
        entries: those that are kept, in order, up to the latest one.
        n: a number among them.
    """
    was, active, problem = version, _active(charts(version), leaves), ""
    behind = [entry for entry in entries if entry["n"] > n]
    last = entries[-1]["n"] if entries else 0
    if [entry["n"] for entry in behind] != [*range(n + 1, last + 1)]:
        return Past(was, None, None, *data_at(entries, n))._replace(problem=MISSING)
    for entry in reversed(behind):
        for step in reversed(entry.get("steps", ())):
            active = (active - set(step.get("entered", ()))) | set(step.get("exited", ()))
        if entry["event"] != "migrated":
            continue
        note: Entry = entry.get("note") or {}
        source = str(note.get("from", was))
        if "was" in entry:
            active = _active(charts(source), entry["was"])
        elif source != was:
            return Past(source, None, None, *data_at(entries, n))._replace(problem=RENAMED)
        was = source
    chart = charts(was)
    data, problem = data_at(entries, n)
    return Past(was, _in_order(chart, active), _in_order(chart, _innermost(chart, active)), data, problem)


def _active(chart: Chart | None, leaves: Iterable[str]) -> set[str]:
    if chart is None:
        return set(leaves)
    index = index_of(chart)
    return {one for id in leaves for one in (id, *index.ancestors.get(id, ())) if one != ROOT}


def _innermost(chart: Chart | None, active: set[str]) -> set[str]:
    if chart is None:
        return active
    index = index_of(chart)
    return active - {one for id in active for one in index.ancestors.get(id, ())}


def _in_order(chart: Chart | None, ids: set[str]) -> tuple[str, ...]:
    order = {} if chart is None else index_of(chart).order
    return tuple(sorted(ids, key=lambda id: (order.get(id, len(order)), id)))


def data_at(entries: Sequence[Entry], n: int) -> tuple[Known, str]:
    """The data after entry *n*, without redacted members; or UNSET, and why it is not known."""
    known = [recorded_members(entry) for entry in entries if entry["n"] <= n]
    try:
        data = data_after(known)
    except ValueError:
        return UNSET, TOO_LONG
    if data is not UNSET:
        return data, ""
    if not known or known[-1].seed is UNSET:
        return UNSET, NOT_RECORDED
    recorded = [one for one in known if one.seed is not UNSET]
    is_cut = any(one.cut for one in recorded) or recorded[0].n == 1
    return UNSET, TOO_LONG if is_cut else GONE


def changed_by(entry: Entry) -> list[list[Json]]:
    """The changes of the data that an entry recorded; empty if it recorded none, or they were too long."""
    return entry.get("set", []) if "set" not in entry.get("cut", ()) else []
