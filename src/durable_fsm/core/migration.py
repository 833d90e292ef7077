"""Migrations as authors write them: new names by old ones, and code that sees the machine as it was.

A migration is pure and moves nothing: no exit and no entry action runs. It only says what the states, activities and
events of the machine are called in the next version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from durable_fsm.core.calls import checked_type
from durable_fsm.core.values import Json, Location


@dataclass(slots=True)
class OldTimer:
    """An event that is still to come by itself. `state` is the one whose timer it is; None for what was sent later.

    `to` is the machine to which a message goes when it is due; its event is of that machine's chart, and is not renamed.
    """

    event: str
    state: str | None
    payload: Json
    token: str
    to: str | None = None


@dataclass(slots=True)
class OldActivity:
    """Work that is under way. `state` is None for work that no state waits for."""

    id: str
    state: str | None
    token: str


@dataclass(slots=True)
class OldEvent:
    """An event that was deferred."""

    event: str
    payload: Json
    token: str


@dataclass(slots=True)
class OldMachine:
    """A machine as an earlier version of its chart left it; a migration changes it in place.

    Attributes:
        version: the one from which this migration leads.
        status: `running`, `done` or `failed`; it stays.
        configuration: ids of the active leaves.
        data: plain JSON; what it is in the end must fit the chart's data type.
        history: what history states remember, by their ids.
        timers, activities, deferred: what is pending. Its members may be renamed, and removed: then it is cancelled,
            stopped or dropped. The chart itself begins what its active states declare and what is not there yet.
    """

    version: str
    status: str
    configuration: list[str]
    data: Any  # Any: plain JSON, for its author to take apart
    history: dict[str, list[str]]
    timers: list[OldTimer]
    activities: list[OldActivity]
    deferred: list[OldEvent]


@checked_type
@dataclass(frozen=True, slots=True)
class Migration:
    """The way from one version of a chart to another: names that have changed, and code for everything else.

    Attributes:
        states, activities, events: new names by old ones. Work that is called like its state is renamed with it.
        change: changes the machine in place, after the names.
    """

    source: str
    to: str
    states: Mapping[str, str] = field(default_factory=dict[str, str])
    activities: Mapping[str, str] = field(default_factory=dict[str, str])
    events: Mapping[str, str] = field(default_factory=dict[str, str])
    change: Callable[[OldMachine], object] | None = None
    location: Location | None = field(default=None, compare=False)


def path_from(version: str, to: str, migrations: Iterable[Migration]) -> tuple[Migration, ...] | None:
    """The migrations that lead from one version to another, in order; None if they do not."""
    if version == to:
        return ()
    by_source = {migration.source: migration for migration in migrations}
    path: list[Migration] = []
    while version != to:
        migration = by_source.pop(version, None)
        if migration is None:
            return None
        path.append(migration)
        version = migration.to
    return tuple(path)
