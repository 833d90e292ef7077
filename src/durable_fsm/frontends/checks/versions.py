"""Migrations and kept versions of a chart: how authors declare them, and whether they fit together."""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from durable_fsm.core.chart import ROOT, Chart
from durable_fsm.core.migration import Migration, OldMachine, path_from
from durable_fsm.core.program import index_of
from durable_fsm.core.values import Location
from durable_fsm.errors import quoted
from durable_fsm.frontends.arguments import FoundProblem
from durable_fsm.frontends.checks.purity import REMEDIES, faults


def migration(
    source: str,
    change: Callable[[OldMachine], object] | None = None,
    *,
    to: str,
    states: Mapping[str, str] | None = None,
    activities: Mapping[str, str] | None = None,
    events: Mapping[str, str] | None = None,
) -> Migration:
    """Say how a machine of one version becomes one of another: `migration("1", to="2", states={"charging": "paying"})`.

    Args:
        source: the version it leads from.
        change: a plain function that changes the old machine in place, after the names. It may run more than once, and
            must not look at anything but the machine.
        to: the version it leads to; from there another migration may lead on.
        states: new names of states by old ones. Work that is called like its state is renamed with it.
        activities: new ids of activities by old ones.
        events: new names of events by old ones, for timers and deferred events.
    """
    author = sys._getframe(1)  # pyright: ignore[reportPrivateUsage] - where it is written, for messages
    place = Location(author.f_code.co_filename, author.f_lineno)
    return Migration(source, to, dict(states or {}), dict(activities or {}), dict(events or {}), change, place)


def kept_for(name: str, charts: Iterable[Chart]) -> tuple[Chart, ...]:
    """The charts to keep, and those that they keep, under the name *name*."""
    return tuple(replace(one, name=name, kept=()) for chart in charts for one in chart.served)


def problems_in(chart: Chart) -> Iterator[FoundProblem]:
    """Every problem of the versions and migrations of a chart."""
    kept = Counter(one.version for one in chart.served)
    for version, count in kept.items():
        if count > 1:
            what = f"version '{version}' is declared {count} times."
            yield what, "Give each chart in versions= a different version, also different from that of the chart.", None
    sources = Counter(migration.source for migration in chart.hosting.migrations)
    for migration in chart.hosting.migrations:
        place, way = migration.location, f"the migration from '{migration.source}' to '{migration.to}'"
        if sources[migration.source] > 1:
            yield f"{sources[migration.source]} migrations lead from version '{migration.source}'.", "Keep one.", place
        if migration.source == chart.version:
            yield f"{way} leads away from the chart's own version.", "Give the chart a new version.", place
        elif migration.source in kept:
            yield f"{way} is for a version that versions= keeps.", "Keep it, or migrate it.", place
        elif path_from(migration.source, chart.version, chart.hosting.migrations) is None:
            what = f"{way} does not lead to version '{chart.version}'."
            yield what, f"Add migrations from '{migration.to}'.", place
        else:
            yield from _unknown_in(chart, migration)
        yield from _unfit(migration)


def _unknown_in(chart: Chart, migration: Migration) -> Iterator[FoundProblem]:
    """New names that the chart does not have. If code follows, they are not checked: it may rename them again."""
    later = (path_from(migration.source, chart.version, chart.hosting.migrations) or ())[1:]
    if any(one.change is not None for one in later):
        return
    works = {*chart.activities}
    for kind, names, known in (
        ("states", migration.states, {id for id in chart.states if id != ROOT}),
        ("activities", migration.activities, works),
        ("events", migration.events, None),
    ):
        for name in names.values():
            end = name
            for one in later:
                end = getattr(one, kind).get(end, end)
            if known is None and not index_of(chart).knows(end):
                yield _unknown(migration, kind, name, sorted(chart.events))
            elif known is not None and end not in known:
                yield _unknown(migration, kind, name, [id for id in chart.states if id in known] or sorted(known))


def _unknown(migration: Migration, kind: str, name: str, known: Iterable[str]) -> FoundProblem:
    what = f"the migration from '{migration.source}' maps one of the {kind} to '{name}', which the chart does not have."
    there = quoted(known)
    return what, f"There is {there}." if there else f"The chart has no {kind}.", migration.location


def _unfit(migration: Migration) -> Iterator[FoundProblem]:
    """Problems of the migration's function that can be seen without running it."""
    change = migration.change
    if change is None:
        return
    name = getattr(change, "__name__", repr(change))
    if inspect.iscoroutinefunction(change):
        yield f"migration {name} is a coroutine.", "Make it a plain function of the old machine.", migration.location
    for fault, call in faults(change):
        yield f"migration {name} {fault}: {call}.", REMEDIES[fault], migration.location
