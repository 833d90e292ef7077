"""One machine under a build, step by step: as it is stored, each migration, the turn that settles it, and the verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator

from durable_fsm.core.chart import Chart
from durable_fsm.core.migration import Migration, path_from
from durable_fsm.core.redact import without
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.upgrade import upgrade
from durable_fsm.diagram.words import duration
from durable_fsm.errors import DurableFSMError
from durable_fsm.plan.judging import Judge
from durable_fsm.plan.plan_file import PlanVerdict

MEANINGS_OF_ONE = {
    PlanVerdict.OVER: "has ended, and nothing is done with it",
    PlanVerdict.STAYS: "continues unchanged",
    PlanVerdict.MOVES: "migrates",
    PlanVerdict.CHANGES: "continues, and will do something else",
    PlanVerdict.BLOCKED: "cannot continue: events would be answered 500, timers and outcomes parked",
    PlanVerdict.STRANDED: "would continue, and could never end",
    PlanVerdict.HELD: "is held by exclusive work, and follows when that ends",
    PlanVerdict.UNREADABLE: "cannot be read, by this program either",
}


def explained(judge: Judge, key: str, machine: Snapshot) -> Iterator[str]:
    """The lines about one machine. Values of redacted members are left out."""
    chart = judge.chart
    yield f"{chart.name}/{key}: stored by version {machine.version}, {machine.status}, after {machine.seq} steps"
    yield from _shown(chart, machine)
    served = chart.of(machine.version)
    path = path_from(machine.version, chart.version, chart.hosting.migrations)
    if served is not chart:
        yield f"1. continues under its own version, which the build keeps: {served.version}"
    for number, migration in enumerate(path or (), 1):
        yield f"{number}. {_migration(migration)}"
    secrets = chart.redaction.texts([machine.data, *(kept.payload for kept in machine.deferred)])
    try:
        found = upgrade(chart, machine)
        if found.machine is not machine:
            yield "then it is:"
            yield from _shown(found.chart, found.machine)
    except DurableFSMError as error:
        yield f"it stops there: {without(error.what, secrets)}"
    fate = judge.fate(machine)
    yield f"verdict: {fate.verdict}: it {MEANINGS_OF_ONE[fate.verdict]}"
    yield from (f"  {words}" for words in fate.words)
    if fate.becomes and fate.becomes != fate.states:
        yield f"  it will be in {', '.join(fate.becomes)}"


def _migration(migration: Migration) -> str:
    renames = [
        f"{old} → {new}"
        for names in (migration.states, migration.activities, migration.events)
        for old, new in names.items()
    ]
    place = f" ({migration.location})" if migration.location is not None else ""
    name = getattr(migration.change, "__name__", "a function") if migration.change is not None else ""
    parts = [*renames, *([f"{name} changes it"] if name else [])]
    return f"migration {migration.source} → {migration.to}{place}: {', '.join(parts) or 'no names change'}"


def _shown(chart: Chart, machine: Snapshot) -> Iterator[str]:
    facts = {
        "states": ", ".join(machine.configuration),
        "data": json.dumps(chart.redaction.members(machine.data), ensure_ascii=False, sort_keys=True),
        "timers": ", ".join(f"{one.event} ({duration(one.after)})" for one in machine.timers if one.activity is None),
        "work": ", ".join(f"{one.id} (failed)" if one.failed else one.id for one in machine.activities),
        "machines": ", ".join(one.id for one in machine.machines),
        "deferred": ", ".join(one.event for one in machine.deferred),
        "can be undone": ", ".join(one.id for one in machine.undo),
        "remembers": ", ".join(f"{id}: {' '.join(states)}" for id, states in machine.history.items()),
    }
    yield from (f"   {name:<14}{value}" for name, value in facts.items() if value)
