"""The machines of a server, read from Restate's SQL tables.

Restate reads one key at a time cheaply, if the query says `scope IS NULL`. Any other query reads all state of all services,
pages of histories included. So there are three ways to read machines, and each says what it costs:

    machines_at        some keys: a few point reads, whatever else the server stores
    machines_of        in the order of their keys, in batches: one scan for each batch
    every_machine_of   all of them, in no particular order: one scan, read while it arrives
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from durable_fsm.admin.client import Admin, UnknownChart, literal
from durable_fsm.admin.conditions import Beside, texts
from durable_fsm.admin.indexes import indexed_texts
from durable_fsm.admin.readings import Row
from durable_fsm.core.chart import Chart
from durable_fsm.core.durations import instant_of
from durable_fsm.core.fields import text_at
from durable_fsm.core.program import index_of
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.errors import Gone, SnapshotUnreadable
from durable_fsm.restate.clock import instant
from durable_fsm.restate.fastjson import loads
from durable_fsm.restate.names import StateKey, answers_name
from durable_fsm.restate.stored.deliveries import ParkedDelivery
from durable_fsm.restate.stored.failing import FailingStep
from durable_fsm.restate.stored.snapshot import StoredRecord, read_record, tokens_of

BATCH = 500
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class MachineRow:
    """One machine as the server stores it.

    Attributes:
        states: the active leaves; all active states, if the chart is known.
        changed: when it last changed; None if an earlier build wrote it and it keeps no history.
        parked: number of deliveries that wait for a deployment that can take them.
        waiting: those of them that are listed, with the reason of each.
        stuck: why the invocation that holds its key is backing off or paused; None if it is not.
        failing: steps of its activities that fail, and are tried again.
        problem: why this program cannot read it; None if it can.
        stored: the stored machine, if it can be read.
        text: the same as it is stored; empty if it is not a text.
    """

    chart: str
    key: str
    status: str
    version: str
    states: tuple[str, ...]
    changed: datetime | None
    parked: int
    waiting: tuple[ParkedDelivery, ...]
    stuck: str | None
    failing: tuple[FailingStep, ...]
    problem: str | None
    stored: StoredRecord | None = field(repr=False, compare=False)
    text: str = field(repr=False, compare=False)

    @property
    def row(self) -> Row:
        """The cells of a table, by column."""
        return {
            "key": self.key,
            "status": self.status,
            "states": list(self.states),
            "version": self.version,
            "changed": self.changed.isoformat(timespec="seconds") if self.changed is not None else None,
            "parked": self.parked or None,
            "stuck": self.stuck,
            "failing": [_cell(step) for step in self.failing] or None,
        }


@dataclass(frozen=True, slots=True)
class Filter:
    """Which machines to list: those that match every member. None and False match all.

    `fields` are values of indexed fields of the data.
    """

    state: str | None = None
    status: str | None = None
    version: str | None = None
    older_than: timedelta | None = None
    parked: bool = False
    stuck: bool = False
    failing: bool = False
    fields: Mapping[str, str] = field(default_factory=dict[str, str])

    def conditions(self, definition: Chart | None = None) -> list[str]:
        """Conditions of SQL that every admitted machine meets, and as few others as possible."""
        found: list[str] = []
        if self.state is not None:
            leaves = _leaves_in(definition, self.state)
            found.append(f"({' OR '.join(is_in(leaf) for leaf in leaves)})")
        if self.status is not None:
            found.append(f"{STATUS} = {literal(self.status)}")
        if self.version is not None:
            found.append(f"{VERSION} = {literal(self.version)}")
        if self.older_than is not None:
            before = int((datetime.now(UTC) - self.older_than).timestamp() * 1_000)
            found.append(f"({CHANGED} <= {before} OR {CHANGED} IS NULL)")
        return found

    def candidates(self, beside: Beside) -> list[str] | None:
        """The keys of all machines that can be admitted, in order; None if that is not known."""
        flagged: list[Collection[str]] = []
        if self.parked:
            flagged.append(beside.parked)
        if self.stuck:
            flagged.append(beside.stuck)
        if self.failing:
            flagged.append(beside.failing)
        return sorted(set(flagged[0]).intersection(*flagged[1:])) if flagged else None

    def admits(self, machine: MachineRow) -> bool:
        return (
            (self.state is None or self.state in machine.states)
            and (self.status is None or machine.status == self.status)
            and (self.version is None or machine.version == self.version)
            and (self.older_than is None or _is_older(machine.changed, self.older_than))
            and (not self.parked or machine.parked > 0)
            and (not self.stuck or machine.stuck is not None)
            and (not self.failing or bool(machine.failing))
            and (not self.fields or _has(machine.stored, self.fields))
        )


def _has(stored: StoredRecord | None, fields: Mapping[str, str]) -> bool:
    return stored is not None and all(text_at(name, stored.data) == text for name, text in fields.items())


def _is_older(changed: datetime | None, than: timedelta) -> bool:
    return changed is not None and datetime.now(UTC) - changed > than


# ── SQL about snapshots: functions that the server applies, so that it sends no snapshot for them ─────────────────────

STATUS = "json_get_str(value_utf8, 'status')"
VERSION = "json_get_str(value_utf8, 'version')"
CONFIGURATION = "json_get_json(value_utf8, 'configuration')"
CHANGED = "json_get_int(value_utf8, 'at')"


def snapshots_of(chart: str) -> str:
    """The condition for the snapshots of a chart's machines."""
    return f"service_name = {literal(chart)} AND key = '{StateKey.SNAPSHOT}'"


def is_in(leaf: str) -> str:
    """The condition for machines with this active leaf."""
    return f"strpos({CONFIGURATION}, {literal(json.dumps(leaf, ensure_ascii=False))}) > 0"


def _leaves_in(definition: Chart | None, state: str) -> list[str]:
    if definition is None or state not in definition.states:
        return [state]
    index = index_of(definition)
    inside = [id for id in definition.states if index.is_descendant(id, state)]
    return [state, *index.leaves(inside)]


# ── charts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def charts_in(admin: Admin) -> list[str]:
    """Names of the charts that have machines, or work that fails."""
    rows = admin.query(
        f"SELECT DISTINCT service_name, key = '{StateKey.SNAPSHOT}' AS machine FROM state"
        f" WHERE key = '{StateKey.SNAPSHOT}' OR key LIKE '{StateKey.FAILING} %'"
    )
    return sorted(
        {row["service_name"] if row["machine"] else row["service_name"].removesuffix(answers_name("")) for row in rows}
    )


def ensure_known(admin: Admin, chart: str) -> None:
    """Check that a chart has machines or is registered.

    Raises:
        UnknownChart: It does not, and is not.
    """
    services = admin.ask("GET", "/services")["services"]
    objects = [one["name"] for one in services if one["ty"] == "VirtualObject" and one.get("public", True)]
    registered = [name for name in objects if "." not in name]
    if chart not in registered:
        known = sorted({*charts_in(admin), *registered})
        if chart not in known:
            raise UnknownChart(admin.url, chart, known)


# ── machines ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def machines_of(
    admin: Admin,
    chart: str,
    wanted: Filter | None = None,
    definition: Chart | None = None,
    *,
    batch: int = BATCH,
    prefix: str = "",
    after: str = "",
) -> Iterator[MachineRow]:
    """The machines of a chart in the order of their keys, read in batches while the caller iterates.

    Args:
        definition: the chart, to know which states contain others.
        prefix: only machines whose keys begin like this.
        after: only machines with later keys.
    """
    wanted = wanted or Filter()
    beside = Beside.of_all(admin, chart)
    candidates = wanted.candidates(beside)
    if wanted.fields:
        found = indexed_texts(admin, chart, wanted.fields)
    elif candidates is not None:
        found = texts_at(admin, chart, candidates)
    else:
        found = _texts_in_order(admin, chart, [*wanted.conditions(definition), *_begins(prefix)], after, batch)
    for key, text in found:
        if key > after and key.startswith(prefix):
            machine = _machine_row(chart, key, text, definition, beside)
            if machine is not None and wanted.admits(machine):
                yield machine


def every_machine_of(admin: Admin, chart: str, wanted: Filter | None = None) -> Iterator[MachineRow]:
    """All machines of a chart in no particular order, from one scan that is read while the caller iterates.

    The machines are not read at one moment: those that move meanwhile are read before or after.
    """
    wanted = wanted or Filter()
    beside = Beside.of_all(admin, chart)
    for key, text in every_text_of(admin, chart, wanted.conditions()):
        machine = _machine_row(chart, key, text, None, beside)
        if machine is not None and wanted.admits(machine):
            yield machine


def machines_at(
    admin: Admin, chart: str, keys: Collection[str], definition: Chart | None = None
) -> dict[str, MachineRow]:
    """The machines of these keys, by key, from a few point reads; without those that do not exist or have ended for good."""
    if not keys:
        return {}
    rows = admin.query(
        f"SELECT service_key, key, value_utf8 FROM state WHERE service_name = {literal(chart)}"
        f" AND service_key IN {texts(keys)} AND key IN ('{StateKey.SNAPSHOT}', '{StateKey.PARKED}') AND scope IS NULL"
    )
    stored = {row["service_key"]: row.get("value_utf8") for row in rows if row["key"] == StateKey.SNAPSHOT}
    beside = Beside.of_keys(admin, chart, keys, [row for row in rows if row["key"] == StateKey.PARKED])
    found = ((key, _machine_row(chart, key, stored[key], definition, beside)) for key in keys if key in stored)
    return {key: machine for key, machine in found if machine is not None}


def machine_in(admin: Admin, chart: str, key: str) -> MachineRow | None:
    """One machine, from a few point reads; None if the key has none, or one that has ended."""
    return machines_at(admin, chart, [key]).get(key)


# ── their snapshots as texts; None for one that is not a text ─────────────────────────────────────────────────────────


def every_text_of(admin: Admin, chart: str, conditions: Iterable[str] = ()) -> Iterator[tuple[str, str | None]]:
    """Key and snapshot of every machine, from one scan; marks of machines that have ended are among them."""
    where = " AND ".join([snapshots_of(chart), *conditions])
    rows = admin.stream(f"SELECT service_key, value_utf8 FROM state WHERE {where}")
    return ((row["service_key"], row.get("value_utf8")) for row in rows)


def _texts_in_order(
    admin: Admin, chart: str, conditions: list[str], after: str, batch: int
) -> Iterator[tuple[str, str | None]]:
    where = " AND ".join([snapshots_of(chart), *conditions])
    while True:
        rows = admin.query(
            f"SELECT service_key, value_utf8 FROM state WHERE {where} AND service_key > {literal(after)}"
            f" ORDER BY service_key LIMIT {batch}"
        )
        yield from ((row["service_key"], row.get("value_utf8")) for row in rows)
        if len(rows) < batch:
            return
        after = rows[-1]["service_key"]


def texts_at(admin: Admin, chart: str, keys: list[str]) -> Iterator[tuple[str, str | None]]:
    """Key and snapshot of the machines of these keys, as far as they exist, from point reads."""
    for begin in range(0, len(keys), BATCH):
        rows = admin.query(
            f"SELECT service_key, value_utf8 FROM state WHERE {snapshots_of(chart)}"
            f" AND service_key IN {texts(keys[begin : begin + BATCH])} AND scope IS NULL ORDER BY service_key"
        )
        yield from ((row["service_key"], row.get("value_utf8")) for row in rows)


def _begins(prefix: str) -> list[str]:
    return [f"starts_with(service_key, {literal(prefix)})"] if prefix else []


# ── one machine ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _machine_row(chart: str, key: str, text: str | None, definition: Chart | None, beside: Beside) -> MachineRow | None:
    """The machine; None for one that has ended and whose key stays taken."""
    stored, problem = stored_in(chart, text)
    if stored is None and problem is None:
        return None
    live = _jobs(stored) if stored is not None else set[str]()
    steps = tuple(step for step in beside.failing.get(key, ()) if step.detached or step.token in live)
    waiting = beside.listed.get(key, ())
    return MachineRow(
        chart=chart,
        key=key,
        status=UNREADABLE if stored is None else stored.status.value,
        version="" if stored is None else stored.version,
        states=() if stored is None else _active(definition, stored.configuration),
        changed=None if stored is None else last_change(stored),
        parked=beside.parked.get(key, 0),
        waiting=tuple(one for one in waiting if stored is None or one.token in tokens_of(stored)),
        stuck=beside.stuck.get(key),
        failing=steps,
        problem=problem,
        stored=stored,
        text=text or "",
    )


def stored_in(chart: str, text: str | None) -> tuple[StoredRecord | None, str | None]:
    """The stored machine; or why it cannot be read. Neither for the mark of one that has ended."""
    if text is None:
        return None, "it is not UTF-8."
    try:
        return read_record(chart, text.encode()), None
    except Gone:
        return None, None
    except SnapshotUnreadable as error:
        return None, error.problem


def last_change(stored: StoredRecord) -> datetime | None:
    """When the machine last changed; of one that an earlier build wrote, the last entry of its history, if that is there."""
    try:
        if stored.at is not None:
            return instant_of(stored.at)
        at = loads(bytes(stored.log.tail[-1]))["at"] if stored.log is not None else None
        if isinstance(at, str):
            return datetime.fromisoformat(at)  # an earlier build wrote texts
        return None if at is None else instant_of(at)
    except (LookupError, TypeError, ValueError, ArithmeticError, OSError):
        return None


def _active(chart: Chart | None, leaves: Iterable[str]) -> tuple[str, ...]:
    known = [leaf for leaf in leaves if chart is not None and leaf in chart.states]
    if chart is None or not known:
        return tuple(leaves)
    return tuple(index_of(chart).in_order(index_of(chart).with_ancestors(tuple(known))))


def _cell(step: FailingStep) -> str:
    place = f" at {step.place.partition(' in ')[0]}" if step.place else ""
    since = instant(step.since).partition(".")[0]
    return f"{step.work}: {step.type}{place}, attempt {step.attempt}, since {since}"


def _jobs(machine: Snapshot) -> set[str]:
    """Tokens of the jobs that the machine waits for; another machine, or an earlier life, may have left others."""
    begun = {one.token for ones in (machine.activities, machine.stopping) for one in ones}
    return begun | {f"{done.token}.undo" for done in machine.undo}
