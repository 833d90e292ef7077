"""All machines of a server, read from Restate's SQL tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from durable_fsm.admin.client import Admin, Row, UnknownChart, literal
from durable_fsm.admin.indexes import indexed_texts
from durable_fsm.core.chart import Chart
from durable_fsm.core.durations import instant_of
from durable_fsm.core.fields import text_at
from durable_fsm.core.program import index_of
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.errors import SnapshotUnreadable
from durable_fsm.restate.clock import instant
from durable_fsm.restate.fastjson import loads
from durable_fsm.restate.names import Handler, StateKey, answers_name
from durable_fsm.restate.stored.deliveries import ParkedDelivery, read_parked
from durable_fsm.restate.stored.failing import FailingStep
from durable_fsm.restate.stored.letters import read_all
from durable_fsm.restate.stored.snapshot import StoredRecord, is_mark, read_handles, read_record, tokens_of
from durable_fsm.restate.stored.waiters import read_waiters

BATCH = 500
PARKED = "_parked"
UNREADABLE = "unreadable"

SHARED = (Handler.SNAPSHOT, Handler.HISTORY, Handler.WAIT_FOR, Handler.CANCEL, Handler.CANCEL_LATER, Handler.HALT)
"""Handlers that do not hold the key of their machine."""


@dataclass(frozen=True, slots=True)
class MachineRow:
    """One machine as the server stores it.

    Attributes:
        states: the active leaves; all active states, if the chart is known.
        changed: time of the last entry of its history; None if it keeps no history.
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


def charts_in(admin: Admin) -> list[str]:
    """Names of the charts that have machines, or work that fails."""
    stored = admin.query(f"SELECT DISTINCT service_name FROM state WHERE key = '{StateKey.SNAPSHOT}'")
    failing = admin.query(f"SELECT DISTINCT service_name FROM state WHERE key LIKE '{StateKey.FAILING} %'")
    companions = {row["service_name"].removesuffix(answers_name("")) for row in failing}
    return sorted({row["service_name"] for row in stored} | companions)


def ensure_known(admin: Admin, chart: str) -> None:
    """Check that a chart has machines or is registered.

    Raises:
        UnknownChart: It does not, and is not.
    """
    known = charts_in(admin)
    if chart not in known:
        services = admin.ask("GET", "/services")["services"]
        objects = [one["name"] for one in services if one["ty"] == "VirtualObject" and one.get("public", True)]
        known = sorted({*known, *(name for name in objects if "." not in name)})
    if chart not in known:
        raise UnknownChart(admin.url, chart, known)


def machines_of(
    admin: Admin, chart: str, wanted: Filter | None = None, definition: Chart | None = None
) -> Iterator[MachineRow]:
    """The machines of a chart in the order of their keys, read in batches while the caller iterates."""
    parked, listed = _parked_deliveries(admin, chart), _listed_deliveries(admin, chart)
    stuck = _stuck_invocations(admin, chart)
    failing = failing_steps(admin, chart)
    texts = _stored_texts(admin, chart)
    if wanted is not None and wanted.fields:
        texts = indexed_texts(admin, chart, wanted.fields)
    for key, text in texts:
        if text is not None and is_mark(text.encode()):  # the machine has ended, and its key stays taken
            continue
        waiting = listed.get(key, ())
        found = _machine_row(
            chart, key, text, definition, parked.get(key, 0), waiting, stuck.get(key), failing.get(key, ())
        )
        if wanted is None or wanted.admits(found):
            yield found


def _stored_texts(admin: Admin, chart: str) -> Iterator[tuple[str, str | None]]:
    """Key and snapshot of every machine of a chart, in the order of their keys; None for one that is not a text."""
    after = ""
    while True:
        rows = admin.query(
            f"SELECT service_key, value_utf8 FROM state WHERE service_name = {literal(chart)} AND key = '{StateKey.SNAPSHOT}'"
            f" AND service_key > {literal(after)} ORDER BY service_key LIMIT {BATCH}"
        )
        yield from ((row["service_key"], row.get("value_utf8")) for row in rows)
        if len(rows) < BATCH:
            return
        after = rows[-1]["service_key"]


def machine_in(admin: Admin, chart: str, key: str) -> MachineRow | None:
    """One machine; None if the key has none, or one that has ended."""
    rows = admin.query(
        f"SELECT value_utf8 FROM state WHERE service_name = {literal(chart)} AND service_key = {literal(key)}"
        f" AND key = '{StateKey.SNAPSHOT}' AND scope IS NULL"
    )
    text = rows[0].get("value_utf8") if rows else None
    if not rows or (text is not None and is_mark(text.encode())):
        return None
    parked, listed = _parked_deliveries(admin, chart), _listed_deliveries(admin, chart)
    stuck, failing = _stuck_invocations(admin, chart), failing_steps(admin, chart)
    waiting = listed.get(key, ())
    return _machine_row(chart, key, text, None, parked.get(key, 0), waiting, stuck.get(key), failing.get(key, ()))


def _machine_row(
    chart: str,
    key: str,
    text: str | None,
    definition: Chart | None,
    parked: int,
    waiting: Iterable[ParkedDelivery],
    stuck: str | None,
    failing: Iterable[FailingStep],
) -> MachineRow:
    stored, problem = _stored_in(chart, text)
    live = _jobs(stored) if stored is not None else set[str]()
    steps = tuple(step for step in failing if step.detached or step.token in live)
    return MachineRow(
        chart=chart,
        key=key,
        status=UNREADABLE if stored is None else stored.status.value,
        version="" if stored is None else stored.version,
        states=() if stored is None else _active(definition, stored.configuration),
        changed=None if stored is None else _last_change(stored),
        parked=parked,
        waiting=tuple(one for one in waiting if stored is None or one.token in tokens_of(stored)),
        stuck=stuck,
        failing=steps,
        problem=problem,
        stored=stored,
        text=text or "",
    )


def _stored_in(chart: str, text: str | None) -> tuple[StoredRecord | None, str | None]:
    """The stored machine; or why it cannot be read."""
    if text is None:
        return None, "it is not UTF-8."
    try:
        return read_record(chart, text.encode()), None
    except SnapshotUnreadable as error:
        return None, error.problem


def _last_change(stored: StoredRecord) -> datetime | None:
    """When the last entry of the history was written, as far as that can be read."""
    try:
        at = loads(bytes(stored.log.tail[-1]))["at"] if stored.log is not None else None
        if isinstance(at, str):
            return datetime.fromisoformat(at)  # an earlier build wrote texts
        return None if at is None else instant_of(at)
    except (LookupError, TypeError, ValueError, ArithmeticError, OSError):
        return None


# ── what a key holds beside its machine ───────────────────────────────────────────────────────────────────────────────

READERS: Mapping[str, Callable[[bytes], object]] = {
    StateKey.HANDLES: read_handles,
    StateKey.PARKED: read_parked,
    StateKey.WAITERS: read_waiters,
    StateKey.LETTERS: read_all,
}


def unreadable_values(admin: Admin, chart: str) -> Iterator[tuple[str, str, str]]:
    """Key, name and problem of each value beside a machine that this program cannot read."""
    names = ", ".join(literal(name) for name in READERS)
    rows = admin.query(
        f"SELECT service_key, key, value_utf8 FROM state WHERE service_name = {literal(chart)} AND key IN ({names})"
        " ORDER BY service_key, key"
    )
    for row in rows:
        text = row.get("value_utf8")
        try:
            if text is None:
                raise ValueError("it is not UTF-8")
            READERS[row["key"]](text.encode())
        except (ValueError, RecursionError) as error:
            yield row["service_key"], row["key"], f"{error}."


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


def failing_steps(admin: Admin, chart: str) -> dict[str, list[FailingStep]]:
    """The steps that fail, by key of the machine; that of one that has ended may still be among them."""
    rows = admin.query(
        f"SELECT service_key, value_utf8 FROM state WHERE service_name = {literal(answers_name(chart))}"
        f" AND key LIKE '{StateKey.FAILING} %' ORDER BY service_key, key"
    )
    found: dict[str, list[FailingStep]] = {}
    for row in rows:
        with suppress(LookupError, AttributeError, ValueError, RecursionError):  # of another build, or not ours
            found.setdefault(row["service_key"], []).append(FailingStep.decode(row["value_utf8"].encode()))
    return found


def _listed_deliveries(admin: Admin, chart: str) -> dict[str, tuple[ParkedDelivery, ...]]:
    """The parked deliveries that machines list, by key; some may have been taken since."""
    rows = admin.query(
        f"SELECT service_key, value_utf8 FROM state WHERE service_name = {literal(chart)} AND key = '{StateKey.PARKED}'"
    )
    found: dict[str, tuple[ParkedDelivery, ...]] = {}
    for row in rows:
        with suppress(LookupError, AttributeError, ValueError, RecursionError):  # `unreadable_values` tells that
            found[row["service_key"]] = tuple(read_parked(row["value_utf8"].encode()).values())
    return found


def _parked_deliveries(admin: Admin, chart: str) -> dict[str, int]:
    """How many deliveries are parked, by key."""
    rows = admin.query(
        "SELECT target_service_key, count(*) AS parked FROM sys_invocation WHERE status = 'scheduled'"
        f" AND target_service_name = {literal(chart)} AND target_handler_name = '{PARKED}' GROUP BY target_service_key"
    )
    return {row["target_service_key"]: int(row["parked"]) for row in rows}


def _stuck_invocations(admin: Admin, chart: str) -> dict[str, str]:
    """Why the invocation that holds a key is backing off or paused, by key."""
    rows = admin.query(
        "SELECT target_service_key, target_handler_name, status, last_failure FROM sys_invocation"
        f" WHERE target_service_name = {literal(chart)} AND status IN ('backing-off', 'paused')"
        f" AND target_handler_name NOT IN ({', '.join(map(literal, SHARED))})"
    )
    return {
        row["target_service_key"]: f"{row['target_handler_name']} is {row['status']}: {row['last_failure'] or '?'}"
        for row in rows
    }
