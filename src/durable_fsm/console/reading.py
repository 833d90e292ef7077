"""All that the console reads from a Restate server: charts, and all that is stored of some machines.

Every function is synchronous and asks the admin API; the pages call them in threads. A machine is read by its key and
`scope IS NULL`, which the server answers from one partition; without it, it would scan all of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any, TypeVar, cast

from durable_fsm.admin.client import Admin, AdminRefused, literal
from durable_fsm.admin.conditions import stuck_at
from durable_fsm.admin.histories import pages_at
from durable_fsm.admin.inventory import charts_in
from durable_fsm.admin.past import EntryRecord
from durable_fsm.admin.readings import Row
from durable_fsm.core.chart import Chart
from durable_fsm.core.interchange import UnknownFormat, chart_from_json
from durable_fsm.core.redact import Redaction
from durable_fsm.restate.names import CHART, Handler, StateKey, answers_name
from durable_fsm.restate.stored.history import PAGE

T = TypeVar("T")

CHARTS_KEPT = 5.0
"""Seconds for which the charts of a server are remembered."""

CHARTS = "charts"
"""The name of that value, which stays there until it is read again: see `ServerReader.known`."""

VALUES_KEPT = 512

UNREGISTERED = "no deployment has this chart any more"

PAGES_KEPT = 4_096
"""Pages of history that are remembered: full ones, which never change."""

Texts = Mapping[tuple[str, str], str]
"""All that is stored under the key of one machine: texts by service and name of state."""


@dataclass(frozen=True)
class KnownChart:
    """A chart as the server knows it.

    Attributes:
        chart: None if the build that serves it does not carry it, or carries what this program cannot read.
        problem: why there is none.
        deployments: ids of the deployments that have it, the latest first, with the version and the chart of each.
        redaction: what may not be shown: of this chart, and of every deployed build of it. None if one of them is unknown;
            then no data is shown.
    """

    name: str
    chart: Chart | None
    problem: str = ""
    redaction: Redaction | None = None
    deployments: tuple[DeployedChart, ...] = ()

    @property
    def version(self) -> str:
        return "" if self.chart is None else self.chart.version

    def of(self, version: str) -> Chart | None:
        """The chart of a version, as far as a deployment has it."""
        charts = (self.chart, *(one.chart for one in self.deployments))
        return next((one for one in charts if one is not None and one.version == version), None)


@dataclass(frozen=True)
class DeployedChart:
    """The chart of one deployment; None if that does not carry it."""

    id: str
    created: str
    chart: Chart | None


@dataclass
class Cached:
    """A value, and until when it serves, in seconds of the monotonic clock."""

    until: float
    value: Any  # Any: of whatever the caller reads


@dataclass
class ServerReader:
    """Reads one server. Its methods may be called from several threads."""

    admin: Admin
    _cache: dict[str, Cached] = field(default_factory=dict[str, Cached])
    _pages: dict[tuple[str, str], list[EntryRecord]] = field(default_factory=dict[tuple[str, str], "list[EntryRecord]"])
    _begun: dict[str, Cached] = field(default_factory=dict[str, Cached])
    _lock: Lock = field(default_factory=Lock)

    def remembered(self, name: str, seconds: float, read: Callable[[], T], *, share: float = 0.0) -> T:
        """A value that is read again only after so many seconds; who asks while it is read waits for the same answer.

        It is kept for *share* times as long as reading it took, if that is longer.
        """
        now = time.monotonic()
        with self._lock:
            found = self._cache.get(name)
            if found is not None and now <= found.until:
                return cast("T", found.value)
            begun = self._begun.get(name)
            if begun is None or now > begun.until:
                begun, is_mine = Cached(now + seconds, Future[T]()), True
                self._begun[name] = begun
            else:
                is_mine = False
        asked: Future[T] = begun.value
        if is_mine:
            self._read(name, begun, read, share)
        return asked.result()

    def _read(self, name: str, begun: Cached, read: Callable[[], Any], share: float) -> None:
        asked: Future[Any] = begun.value
        at = time.monotonic()
        try:
            value = read()
        except BaseException as error:
            asked.set_exception(error)
            raise
        else:
            asked.set_result(value)
            now = time.monotonic()
            with self._lock:
                for old in [old for old, one in self._cache.items() if now > one.until and old != CHARTS]:
                    del self._cache[old]
                while len(self._cache) >= VALUES_KEPT:
                    self._cache.pop(next(iter(self._cache)))
                self._cache[name] = Cached(max(begun.until, at + share * (now - at)), value)
        finally:
            with self._lock:
                if self._begun.get(name) is begun:
                    del self._begun[name]

    # ── charts ────────────────────────────────────────────────────────────────────────────────────────────────────

    def charts(self) -> dict[str, KnownChart]:
        """The charts that are registered, by name; those of builds that carry none are among them."""
        return self.remembered(CHARTS, CHARTS_KEPT, self._read_charts)

    def chart(self, name: str) -> KnownChart | None:
        return self.charts().get(name)

    def known(self, name: str) -> KnownChart | None:
        """The chart as it was last read: nothing is asked for it."""
        with self._lock:
            found = self._cache.get(CHARTS)
        charts = cast("dict[str, KnownChart]", found.value) if found is not None else {}
        return charts.get(name)

    def _read_charts(self) -> dict[str, KnownChart]:
        services = cast("list[Row]", self.admin.ask("GET", "/services")["services"])
        charts = {one["name"]: one for one in services if _keeps_machines(one)}
        deployed = self._deployed(set(charts))
        found = {name: _known(name, one, deployed.get(name, [])) for name, one in charts.items()}
        found |= {name: KnownChart(name, None, UNREGISTERED) for name in charts_in(self.admin) if name not in charts}
        return dict(sorted(found.items()))

    def _deployed(self, names: set[str]) -> dict[str, list[DeployedChart]]:
        found: dict[str, list[DeployedChart]] = {}
        rows = cast("list[Row]", self.admin.ask("GET", "/deployments")["deployments"])
        for row in sorted(rows, key=lambda row: str(row.get("created_at")), reverse=True):
            if not names & {service["name"] for service in row["services"]}:
                continue
            for service in self._services_of(row["id"]):
                if service["name"] in names:
                    chart, _ = _carried(service)
                    one = DeployedChart(row["id"], str(row.get("created_at", "")), chart)
                    found.setdefault(service["name"], []).append(one)
        return found

    def _services_of(self, deployment: str) -> list[Row]:
        def read() -> list[Row]:
            return cast("list[Row]", self.admin.ask("GET", f"/deployments/{deployment}")["services"])

        return self.remembered(f"deployment {deployment}", 12 * CHARTS_KEPT, read)

    def versions(self) -> dict[str, dict[str, int]]:
        """How many machines there are of each version of each chart."""
        rows = self.admin.query(
            "SELECT service_name, json_get_str(value_utf8, 'version') AS version, count(*) AS many FROM state"
            f" WHERE key = '{StateKey.SNAPSHOT}' GROUP BY service_name, version"
        )
        found: dict[str, dict[str, int]] = {}
        for row in rows:
            if row.get("version") is not None:
                found.setdefault(row["service_name"], {})[str(row["version"])] = int(row["many"])
        return found

    # ── machines ──────────────────────────────────────────────────────────────────────────────────────────────────

    def texts(self, chart: str, keys: Iterable[str]) -> dict[str, Texts]:
        """All that is stored of some machines, by key: one query for all of them. A key without any has none."""
        wanted = ", ".join(map(literal, keys))
        services = f"{literal(chart)}, {literal(answers_name(chart))}"
        rows = self.admin.query(
            f"SELECT service_name, service_key, key, value_utf8 FROM state WHERE service_key IN ({wanted})"
            f" AND scope IS NULL AND service_name IN ({services}) AND key <> '{StateKey.PENDING_ANSWERS}'"
        )
        found: dict[str, dict[tuple[str, str], str]] = {}
        for row in rows:
            service = "" if row["service_name"] == chart else "callbacks"
            found.setdefault(row["service_key"], {})[service, row["key"]] = row.get("value_utf8") or ""
        return cast("dict[str, Texts]", found)

    def pages(self, chart: str, keys: list[str]) -> dict[str, list[EntryRecord]]:
        """Pages of history by key; one that is not kept, or cannot be read, is missing."""
        with self._lock:
            found = {key: self._pages[chart, key] for key in keys if (chart, key) in self._pages}
        missing = [key for key in keys if key not in found]
        if not missing:
            return found
        found |= pages_at(self.admin, chart, missing)
        with self._lock:
            while len(self._pages) + len(missing) > PAGES_KEPT:
                self._pages.pop(next(iter(self._pages)))
            self._pages |= {(chart, key): found[key] for key in missing if len(found.get(key, ())) == PAGE}
        return found

    def stuck(self, chart: str, key: str) -> str:
        """Why the invocation that holds the key of a machine makes no progress; empty if there is none such."""
        return stuck_at(self.admin, chart, [key]).get(key, "")


def _keeps_machines(service: Row) -> bool:
    """Whether a service is a chart's own, also one of a build that does not carry its chart."""
    metadata: Row = service.get("metadata") or {}
    handlers = {one["name"] for one in service.get("handlers", ())}
    return CHART in metadata or {Handler.SNAPSHOT, Handler.DELIVER, Handler.CREATE} <= handlers


@lru_cache(maxsize=256)
def _chart_in(text: str) -> Chart:
    """Read a chart once: its indexes and its digest are kept with it."""
    return chart_from_json(json.loads(text))


def _carried(service: Row) -> tuple[Chart | None, str]:
    """The chart that a service carries; or why it cannot be read."""
    metadata: Row = service.get("metadata") or {}
    text = metadata.get(CHART)
    if text is None:
        return None, "it is served by a build that does not carry its chart"
    try:
        return _chart_in(text), ""
    except (UnknownFormat, ValueError, RecursionError) as error:
        return None, f"it was registered by another version of durable_fsm: {error}"


def _known(name: str, service: Row, deployed: list[DeployedChart]) -> KnownChart:
    chart, problem = _carried(service)
    charts = [chart, *(one.chart for one in deployed)]
    redaction = None
    if all(one is not None for one in charts):
        names = {hidden for one in charts if one is not None for hidden in one.hosting.redact}
        redaction = Redaction.of(sorted(names))
    return KnownChart(name, chart, problem, redaction, tuple(deployed))


__all__ = ["AdminRefused", "DeployedChart", "KnownChart", "ServerReader", "Texts"]
