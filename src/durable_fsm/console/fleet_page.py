"""The page of a fleet: one diagram, with numbers of all machines of a chart on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256

from markupsafe import Markup

from durable_fsm.admin.fleet import Counts, Group
from durable_fsm.console.coverage import CoverageReport, covered_by
from durable_fsm.console.describing import Describer
from durable_fsm.console.formatting import ago, number
from durable_fsm.console.machine_page import Neighbour, script_json
from durable_fsm.console.pictures import Drawn, heat_of, lit, picture
from durable_fsm.console.reading import KnownChart
from durable_fsm.console.rendering import PageFrame, render
from durable_fsm.console.traffic import FleetTraffic
from durable_fsm.core.chart import ROOT

OVERLAYS = {
    "population": "Population",
    "dwell": "Time in state",
    "taken": "Taken",
    "never": "Never taken",
    "coverage": "Covered by tests",
}

WINDOWS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "30d": timedelta(days=30)}

USES_TRAFFIC = ("dwell", "taken", "never")


@dataclass(frozen=True)
class FleetScene:
    """All that the page of a fleet shows.

    Attributes:
        overlay: the numbers on the diagram, of `OVERLAYS`.
        window: the time that `dwell`, `taken` and `never` are about, of `WINDOWS`.
        state: the state that is selected; `machines` are some of those in it.
        version: only machines of this version; empty for all.
        traffic: how machines moved; None if it was not asked for.
        coverage: what tests and explorations took.
    """

    frame: PageFrame
    known: KnownChart
    counts: Counts
    overlay: str = "population"
    window: str = "24h"
    state: str = ""
    version: str = ""
    machines: tuple[Neighbour, ...] = ()
    traffic: FleetTraffic | None = None
    coverage: tuple[CoverageReport, ...] = ()
    print: str = ""

    @property
    def covered(self) -> frozenset[str] | None:
        """Keys of the transitions that tests took; None if there is no report about them."""
        return covered_by(self.known.chart, self.coverage)


@dataclass(frozen=True, slots=True)
class StateLine:
    """A row of the table: a state and its numbers; times are in milliseconds."""

    id: str
    name: str
    depth: int
    count: int
    share: float
    median: int | None = None
    longest: int | None = None
    p50: int | None = None
    p95: int | None = None


@dataclass(frozen=True, slots=True)
class EdgeLine:
    """A row of the table about transitions."""

    key: str
    source: str
    event: str
    target: str
    many: int
    ever: int
    covered: bool = False


@dataclass
class _Waits:
    """How long machines have been where they are."""

    longest: dict[str, float] = field(default_factory=dict[str, float])
    medians: dict[str, list[tuple[float, int]]] = field(default_factory=dict[str, "list[tuple[float, int]]"])


def fleet_page(scene: FleetScene) -> str:
    """The whole page."""
    return render("fleet.html", scene.frame, here="charts", **_values(scene))


def fleet_panels(scene: FleetScene) -> str:
    """The parts of the page that change."""
    values = _values(scene)
    return "\n".join(
        render(name, scene.frame, here="charts", **values) for name in ("fleet_picture.html", "fleet_side.html")
    )


def fleet_print(counts: Counts) -> str:
    """Changes with any number of a fleet."""
    shown = [(group.configuration, group.status, group.version, group.machines) for group in counts.groups]
    return sha256(repr((shown, counts.ended)).encode()).hexdigest()[:12]


def _values(scene: FleetScene) -> dict[str, object]:
    chart, url = scene.known.chart, scene.frame.url
    population = population_of(scene)
    lines, edges = state_lines(scene, population), edge_lines(scene)
    drawn = picture(chart)
    query = {"overlay": scene.overlay, "window": scene.window, "state": scene.state, "version": scene.version}
    place = f"/chart/{scene.known.name}"

    def here_url(**more: object) -> str:
        wanted = {**query, **more}
        if wanted["overlay"] == "population":
            wanted.pop("overlay")
        if wanted.get("overlay") not in USES_TRAFFIC:
            wanted.pop("window")
        return url(place, **wanted)

    total = sum(group.machines for group in groups_of(scene))
    status = Counter[str]()
    for group in groups_of(scene):
        status[group.status] += group.machines
    offered = {name: words for name, words in OVERLAYS.items() if name != "coverage" or scene.coverage}
    reports = scene.coverage if scene.overlay == "coverage" else ()
    return {
        "scene": scene,
        "known": scene.known,
        "chart": chart,
        "drawing": None if drawn is None else overlaid(scene, drawn, population),
        "no_drawing": scene.known.problem or "no layout program is installed: pip install 'durable-fsm[diagrams]'",
        "lines": lines,
        "edges": edges,
        "total": total,
        "status": status,
        "versions": scene.counts.by_version,
        "overlays": offered,
        "reports": [(one.file, chart is not None and one.is_old(chart)) for one in reports],
        "tested": sum(line.covered for line in edges),
        "windows": WINDOWS,
        "uses_window": scene.overlay in USES_TRAFFIC,
        "here_url": here_url,
        "bars": [] if scene.traffic is None else scene.traffic.bars,
        "selected": scene.state,
        "selected_count": population.get(scene.state, 0),
        "describer": Describer(chart),
        "places": script_json({line.id: here_url(state=line.id) for line in lines}),
        "panel": url("/panel/fleet", chart=scene.known.name, **query),
        "live": url("/live", chart=scene.known.name, print=scene.print),
    }


def groups_of(scene: FleetScene) -> tuple[Group, ...]:
    return tuple(group for group in scene.counts.groups if scene.version in ("", group.version))


def population_of(scene: FleetScene) -> Counter[str]:
    """How many machines are in each state, also in those that contain others."""
    return Counts(scene.counts.chart, groups_of(scene), 0, scene.counts.as_of).population(scene.known.chart)


def state_lines(scene: FleetScene, population: Mapping[str, int]) -> list[StateLine]:
    """A row for each state in which machines are, the fullest first; with how long they have been there."""
    waits = _waits_of(scene)
    chart = scene.known.chart
    ids = list(population) if chart is None else [id for id in chart.states if id in population]
    ids = [id for id in ids if chart is None or chart.states[id].kind.is_leaf]
    ids += [id for id in population if chart is not None and id not in chart.states]
    describer, most = Describer(chart), max(population.values(), default=0)
    found: list[StateLine] = []
    for id in sorted(ids, key=lambda id: -population[id]):
        dwell = None if scene.traffic is None else scene.traffic.dwell(id)
        found.append(
            StateLine(
                id,
                describer.name(id),
                0,
                population[id],
                round(100 * population[id] / most, 1) if most else 0,
                _middle(waits.medians.get(id, [])),
                None if id not in waits.longest else int(waits.longest[id]),
                None if dwell is None else dwell[0],
                None if dwell is None else dwell[1],
            )
        )
    return found


def _waits_of(scene: FleetScene) -> _Waits:
    found = _Waits()
    now = scene.frame.as_of
    for group in groups_of(scene):
        for leaf in group.configuration:
            if group.oldest is not None:
                waited = now - group.oldest.timestamp() * 1_000
                found.longest[leaf] = max(found.longest.get(leaf, 0), waited)
            if group.median is not None:
                found.medians.setdefault(leaf, []).append((now - group.median.timestamp() * 1_000, group.machines))
    return found


def _middle(parts: list[tuple[float, int]]) -> int | None:
    """The median of several groups, from the median of each: exact for one group."""
    half, so_far = sum(many for _, many in parts) / 2, 0
    for waited, many in sorted(parts):
        so_far += many
        if so_far >= half:
            return int(waited)
    return None


def edge_lines(scene: FleetScene) -> list[EdgeLine]:
    """A row for each transition that the overlay is about."""
    chart, traffic = scene.known.chart, scene.traffic
    if chart is None or scene.overlay in ("population", "dwell"):
        return []
    describer, covered = Describer(chart), scene.covered or frozenset()
    found: list[EdgeLine] = []
    for edge in chart.transitions:
        if edge.source == ROOT and not edge.events:
            continue
        event = ", ".join(describer.event_name(name) for name in edge.events) or "always"
        many, ever = (0, 0) if traffic is None else (traffic.taken[edge.key], traffic.ever[edge.key])
        targets = ", ".join(edge.targets) or "stays"
        found.append(EdgeLine(edge.key, edge.source, event, targets, many, ever, edge.key in covered))
    if scene.overlay == "never":
        found = [line for line in found if not line.many]
    if scene.overlay == "coverage":
        return sorted(found, key=lambda line: line.covered)
    return sorted(found, key=lambda line: -line.many)


def overlaid(scene: FleetScene, drawn: Drawn, population: Mapping[str, int]) -> Markup:
    """The diagram with the numbers of the overlay."""
    if scene.overlay == "dwell" and scene.traffic is not None:
        dwell = {id: scene.traffic.dwell(id) for id in drawn.states}
        known = {id: found for id, found in dwell.items() if found is not None}
        hottest = max((found[0] for found in known.values()), default=0)
        badges = {id: (f"{ago(found[0])} · {ago(found[1])}", heat_of(found[0], hottest)) for id, found in known.items()}
        return lit(drawn, states=_chosen(scene, badges), badges=badges)
    if scene.overlay in ("taken", "never") and scene.traffic is not None:
        traffic = scene.traffic
        hottest = max(traffic.taken.values(), default=0)
        edges = {key: f"heat-{heat_of(traffic.taken[key], hottest)}" for key in drawn.keys if traffic.taken[key]}
        cold = {key: "cold" for key in drawn.keys if not traffic.taken[key]}
        wanted = (
            cold | dict.fromkeys(edges, "faint") if scene.overlay == "never" else edges | dict.fromkeys(cold, "faint")
        )
        return lit(drawn, states=_chosen(scene, {}), transitions=wanted)
    covered = scene.covered
    if scene.overlay == "coverage" and covered is not None:
        return lit(drawn, transitions={key: "v-new" if key in covered else "cold" for key in drawn.keys})
    hottest = max((population[id] for id in drawn.states if id in population), default=0)
    leaves = {id for id in drawn.states if scene.known.chart is None or _is_leaf(scene, id)}
    badges = {id: (number(population[id]), heat_of(population[id], hottest)) for id in leaves if population.get(id)}
    return lit(drawn, states=_chosen(scene, badges), badges=badges)


def _is_leaf(scene: FleetScene, id: str) -> bool:
    chart = scene.known.chart
    return chart is not None and id in chart.states and chart.states[id].kind.is_leaf


def _chosen(scene: FleetScene, badges: Mapping[str, tuple[str, int]]) -> dict[str, str]:
    found = {id: f"heat-{heat}" for id, (_, heat) in badges.items()}
    if scene.state:
        found[scene.state] = f"{found.get(scene.state, '')} chosen".strip()
    return found
