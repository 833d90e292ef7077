"""The pages of machines, charts and troubles: tables of values in, HTML out."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from markupsafe import Markup

from durable_fsm.admin.fleet import Counts
from durable_fsm.admin.inventory import Filter, MachineRow
from durable_fsm.admin.problems import Diagnosis
from durable_fsm.console.fleet_reading import pip_of
from durable_fsm.console.formatting import ms_of
from durable_fsm.console.pictures import lit, picture
from durable_fsm.console.reading import KnownChart
from durable_fsm.console.rendering import ADMIN, PageFrame, command_without_address, render, without_addresses
from durable_fsm.console.traffic import FleetTraffic
from durable_fsm.core.chart import ROOT
from durable_fsm.core.durations import duration_of
from durable_fsm.core.snapshot import Status

FLAGS = ("parked", "stuck", "failing")

NOT_A_FILTER = ("chart", "chosen", "key", "event", "migrate", "run")
"""Members of queries about many machines that are not filters."""

SHOWN_OF_A_KIND = 50

KINDS = {
    "failed": "Failed",
    "unreadable": "Cannot be read",
    "stuck": "Stuck",
    "parked": "Parked deliveries",
    "letters": "Messages that wait",
    "overdue": "Overdue timers",
    "failing": "Failing activities",
    "paused": "Paused",
    "crashing": "Crashing",
    "backing-off": "Tried again",
    "silent": "Deployments that do not answer",
    "handlers": "Handlers",
    "webhook": "Webhooks",
    "threads": "Threads",
    "pinned": "Older deployments in use",
    "kept": "Older deployments to keep",
    "stale": "Older deployments to remove",
}
"""Kinds of troubles in the order of their weight, with their headings."""

GENTLE = frozenset({"pinned", "kept", "stale"})
"""Kinds that can wait until the morning."""


# ── machines ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class ListQuery:
    """The filters in the address of a list of machines; `problem` says which of them cannot be used."""

    wanted: Filter = field(default_factory=Filter)
    prefix: str = ""
    after: str = ""
    problem: str = ""
    raw: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, query: Mapping[str, str]) -> ListQuery:
        raw = {name: query[name] for name in query if query[name] and name not in NOT_A_FILTER}
        problem, older = "", None
        if raw.get("older"):
            try:
                older = duration_of(raw["older"])
            except ValueError as error:
                problem = str(error)
        status = raw.get("status")
        if status is not None and status not in {str(one) for one in Status}:
            problem, status = f"There is no status '{status}'.", None
        name, equals, value = raw.get("where", "").partition("=")
        if raw.get("where") and not (name and equals and value):
            problem = f"'{raw['where']}' is not a condition. Write an indexed field and its value: customer=ann."
        wanted = Filter(
            state=raw.get("state"),
            status=status,
            version=raw.get("version"),
            older_than=older,
            parked="parked" in raw,
            stuck="stuck" in raw,
            failing="failing" in raw,
            fields={name: value} if name and equals and value else {},
        )
        return cls(wanted, raw.get("prefix", ""), raw.get("after", ""), problem, raw)


@dataclass(frozen=True)
class MachinesScene:
    """All that a list of machines shows."""

    frame: PageFrame
    known: KnownChart
    query: ListQuery
    machines: Sequence[MachineRow]
    next: str | None = None
    counts: Counts | None = None


def machines_page(scene: MachinesScene) -> str:
    chart, raw = scene.known.chart, dict(scene.query.raw)
    raw.pop("after", None)
    place = f"/chart/{scene.known.name}/machines"

    def here_url(**more: object) -> str:
        return scene.frame.url(place, **{**raw, **more})

    population = Counter[str]() if scene.counts is None else scene.counts.population(chart)
    top = sorted(population.items(), key=lambda one: (-one[1], one[0]))
    return render(
        "machines.html",
        scene.frame,
        here="charts",
        known=scene.known,
        query=scene.query,
        raw=raw,
        rows=[(row, pip_of(row), _leaves(row, chart)) for row in scene.machines],
        next_url=here_url(after=scene.next) if scene.next else "",
        first_url=here_url() if scene.query.after else "",
        csv_url=scene.frame.url(f"{place}.csv", **raw),
        bulk_url=scene.frame.url("/act/bulk", chart=scene.known.name, **raw),
        here_url=here_url,
        population=top,
        total=0 if scene.counts is None else scene.counts.machines,
        may_bulk=scene.frame.operator is not None and scene.frame.operator.may("bulk", scene.known.name),
        may_send=scene.frame.operator is not None and scene.frame.operator.may("send", scene.known.name),
        states=[id for id in chart.states if id != ROOT] if chart is not None else sorted(population),
        statuses=[str(one) for one in Status],
        versions=sorted(scene.counts.by_version) if scene.counts is not None else [],
        flags=FLAGS,
        index=() if chart is None else chart.hosting.index,
        milliseconds=ms_of,
    )


def _leaves(row: MachineRow, chart: object) -> tuple[str, ...]:
    return row.states if row.stored is None else tuple(row.stored.configuration)


def csv_lines(machines: Iterable[MachineRow]) -> Iterator[str]:
    """The machines as CSV, line by line."""
    names = ("key", "status", "states", "version", "changed", "parked", "stuck", "failing")
    yield _csv_line(names)
    for machine in machines:
        row = machine.row
        leaves = row["states"] if machine.stored is None else machine.stored.configuration
        row |= {
            "states": " ".join(leaves),
            "failing": len(machine.failing) or None,
            "stuck": bool(machine.stuck) or None,
        }
        yield _csv_line([row[name] for name in names])


def _csv_line(values: Iterable[object]) -> str:
    """One line; a text that a spreadsheet would take for a formula is quoted."""
    line = io.StringIO()
    shown = ["" if value is None else str(value) for value in values]
    csv.writer(line, lineterminator="\n").writerow(
        [f"'{one}" if one[:1] in tuple("=+-@\t\r") else one for one in shown]
    )
    return line.getvalue()


# ── charts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class ChartCard:
    """A chart and its numbers; `traffic` is how its machines moved, None as long as that is not counted."""

    known: KnownChart
    counts: Counts
    traffic: FleetTraffic | None = None

    @property
    def bars(self) -> list[tuple[float, float, float]]:
        """A small chart of the steps: places, widths and heights in percent."""
        return [] if self.traffic is None else self.traffic.bars

    @property
    def drawing(self) -> Markup | None:
        drawn = picture(self.known.chart, folded=True, prefix=f"{self.known.name}-")
        return None if drawn is None else lit(drawn)


def charts_page(frame: PageFrame, cards: Sequence[ChartCard]) -> str:
    return render("charts.html", frame, here="charts", cards=cards)


# ── troubles ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class TroubleGroup:
    """The troubles of one kind, the oldest first; `more` is how many are not listed."""

    kind: str
    heading: str
    many: int
    shown: tuple[Diagnosis, ...]

    @property
    def more(self) -> int:
        return self.many - len(self.shown)

    @property
    def gentle(self) -> bool:
        return self.kind in GENTLE

    @property
    def names_admin(self) -> bool:
        """Whether a command in it names the address of the admin API."""
        return any(ADMIN in one.remedy for one in self.shown)


def groups_of_troubles(found: Sequence[Diagnosis]) -> list[TroubleGroup]:
    """Troubles by kind, the gravest kind first. No address of the server is left in their texts."""
    order = {kind: place for place, kind in enumerate(KINDS)}
    kinds = sorted({one.kind for one in found}, key=lambda kind: (order.get(kind, len(order)), kind))
    groups: list[TroubleGroup] = []
    for kind in kinds:
        ours = [one for one in found if one.kind == kind]
        shown = tuple(_shown(one) for one in ours[:SHOWN_OF_A_KIND])
        groups.append(TroubleGroup(kind, KINDS.get(kind, kind.capitalize()), len(ours), shown))
    return groups


def grave(found: Sequence[Diagnosis]) -> int:
    """How many troubles cannot wait."""
    return sum(one.kind not in GENTLE for one in found)


def _shown(one: Diagnosis) -> Diagnosis:
    remedy = command_without_address(one.remedy)
    what = without_addresses(one.what).removeprefix(f"{one.chart}/{one.key}: ")  # the page names the machine above it
    what = f"{what[:1].upper()}{what[1:]}"
    return Diagnosis(one.kind, what, remedy, one.chart, one.key, one.since)


def troubles_page(frame: PageFrame, groups: Sequence[TroubleGroup]) -> str:
    return render("troubles.html", frame, here="troubles", groups=groups, total=sum(group.many for group in groups))


def today() -> str:
    """The date in UTC, for names of files."""
    return f"{datetime.now(UTC):%Y-%m-%d}"
