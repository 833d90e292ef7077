"""The past of a machine, from its history: pure, and without the author's code.

The history has no configurations; it has what each microstep left and entered. So the configuration before an entry follows
from the one after it, from the present backwards:

    before = (after − entered) ∪ exited           for each microstep, the last one first

A chart that was changed in between may have renamed states: the names are those of their time. Data is found forwards, from
the last entry that recorded it whole; that needs `History(record=True)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from msgspec import UNSET

from durable_fsm.core.chart import Chart
from durable_fsm.core.program import index_of
from durable_fsm.core.values import Json
from durable_fsm.restate.stored.recording import Known, data_after, recorded_members

EntryRecord = dict[str, Any]  # Any: JSON of an entry, as `restate.stored.history` shows it

Charts = Callable[[str], Chart | None]


def no_chart(version: str) -> Chart | None:
    """No chart is known, of whatever version."""
    return None


OF_THE_HOST = frozenset({"create", "migrated", "repair", "delete", "reconciled"})
"""Events of entries that the host made; no sender has sent them as events."""


class MomentKind(StrEnum):
    """The kind of event that brought a machine forward."""

    EVENT = "event"
    TIMER = "after"
    DONE = "done"
    ERROR = "error"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class PastMoment:
    """One entry of a history, with the configurations around it.

    Attributes:
        at: milliseconds since 1970; None if the entry says none.
        before, after: ids of the active states; with an unknown chart, as far as the history names them.
        version: of the chart after it; empty if it is unknown.
        taken: keys of the transitions, in order.
        record: the entry itself, of which nothing is redacted yet beyond what the host redacted.
    """

    n: int
    seq: int
    at: int | None
    event: str
    kind: MomentKind
    before: frozenset[str]
    after: frozenset[str]
    exited: tuple[str, ...]
    entered: tuple[str, ...]
    taken: tuple[str, ...]
    version: str
    record: EntryRecord

    @property
    def failed(self) -> bool:
        """Whether something went wrong in it: an outcome that is an error, a refused event, a callback that raised."""
        return self.kind is MomentKind.ERROR or any(name in self.record for name in ("failure", "error", "errors"))

    @property
    def moved(self) -> bool:
        return bool(self.exited or self.entered)


def past_of(
    entries: Sequence[EntryRecord], leaves: Iterable[str], chart: Chart | None, charts: Charts = no_chart
) -> tuple[PastMoment, ...]:
    """The moments of consecutive entries, of which the last led to these leaves.

    Args:
        charts: the chart of a version, to find states before a migration.
    """
    now, version = _with_ancestors(chart, leaves), "" if chart is None else chart.version
    timers = _timers_of(chart)
    found: list[PastMoment] = []
    for entry in reversed(entries):
        after, until = frozenset(now), version
        steps = _steps(entry)
        for step in reversed(steps):
            now -= set(_names(step, "entered"))
            now |= set(_names(step, "exited"))
        if entry.get("event") == "migrated":
            now = _before_migration(entry, now, charts)
            note: EntryRecord = entry.get("note") or {}
            version = str(note.get("from", version))
        found.append(
            PastMoment(
                n=int(entry["n"]),
                seq=int(entry.get("seq", 0)),
                at=milliseconds_of(entry.get("at")),
                event=str(entry.get("event", "")),
                kind=kind_of(str(entry.get("event", "")), timers),
                before=frozenset(now),
                after=after,
                exited=tuple(name for step in steps for name in _names(step, "exited")),
                entered=tuple(name for step in steps for name in _names(step, "entered")),
                taken=tuple(name for step in steps for name in _names(step, "transitions")),
                version=until,
                record=entry,
            )
        )
    return tuple(reversed(found))


def _before_migration(entry: EntryRecord, now: set[str], charts: Charts) -> set[str]:
    """The states before a migration, which may have renamed them; none if that was not recorded."""
    note: EntryRecord = entry.get("note") or {}
    source = str(note.get("from", ""))
    if "was" in entry:
        return _with_ancestors(charts(source), _names(entry, "was"))
    return now if source == note.get("to") else set()


def _with_ancestors(chart: Chart | None, leaves: Iterable[str]) -> set[str]:
    found = set(leaves)
    if chart is None:
        return found
    return index_of(chart).with_ancestors([leaf for leaf in found if leaf in chart.states]) | found


def kind_of(event: str, timers: frozenset[str] = frozenset()) -> MomentKind:
    """The kind of an event by its name; *timers* are the events of timers."""
    if event in timers:
        return MomentKind.TIMER
    if event.startswith("done."):
        return MomentKind.DONE
    if event.startswith("error."):
        return MomentKind.ERROR
    return MomentKind.HOST if event in OF_THE_HOST else MomentKind.EVENT


def milliseconds_of(at: object) -> int | None:
    """The time of an entry; an earlier build wrote it as a text."""
    if isinstance(at, str):
        try:
            return int(datetime.fromisoformat(at).timestamp() * 1_000)
        except (ValueError, OverflowError):
            return None
    return at if isinstance(at, int) else None


def leaves_in(chart: Chart | None, active: Iterable[str]) -> tuple[str, ...]:
    """The innermost of some active states, in document order."""
    if chart is None:
        return tuple(active)
    index = index_of(chart)
    known = [id for id in active if id in chart.states]
    parents = {chart.states[id].parent for id in known}
    found = [id for id in index.in_order(known) if id not in parents or chart.states[id].kind.is_leaf]
    return (*found, *sorted(id for id in active if id not in chart.states))


def _timers_of(chart: Chart | None) -> frozenset[str]:
    states = () if chart is None else chart.states.values()
    return frozenset(timer.event for state in states for timer in state.timers)


def _steps(entry: EntryRecord) -> list[EntryRecord]:
    return [step for step in entry.get("steps", ()) if isinstance(step, dict)]


def _names(step: EntryRecord, name: str) -> list[str]:
    found = step.get(name)
    return list(map(str, found)) if isinstance(found, list) else []  # pyright: ignore[reportUnknownArgumentType]


# ── one entry, with its data ──────────────────────────────────────────────────────────────────────────────────────────


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


def past(charts: Charts, version: str, leaves: Iterable[str], entries: Sequence[EntryRecord], n: int) -> Past:
    """The machine after entry *n*.

    Args:
        charts: the chart of a version, if it is known.
        version: of the machine as it is now; *leaves* are its active ones.
        entries: those that are kept, in order, up to the latest one.
        n: a number among them.
    """
    data, problem = data_at(entries, n)
    last = entries[-1]["n"] if entries else 0
    kept = [entry for entry in entries if entry["n"] >= n]
    if [entry["n"] for entry in kept] != [*range(n, last + 1)]:
        return Past(version, None, None, data, MISSING)
    found = past_of(kept, leaves, charts(version), charts)[0]
    was = found.version or version
    if not found.after and leaves:
        return Past(was, None, None, data, RENAMED)
    chart = charts(was)
    order = {} if chart is None else index_of(chart).order
    active = tuple(sorted(found.after, key=lambda id: (order.get(id, len(order)), id)))
    return Past(was, active, leaves_in(chart, active), data, problem)


def data_at(entries: Sequence[EntryRecord], n: int) -> tuple[Known, str]:
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


def changed_by(entry: EntryRecord) -> list[list[Json]]:
    """The changes of the data that an entry recorded; empty if it recorded none, or they were too long."""
    return entry.get("set", []) if "set" not in entry.get("cut", ()) else []
