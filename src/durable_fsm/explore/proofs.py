"""The subject of a search: a chart with its domains, views and properties, as a proofs file or a caller names them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, cast

from durable_fsm.core.chart import Chart
from durable_fsm.explore.domains import BadProofs, Domain
from durable_fsm.explore.keys import View
from durable_fsm.explore.properties import Property
from durable_fsm.frontends import chart_from, reads


class Imported(NamedTuple):
    """A module and a name in it, `Order` or `Shop.Order`; without a module, the definition itself as Python."""

    module: str
    name: str


UNNAMED = Imported("", "")


@dataclass(frozen=True)
class Proofs:
    """A chart, and what is claimed of it.

    Attributes:
        target: as `durable-fsm simulate` takes the chart; empty if it has no name.
        imported: where a generated test finds the chart.
        module: the proofs file, as tests import it.
        clock: how far the clock may move before an event or an outcome, beside not at all; for charts that read it.
    """

    chart: Chart
    domains: Sequence[Domain] = ()
    properties: Sequence[Property] = ()
    view: View = field(default_factory=dict[str, Any])
    target: str = ""
    imported: Imported = UNNAMED
    module: str = ""
    clock: Sequence[timedelta] = ()


def proofs_in(module: ModuleType, path: Path) -> Proofs:
    """Read the members of a proofs file.

    Raises:
        BadProofs: One is missing, or of another kind.
        DefinitionError: Its chart cannot be read.
    """
    members = vars(module)
    definition: object = members.get("chart")
    if definition is None:
        raise BadProofs(f"'{path}' does not say which chart it is about. Write: chart = Order")
    if not reads(definition):
        raise BadProofs(f"'{path}': 'chart' must be a statechart, not {type(definition).__name__}.")
    domains = _all_of(members.get("domains", ()), Domain, path, "domains", "domain(…)")
    properties = _all_of(
        members.get("properties", ()), Property, path, "properties", "always(…), never(…) and the like"
    )
    names = [one.name for one in properties]
    for name in names:
        if names.count(name) > 1:
            raise BadProofs(f"'{path}': two properties are called '{name}'.")
    view: object = members.get("view", {})
    if not isinstance(view, Mapping) or not all(callable(look) for look in cast("View", view).values()):
        raise BadProofs(f"'{path}': 'view' must map members of the data to functions, like {{'items': len}}.")
    clock: object = members.get("clock", ())
    is_list = isinstance(clock, list | tuple)
    if not is_list or not all(isinstance(one, timedelta) for one in cast("Sequence[object]", clock)):
        raise BadProofs(f"'{path}': 'clock' must be a list of timedelta(…): how far the clock may move.")
    dotted = module_name(path)
    chart = chart_from(definition)
    return Proofs(
        chart,
        domains,
        properties,
        cast("View", view),
        target=f"{path}:chart",
        imported=Imported(dotted, "chart"),
        module=dotted,
        clock=checked_clock(chart, cast("Sequence[timedelta]", clock)),
    )


def checked_clock(chart: Chart, clock: Sequence[timedelta]) -> Sequence[timedelta]:
    """The lengths by which the clock may move.

    Raises:
        BadProofs: One is negative, or the chart does not read the clock.
    """
    if any(one < timedelta(0) for one in clock):
        raise BadProofs("clock: the clock cannot go back. Name lengths of 0 or more.")
    if any(clock) and not chart.reads_clock:
        raise BadProofs(f"clock: {chart.name} does not read the clock, so nothing depends on it. Leave it out.")
    return clock


def _all_of(found: object, kind: type[Any], path: Path, name: str, words: str) -> list[Any]:  # Any: one of two kinds
    if not isinstance(found, list | tuple):
        raise BadProofs(f"'{path}': '{name}' must be a list of {words}, not {type(found).__name__}.")
    for place, one in enumerate(cast("Sequence[object]", found)):
        if not isinstance(one, kind):
            raise BadProofs(f"'{path}': {name}[{place}] must be made by {words}, not {type(one).__name__}.")
    return list(cast("Sequence[Any]", found))


def proofs_of(chart: Chart, target: str) -> Proofs:
    """A chart without a proofs file: only what must hold of every chart is looked at."""
    place, _, name = target.rpartition(":")
    if not place:
        return Proofs(chart, target=target, imported=Imported("", json.dumps(target)))
    dotted = module_name(Path(place)) if place.endswith(".py") else place
    return Proofs(chart, target=target, imported=Imported(dotted, name))


def module_name(path: Path) -> str:
    """The name under which a file is imported from the current directory."""
    absolute = path.absolute()
    inside = absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else Path(path.name)
    return ".".join(inside.with_suffix("").parts)
