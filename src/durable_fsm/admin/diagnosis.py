"""The findings of `durable-fsm doctor`: machines, invocations and deployments that need an operator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from shlex import quote

from durable_fsm.admin.client import Admin
from durable_fsm.admin.failing_activities import Patience, failing_activities
from durable_fsm.admin.inventory import MachineRow, charts_in, machines_of, unreadable_values
from durable_fsm.admin.problems import Diagnosis
from durable_fsm.admin.readability import CurrentBuilds, Shapes, Unanswered
from durable_fsm.admin.waiting_letters import waiting_letters
from durable_fsm.core.snapshot import Status
from durable_fsm.restate.machine.deliveries import ParkedDelivery

LISTED = 5
"""Parked deliveries of one machine that are told in full."""

OVERDUE = timedelta(minutes=1)


def diagnoses(
    admin: Admin, patience: Patience | None = None, builds: CurrentBuilds | None = None
) -> Iterator[Diagnosis]:
    """Every problem of the server's machines, invocations and deployments; *builds* are asked what they can read."""
    waiting: dict[str, str] = {}
    yield from waiting_letters(admin)
    for chart in charts_in(admin):
        shapes = Shapes(chart)
        yield from _machines(admin, chart, shapes)
        yield from failing_activities(admin, chart, patience or Patience())
        if builds is None:
            continue
        try:
            refused = shapes.refused(builds)
        except Unanswered as error:
            waiting[chart] = f"the current build of {chart} does not say which machines it can read: {error}"
            continue
        for key, reason in sorted(refused.items()):
            yield _refused(f"{chart}/{key}", reason)
        if refused:
            waiting[chart] = f"the current build of {chart} cannot read {_machines_words(len(refused))}"
    yield from _invocations(admin)
    yield from _deployments(admin, waiting)


def _machines(admin: Admin, chart: str, shapes: Shapes) -> Iterator[Diagnosis]:
    now = datetime.now(UTC)
    for found in machines_of(admin, chart):
        place = f"{chart}/{found.key}"
        named = quote(place)
        if found.stored is not None and found.stored.failure is not None and found.status == Status.FAILED:
            failure = found.stored.failure
            message = f"{failure.message} That was in {failure.machine}." if failure.machine else failure.message
            yield Diagnosis("failed", f"{place} has failed: {message}", f"durable-fsm repair {named} --help")
        if found.stored is not None:
            shapes.add(found.key, found.stored)
        if found.problem is not None:
            yield _unreadable(place, f"its snapshot cannot be read: {found.problem}")
        remedy = f"deploy a build that can take it; then durable-fsm repair {named} --resend --reason …"
        for parked in found.waiting[:LISTED]:
            yield Diagnosis("parked", f"{place}: {_parked(parked)}", remedy)
        if (more := found.parked - len(found.waiting[:LISTED])) > 0:
            yield Diagnosis("parked", f"{place}: {more} more deliveries are parked.", remedy)
        if found.stuck is not None:
            remedy = f"mend or start its service; durable-fsm doctor again. Paused: durable-fsm show {named}"
            yield Diagnosis("stuck", f"{place}: {found.stuck}", remedy)
        for event in _overdue(found, now):
            yield Diagnosis(
                "overdue", f"{place}: timer '{event}' is overdue.", "is its service running and registered?"
            )

    for key, name, problem in unreadable_values(admin, chart):
        yield _unreadable(f"{chart}/{key}", f"its '{name}' cannot be read: {problem}")


def _parked(delivery: ParkedDelivery) -> str:
    shown = delivery.view
    place = f" ({delivery.place})" if delivery.place else ""
    when = f"{shown['since']}, tried {delivery.tries} times, next at {shown['next']}"
    return f"'{shown['event']}' cannot be taken since {when}: {delivery.type}: {delivery.reason}{place}"


def _unreadable(place: str, what: str) -> Diagnosis:
    remedy = f"deploy the build that wrote it; or free the key: durable-fsm delete {quote(place)} --abandon"
    return Diagnosis("unreadable", f"{place}: {what}", remedy)


def _refused(place: str, reason: str) -> Diagnosis:
    remedy = (
        "add a migration, keep its version with versions=, or deploy a build that reads it; keep the older deployment"
    )
    return Diagnosis("unreadable", f"{place}: {reason}", remedy)


def _machines_words(many: int) -> str:
    return "1 machine" if many == 1 else f"{many} machines"


def _overdue(machine: MachineRow, now: datetime) -> list[str]:
    """Events of timers that were due more than a minute ago."""
    if machine.stored is None:
        return []
    due = machine.stored.due
    late = {token for token, at in due.items() if now - datetime.fromtimestamp(at / 1_000, UTC) > OVERDUE}
    return [timer.event for timer in machine.stored.timers if timer.token in late]


def _invocations(admin: Admin) -> Iterator[Diagnosis]:
    rows = admin.query(
        "SELECT id, target, status, retry_count, last_failure FROM sys_invocation"
        " WHERE status IN ('backing-off', 'paused') ORDER BY id LIMIT 100"
    )
    for row in rows:
        why = row["last_failure"] or "no reason is known"
        if row["status"] == "paused":
            remedy = f"curl -X PATCH {admin.url}/invocations/{row['id']}/resume"
            yield Diagnosis("paused", f"{row['target']} is paused: {why}", remedy)
        else:
            what = f"{row['target']} is tried again ({row['retry_count']} attempts): {why}"
            yield Diagnosis("backing-off", what, "start its service, or register where it is: durable-fsm register URL")


def _deployments(admin: Admin, waiting: dict[str, str]) -> Iterator[Diagnosis]:
    """Older deployments, which no new invocation reaches.

    Args:
        waiting: why an older deployment of a chart may still be needed, by chart.
    """
    latest = {service["deployment_id"] for service in admin.ask("GET", "/services")["services"]}
    pinned = {
        row["pinned_deployment_id"]: int(row["many"])
        for row in admin.query(
            "SELECT pinned_deployment_id, count(*) AS many FROM sys_invocation WHERE status <> 'completed'"
            " AND pinned_deployment_id IS NOT NULL GROUP BY pinned_deployment_id"
        )
    }
    for deployment in admin.ask("GET", "/deployments")["deployments"]:
        id, uri = deployment["id"], deployment.get("uri") or deployment.get("arn")
        if id in latest:
            continue
        needed = [waiting[one["name"]] for one in deployment.get("services", ()) if one["name"] in waiting]
        if id in pinned:
            what = f"{pinned[id]} invocations still belong to the older deployment {id} at {uri}."
            yield Diagnosis("pinned", what, "keep it running until they are over; durable-fsm doctor says when")
        elif needed:
            what = f"The older deployment {id} at {uri} has no invocations left, but {'; '.join(needed)}."
            yield Diagnosis("kept", what, "do not remove it before every machine can be read: see 'unreadable'")
        else:
            remedy = f"curl -X DELETE '{admin.url}/deployments/{id}?force=true'"
            yield Diagnosis("stale", f"The older deployment {id} at {uri} has no invocations left.", remedy)
