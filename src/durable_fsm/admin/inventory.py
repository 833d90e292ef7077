"""All machines of a server, as its SQL tables show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from durable_fsm.admin.kafka_subscriptions import Admin
from durable_fsm.core.chart import Chart
from durable_fsm.core.snapshot import Status
from durable_fsm.restate.stored import SNAPSHOT, is_mark
from durable_fsm.restate.texts import value_of

Row = dict[str, Any]  # Any: JSON of a shape that its reader knows

BATCH = 500
PARKED = "_parked"
TROUBLED = ("backing-off", "paused")


@dataclass(frozen=True, slots=True)
class Found:
    """One machine as it is stored.

    Attributes:
        states: its active leaves; all active states, where the chart is known.
        changed: when its history has its last entry, if it keeps one.
        parked: how many deliveries wait for a deployment that can take them.
        stuck: why the invocation that holds its key does not go on, if that is so.
        record: the snapshot as it is stored.
    """

    machine: str
    key: str
    status: str
    version: str
    states: tuple[str, ...]
    changed: datetime | None
    parked: int
    stuck: str | None
    record: Row = field(repr=False, compare=False)

    @property
    def row(self) -> Row:
        """As one line of a table."""
        return {
            "key": self.key,
            "status": self.status,
            "states": list(self.states),
            "version": self.version,
            "changed": self.changed.isoformat(timespec="seconds") if self.changed is not None else None,
            "parked": self.parked or None,
            "stuck": self.stuck,
        }


@dataclass(frozen=True, slots=True)
class Which:
    """Of which machines one is told; None and False leave it open."""

    state: str | None = None
    status: str | None = None
    version: str | None = None
    older_than: timedelta | None = None
    parked: bool = False
    stuck: bool = False

    def admits(self, found: Found) -> bool:
        """Whether it is one of them."""
        old = self.older_than is None or (
            found.changed is not None and datetime.now(UTC) - found.changed > self.older_than
        )
        return (
            (self.state is None or self.state in found.states)
            and (self.status is None or found.status == self.status)
            and (self.version is None or found.version == self.version)
            and old
            and (not self.parked or found.parked > 0)
            and (not self.stuck or found.stuck is not None)
        )


def literal(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def machines_of(admin: Admin, machine: str, which: Which | None = None, chart: Chart | None = None) -> Iterator[Found]:
    """The machines of a chart, in the order of their keys; read in batches, as they are wanted."""
    parked = _counted(admin, machine)
    stuck = _stuck(admin, machine)
    after = ""
    while True:
        rows = admin.query(
            f"SELECT service_key, value_utf8 FROM state WHERE service_name = {literal(machine)} AND key = '{SNAPSHOT}'"
            f" AND service_key > {literal(after)} ORDER BY service_key LIMIT {BATCH}"
        )
        for row in rows:
            found = _found(machine, row, chart, parked, stuck)
            if found is not None and (which is None or which.admits(found)):
                yield found
        if len(rows) < BATCH:
            return
        after = rows[-1]["service_key"]


def charts_in(admin: Admin) -> list[str]:
    """Names of the charts that have machines, or are served."""
    stored = admin.query(f"SELECT DISTINCT service_name FROM state WHERE key = '{SNAPSHOT}'")
    return sorted(row["service_name"] for row in stored)


def _found(machine: str, row: Row, chart: Chart | None, parked: dict[str, int], stuck: dict[str, str]) -> Found | None:
    key = row["service_key"]
    try:
        record: Row = value_of(row["value_utf8"])
        leaves = tuple(record["configuration"])
    except (TypeError, ValueError, KeyError):
        record = {}
        leaves = ()
        if is_mark(_read(row["value_utf8"])):
            return None
    tail = record.get("log", {}).get("tail", ())
    at = tail[-1].get("at") if tail else None
    return Found(
        machine,
        key,
        str(record.get("status", "unreadable")),
        str(record.get("version", "")),
        _active(chart, leaves),
        datetime.fromisoformat(at) if isinstance(at, str) else _instant(at),
        parked.get(key, 0),
        stuck.get(key),
        record,
    )


def _read(text: Any) -> Any:  # Any: whatever JSON is stored
    try:
        return value_of(text)
    except (TypeError, ValueError):
        return None


def _instant(milliseconds: object) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1_000, UTC) if isinstance(milliseconds, int | float) else None


def _active(chart: Chart | None, leaves: Iterable[str]) -> tuple[str, ...]:
    known = [leaf for leaf in leaves if chart is not None and leaf in chart.states]
    if chart is None or not known:
        return tuple(leaves)
    return tuple(chart.index.in_order(chart.index.with_ancestors(tuple(known))))


def _counted(admin: Admin, machine: str) -> dict[str, int]:
    rows = admin.query(
        "SELECT target_service_key, count(*) AS parked FROM sys_invocation WHERE status = 'scheduled'"
        f" AND target_service_name = {literal(machine)} AND target_handler_name = '{PARKED}' GROUP BY target_service_key"
    )
    return {row["target_service_key"]: int(row["parked"]) for row in rows}


def _stuck(admin: Admin, machine: str) -> dict[str, str]:
    rows = admin.query(
        "SELECT target_service_key, target_handler_name, status, last_failure FROM sys_invocation"
        f" WHERE target_service_name = {literal(machine)} AND status IN ('backing-off', 'paused')"
    )
    return {
        row["target_service_key"]: f"{row['target_handler_name']} is {row['status']}: {row['last_failure'] or '?'}"
        for row in rows
    }


# ── what is wrong ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that an operator should know, and the command that mends it or says more."""

    kind: str
    what: str
    remedy: str


OVERDUE = timedelta(minutes=1)


def overdue(found: Found, now: datetime) -> list[str]:
    """Events of timers that should have come by now."""
    due: dict[str, int] = found.record.get("due", {})
    late = {token for token, at in due.items() if now - datetime.fromtimestamp(at / 1_000, UTC) > OVERDUE}
    return [timer["event"] for timer in found.record.get("timers", ()) if timer["token"] in late]


def findings_about_machines(admin: Admin, machine: str) -> Iterator[Finding]:
    """What is wrong with the machines of a chart."""
    now = datetime.now(UTC)
    for found in machines_of(admin, machine):
        place = f"{machine}/{found.key}"
        if found.status == Status.FAILED:
            failure: Row = found.record.get("failure") or {}
            message = failure.get("message", "")
            yield Finding("failed", f"{place} has failed: {message}", f"durable-fsm repair {place} --help")
        if found.status == "unreadable":
            yield Finding("unreadable", f"{place}: its snapshot cannot be read.", f"durable-fsm show {place}")
        if found.parked:
            what = f"{place}: {found.parked} deliveries are parked, because this deployment cannot take them."
            yield Finding(
                "parked", what, f"durable-fsm show {place}; then durable-fsm repair {place} --resend --reason …"
            )
        if found.stuck is not None:
            remedy = f"mend or start its service; durable-fsm doctor again. Paused: durable-fsm show {place}"
            yield Finding("stuck", f"{place}: {found.stuck}", remedy)
        for event in overdue(found, now):
            yield Finding("overdue", f"{place}: timer '{event}' is overdue.", "is its service running and registered?")


def findings_about_invocations(admin: Admin) -> Iterator[Finding]:
    """Invocations that do not go on, of runners and companions."""
    rows = admin.query(
        "SELECT id, target, status, retry_count, last_failure FROM sys_invocation"
        " WHERE status IN ('backing-off', 'paused') ORDER BY id LIMIT 100"
    )
    for row in rows:
        why = row["last_failure"] or "no reason is known"
        if row["status"] == "paused":
            remedy = f"curl -X PATCH {admin.url}/invocations/{row['id']}/resume"
            yield Finding("paused", f"{row['target']} is paused: {why}", remedy)
        else:
            what = f"{row['target']} is tried again ({row['retry_count']} attempts): {why}"
            yield Finding("backing-off", what, "start its service, or register where it is: durable-fsm register URL")


def findings_about_deployments(admin: Admin) -> Iterator[Finding]:
    """Deployments that no new request goes to."""
    latest = {service["deployment_id"] for service in admin.ask("GET", "/services")["services"]}
    pinned = {
        row["pinned_deployment_id"]: int(row["many"])
        for row in admin.query(
            "SELECT pinned_deployment_id, count(*) AS many FROM sys_invocation WHERE status <> 'completed'"
            " AND pinned_deployment_id IS NOT NULL GROUP BY pinned_deployment_id"
        )
    }
    for one in admin.ask("GET", "/deployments")["deployments"]:
        id, uri = one["id"], one.get("uri") or one.get("arn")
        if id in latest:
            continue
        if id in pinned:
            what = f"{pinned[id]} invocations still belong to the older deployment {id} at {uri}."
            yield Finding("pinned", what, "keep it running until they are over; durable-fsm doctor says when")
        else:
            remedy = f"curl -X DELETE '{admin.url}/deployments/{id}?force=true'"
            yield Finding("stale", f"Nothing belongs to the older deployment {id} at {uri}.", remedy)
