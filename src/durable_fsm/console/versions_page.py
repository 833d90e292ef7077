"""The page of two versions of a chart: both diagrams, and the differences between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from durable_fsm.admin.fleet import Counts
from durable_fsm.console.describing import Describer
from durable_fsm.console.formatting import number
from durable_fsm.console.pictures import heat_of, lit, picture
from durable_fsm.console.reading import DeployedChart, KnownChart
from durable_fsm.console.rendering import PageFrame, render
from durable_fsm.core.chart import ROOT, Chart
from durable_fsm.plan.plan_file import PlannedKind, PlanVerdict, SavedPlan

ADDED, REMOVED, CHANGED = "v-new", "v-old", "v-changed"
VERDICTS = (
    PlanVerdict.UNREADABLE,
    PlanVerdict.BLOCKED,
    PlanVerdict.STRANDED,
    PlanVerdict.CHANGES,
    PlanVerdict.HELD,
    PlanVerdict.MOVES,
    PlanVerdict.STAYS,
    PlanVerdict.OVER,
)
"""The verdicts of a plan, the gravest first."""

CLASSES = {
    **dict.fromkeys((PlanVerdict.UNREADABLE, PlanVerdict.BLOCKED, PlanVerdict.STRANDED), REMOVED),
    **dict.fromkeys((PlanVerdict.CHANGES, PlanVerdict.HELD), CHANGED),
    PlanVerdict.MOVES: ADDED,
}

WORDS = {ADDED: "added", REMOVED: "removed", CHANGED: "changed"}


@dataclass(frozen=True)
class VersionsScene:
    """All that the page of two versions shows; *plan* is what a build that is not deployed yet would do, if it was planned."""

    frame: PageFrame
    known: KnownChart
    counts: Counts
    old: DeployedChart | None
    new: DeployedChart | None
    plan: SavedPlan | None = None


@dataclass(frozen=True, slots=True)
class DifferenceLine:
    """A state or a transition that the two versions do not share."""

    what: str
    id: str
    name: str
    change: str
    machines: int | None


def builds_of(known: KnownChart) -> list[DeployedChart]:
    """The builds that differ, the latest first: of deployments with the same chart only the latest."""
    found: dict[str, DeployedChart] = {}
    for one in known.deployments:
        if one.chart is not None:
            found.setdefault(one.chart.digest, one)
    return list(found.values())


def chosen(known: KnownChart, old: str, new: str) -> tuple[DeployedChart | None, DeployedChart | None]:
    """The builds that an address names by version or deployment; else the latest two."""
    builds = builds_of(known)

    def named(name: str) -> DeployedChart | None:
        return next((one for one in builds if one.chart is not None and name in (one.id, one.chart.version)), None)

    after = named(new) or (builds[0] if builds else None)
    before = named(old) or next((one for one in builds if one is not after), None)
    return before, after


def states_between(old: Chart, new: Chart) -> tuple[dict[str, str], dict[str, str]]:
    """The change of each state that is not the same, in the old and in the new chart."""
    before, after = dict(old.states), dict(new.states)
    gone = {id: REMOVED for id in before if id not in after}
    come = {id: ADDED for id in after if id not in before}
    other = {id: CHANGED for id in before if id in after and id != ROOT and _inside(before[id]) != _inside(after[id])}
    return gone | other, come | other


def _inside(state: Any) -> tuple[object, ...]:  # Any: a state
    """The parts of a state itself: its children have their own lines."""
    return (
        state.kind,
        state.parent,
        state.entry,
        state.exit,
        state.activities,
        state.timers,
        state.done,
        state.tags,
        state.machines,
        state.defers,
        state.ignores,
    )


def edges_between(old: Chart, new: Chart) -> tuple[dict[str, str], dict[str, str]]:
    """The change of each transition that is not the same, in the old and in the new chart."""
    before = {edge.key: edge for edge in old.transitions}
    after = {edge.key: edge for edge in new.transitions}
    gone = {key: REMOVED for key in before if key not in after}
    come = {key: ADDED for key in after if key not in before}
    other = {key: CHANGED for key in before if key in after and before[key] != after[key]}
    return gone | other, come | other


def versions_page(scene: VersionsScene) -> str:
    old = None if scene.old is None else scene.old.chart
    new = None if scene.new is None else scene.new.chart
    values: dict[str, Any] = {"lines": [], "old_drawing": None, "new_drawing": None}
    population = {} if old is None else _population(scene, old)
    if old is not None and new is not None:
        states, edges = states_between(old, new), edges_between(old, new)
        hottest = max(population.values(), default=0)
        badges = {
            id: (number(many), heat_of(many, hottest))
            for id, many in population.items()
            if id in old.states and old.states[id].kind.is_leaf
        }
        if scene.plan is not None:
            states = (colours_of(verdicts_of(scene), old.version), states[1])
        before, after = picture(old, prefix="old-"), picture(new, prefix="new-")
        values["old_drawing"] = before and lit(before, states=states[0], transitions=edges[0], badges=badges)
        values["new_drawing"] = after and lit(after, states=states[1], transitions=edges[1])
        values["lines"] = lines_of(old, new, population)
    elif new is not None and (alone := picture(new, prefix="new-")) is not None:
        values["new_drawing"] = lit(alone)
    return render(
        "versions.html",
        scene.frame,
        here="charts",
        scene=scene,
        known=scene.known,
        old=scene.old,
        new=scene.new,
        builds=builds_of(scene.known),
        by_version=scene.counts.by_version,
        moved=sum(
            many for version, many in scene.counts.by_version.items() if old is not None and version == old.version
        ),
        plan=scene.plan,
        verdicts=verdicts_of(scene),
        **values,
    )


def verdicts_of(scene: VersionsScene) -> list[PlannedKind]:
    """The verdicts of the plan on machines of this chart, those that need you first."""
    kinds = () if scene.plan is None else scene.plan.kinds
    found = [one for one in kinds if one.chart == scene.known.name]
    return sorted(found, key=lambda one: (not one.needs_you, VERDICTS.index(one.verdict), -one.machines))


def colours_of(verdicts: Sequence[PlannedKind], version: str) -> dict[str, str]:
    """The class of each state in which machines of a version are, by the gravest verdict on any of them."""
    found: dict[str, str] = {}
    for one in sorted(verdicts, key=lambda one: VERDICTS.index(one.verdict), reverse=True):
        if one.version == version:
            found |= dict.fromkeys(one.states, CLASSES.get(one.verdict, ""))
    return found


def _population(scene: VersionsScene, old: Chart) -> dict[str, int]:
    groups = tuple(group for group in scene.counts.groups if group.version == old.version)
    return dict(Counts(scene.counts.chart, groups, 0, scene.counts.as_of).population(old))


def lines_of(old: Chart, new: Chart, population: Mapping[str, int]) -> list[DifferenceLine]:
    """The differences as rows: what machines lose first, then what changes, then what is new."""
    describer_old, describer_new = Describer(old), Describer(new)
    (gone, come), (lost, won) = states_between(old, new), edges_between(old, new)
    found = [
        DifferenceLine("state", id, describer_old.path(id), WORDS[change], population.get(id, 0))
        for id, change in gone.items()
    ]
    found += [
        DifferenceLine("transition", key, _edge_words(old, key, describer_old), WORDS[change], None)
        for key, change in lost.items()
    ]
    found += [
        DifferenceLine("state", id, describer_new.path(id), WORDS[change], None)
        for id, change in come.items()
        if change == ADDED
    ]
    found += [
        DifferenceLine("transition", key, _edge_words(new, key, describer_new), WORDS[change], None)
        for key, change in won.items()
        if change == ADDED
    ]
    order = {"removed": 0, "changed": 1, "added": 2}
    return sorted(found, key=lambda line: (order[line.change], line.what))


def _edge_words(chart: Chart, key: str, describer: Describer) -> str:
    edge = next(edge for edge in chart.transitions if edge.key == key)
    event = ", ".join(describer.event_name(name) for name in edge.events) or "always"
    return f"{edge.source} → {', '.join(edge.targets) or 'stays'}: {event}"
