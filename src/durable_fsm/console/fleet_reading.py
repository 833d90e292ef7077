"""Read fleets: counts by state, machines page by page, how they moved, and all troubles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from durable_fsm.admin.client import literal
from durable_fsm.admin.diagnosis import diagnoses
from durable_fsm.admin.fleet import Counts, Page, counts_of, page_of
from durable_fsm.admin.inventory import Filter, MachineRow, machines_of
from durable_fsm.admin.problems import Diagnosis
from durable_fsm.console.facts import MachineFacts
from durable_fsm.console.formatting import ms_of, now_ms
from durable_fsm.console.machine_page import Neighbour
from durable_fsm.console.reading import KnownChart, ServerReader
from durable_fsm.console.redaction import Redactor
from durable_fsm.console.traffic import FleetTraffic, WalkEntry, read_page, read_snapshot, traffic_of
from durable_fsm.core.chart import Chart
from durable_fsm.core.snapshot import Status
from durable_fsm.restate.names import StateKey, history_name

MOST_ENTRIES = 400_000
"""Steps of histories that one look at the traffic reads."""

SHOWN_TROUBLES = 300
AT_ONCE = 50

COUNTS_KEPT = 1.0
TRAFFIC_KEPT, TRAFFIC_SHARE = 30.0, 20.0
TROUBLES_KEPT = 3.0


def counts(reader: ServerReader, chart: str) -> Counts:
    """How many machines are where; read once for all who ask at the same time."""
    return reader.remembered(f"counts {chart}", COUNTS_KEPT, lambda: counts_of(reader.admin, chart))


def page(
    reader: ServerReader, known: KnownChart, wanted: Filter, *, prefix: str = "", after: str = "", size: int = 50
) -> Page:
    return page_of(reader.admin, known.name, wanted, known.chart, prefix=prefix, after=after, size=size)


def every(reader: ServerReader, known: KnownChart, wanted: Filter, prefix: str) -> Iterator[MachineRow]:
    """All machines that a filter admits, in the order of their keys, read while the caller iterates."""
    return machines_of(reader.admin, known.name, wanted, known.chart, prefix=prefix)


def neighbours(reader: ServerReader, known: KnownChart | None, chart: str, key: str) -> list[Neighbour]:
    """Machines around a key, for the list beside a machine."""
    definition = None if known is None else known.chart
    found = page_of(reader.admin, chart, None, None, after=_before(key), size=AT_ONCE)
    rows = found.machines
    if not any(row.key == key for row in rows):
        rows = page_of(reader.admin, chart, None, None, size=AT_ONCE).machines
    return [neighbour_of(row, definition) for row in rows]


def _before(key: str) -> str:
    """A key shortly before this one, so that it is in the middle of neighbours with the same beginning."""
    stem = key.rstrip("0123456789")
    digits = key[len(stem) :]
    if not digits:
        return key[:-1]
    return f"{stem}{max(0, int(digits) - 6):0{len(digits)}d}" if int(digits) > 6 else stem


def neighbour_of(row: MachineRow, chart: Chart | None) -> Neighbour:
    leaves = row.states if row.stored is None else row.stored.configuration
    names = tuple(chart.states[leaf].name if chart and leaf in chart.states else leaf for leaf in leaves)
    return Neighbour(row.key, names, ms_of(row.changed), pip_of(row))


def pip_of(row: MachineRow) -> str:
    """The class of the dot before a machine."""
    if row.status == Status.DONE:
        return "done"
    if row.status != Status.RUNNING or row.parked or row.stuck:
        return "bad"
    return "wait" if row.failing else ""


# ── traffic ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def traffic(reader: ServerReader, chart: str, window: timedelta) -> FleetTraffic:
    """How the machines of a chart moved in the last time, as far as their histories are kept: one scan."""
    seconds = window.total_seconds()
    name = f"traffic {chart} {seconds}"
    return reader.remembered(
        name, TRAFFIC_KEPT, lambda: _traffic(reader, chart, int(seconds * 1_000)), share=TRAFFIC_SHARE
    )


def _traffic(reader: ServerReader, chart: str, window: int) -> FleetTraffic:
    now = now_ms()
    histories: dict[tuple[str, str], list[WalkEntry]] = {}
    pages = history_name(chart)
    rows = reader.admin.stream(
        "SELECT service_name, service_key, value_utf8 FROM state WHERE"
        f" (service_name = {literal(chart)} AND key = '{StateKey.SNAPSHOT}')"
        f" OR (service_name = {literal(pages)} AND key = '{StateKey.ENTRIES}')"
    )
    read, cut = 0, False
    for row in rows:
        text = (row.get("value_utf8") or "").encode()
        with suppress(ValueError, RecursionError):  # it is not ours, or an operator finds it among the troubles
            if row["service_name"] == chart:
                carrier = read_snapshot(text)
                key, entries = (row["service_key"], carrier.life), carrier.log.tail if carrier.log else ()
            else:
                machine, life, _ = row["service_key"].rsplit("~", 2)
                key, entries = (machine, life), read_page(text)
            histories.setdefault(key, []).extend(entries)
            read += len(entries)
        if read > MOST_ENTRIES:
            cut = True
            break
    return replace(traffic_of(histories.values(), now - window, now), cut=cut)


# ── troubles ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def troubles(reader: ServerReader) -> list[Diagnosis]:
    """All troubles, the oldest first; read once for all who ask at the same time."""
    return reader.remembered("troubles", TROUBLES_KEPT, lambda: _troubles(reader))


def _troubles(reader: ServerReader) -> list[Diagnosis]:
    found = sorted(diagnoses(reader.admin), key=lambda one: (one.since is None, one.since or 0))
    charts = reader.charts()
    shown = _redacted_findings(reader, charts, found[:SHOWN_TROUBLES])
    hidden = [replace(one, what=_place_only(one)) for one in found[SHOWN_TROUBLES:]]
    return [*shown, *hidden]


def _redacted_findings(
    reader: ServerReader, charts: Mapping[str, KnownChart], found: list[Diagnosis]
) -> list[Diagnosis]:
    """The findings with texts that may be shown: each as far as its own machine's chart allows it."""
    keys: dict[str, list[str]] = {}
    for one in found:
        if one.key:
            keys.setdefault(one.chart, []).append(one.key)
    facts: dict[tuple[str, str], MachineFacts | None] = {}
    for chart, wanted in keys.items():
        names = list(dict.fromkeys(wanted))
        for begin in range(0, len(names), AT_ONCE):
            texts = reader.texts(chart, names[begin : begin + AT_ONCE])
            facts |= {(chart, key): MachineFacts.of(chart, key, found) for key, found in texts.items()}
    shown: list[Diagnosis] = []
    for one in found:
        if not one.key:
            shown.append(one)
            continue
        redactor = Redactor(charts.get(one.chart), facts.get((one.chart, one.key)))
        shown.append(replace(one, what=redactor.text(one.what) if redactor.is_open else _place_only(one)))
    return shown


def _place_only(one: Diagnosis) -> str:
    return f"{one.chart}/{one.key}: {one.kind}." if one.key else one.what
