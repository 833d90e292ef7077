"""The findings of `durable-fsm doctor`: machines, invocations and deployments that need an operator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from shlex import quote

from durable_fsm.admin.client import Admin
from durable_fsm.admin.conditions import unreadable_values
from durable_fsm.admin.deployments import Services, findings_about, silence_of, unregistered
from durable_fsm.admin.failing_activities import FailingActivities, Patience
from durable_fsm.admin.inventory import MachineRow, charts_in, every_machine_of
from durable_fsm.admin.limits import unreadable_limits
from durable_fsm.admin.problems import Diagnosis
from durable_fsm.admin.readability import CurrentBuilds, Shapes, Unanswered
from durable_fsm.admin.waiting_letters import waiting_letters
from durable_fsm.core.durations import instant_of
from durable_fsm.core.snapshot import Status
from durable_fsm.restate.names import ENDED_ITS_PROCESS
from durable_fsm.restate.stored.deliveries import ParkedDelivery

LISTED = 5
"""Parked deliveries of one machine that are reported in full."""

OVERDUE = timedelta(minutes=1)


def diagnoses(
    admin: Admin, patience: Patience | None = None, builds: CurrentBuilds | None = None
) -> Iterator[Diagnosis]:
    """Every problem of the server's machines, invocations and deployments; *builds* are asked what they can read."""
    services = Services.of(admin)
    asked = services.asked()
    silent = [] if builds is None else services.silent(asked, builds.answers)
    for deployment in silent:
        yield silence_of(deployment, asked[deployment.id])  # the cause of many others
    waiting = {name: f"the current build of {name} does not answer" for one in silent for name in one.newest}
    yield from waiting_letters(admin)
    yield from unreadable_limits(admin)
    for chart in charts_in(admin):
        shapes, failing = Shapes(chart), FailingActivities(admin, chart, patience or Patience())
        yield from _machines(admin, chart, shapes, failing)
        yield from failing.findings()
        if chart not in services.handlers:
            yield unregistered(chart, f"it has {_machines_words(shapes.many)}")
        elif builds is not None and chart not in waiting:
            yield from _refusals(chart, shapes, builds, waiting)
    yield from _invocations(admin)
    for deployment in services.deployments:
        yield from findings_about(admin, deployment, asked[deployment.id], services, waiting)


def _refusals(chart: str, shapes: Shapes, builds: CurrentBuilds, waiting: dict[str, str]) -> Iterator[Diagnosis]:
    """The machines that the current build cannot read; *waiting* gets why an older build may still be needed."""
    try:
        refused = shapes.refused(builds)
    except Unanswered as error:
        waiting[chart] = f"the current build of {chart} does not say which machines it can read: {error}"
        return
    for key, reason in sorted(refused.items()):
        yield _refused(chart, key, reason)
    if refused:
        waiting[chart] = f"the current build of {chart} cannot read {_machines_words(len(refused))}"


def _machines(admin: Admin, chart: str, shapes: Shapes, failing: FailingActivities) -> Iterator[Diagnosis]:
    now = datetime.now(UTC)
    found: list[tuple[str, Diagnosis]] = []
    for machine in every_machine_of(admin, chart):
        failing.take(machine)
        if machine.stored is not None:
            shapes.add(machine.key, machine.stored)
        found += [(machine.key, problem) for problem in _problems_of(machine, now)]
    yield from (problem for _, problem in sorted(found, key=lambda one: one[0]))
    for key, name, problem in unreadable_values(admin, chart):
        yield _unreadable(chart, key, f"its '{name}' cannot be read: {problem}")


def _problems_of(machine: MachineRow, now: datetime) -> Iterator[Diagnosis]:
    chart, key = machine.chart, machine.key
    place = f"{chart}/{key}"
    named = quote(place)
    stored = machine.stored
    if stored is not None and stored.failure is not None and machine.status == Status.FAILED:
        failure = stored.failure
        message = f"{failure.message} That was in {failure.machine}." if failure.machine else failure.message
        remedy = f"durable-fsm repair {named} --help"
        yield Diagnosis("failed", f"{place} has failed: {message}", remedy, chart, key, stored.at)
    if machine.problem is not None:
        yield _unreadable(chart, key, f"its snapshot cannot be read: {machine.problem}")
    if stored is not None and stored.paused is not None:
        pause = stored.paused.view
        what = f"{place}: an operator has paused it since {pause['since']}: {pause['reason']}"
        remedy = f"durable-fsm repair {named} --resume --reason …"
        yield Diagnosis("paused", what, remedy, chart, key, stored.paused.since)
    remedy = f"deploy a build that can process it; then durable-fsm repair {named} --resend --reason …"
    for parked in machine.waiting[:LISTED]:
        yield Diagnosis("parked", f"{place}: {_parked(parked)}", remedy, chart, key, parked.since or None)
    if (more := machine.parked - len(machine.waiting[:LISTED])) > 0:
        yield Diagnosis("parked", f"{place}: {more} more deliveries are parked.", remedy, chart, key)
    if machine.stuck is not None:
        remedy = f"fix or start its service; durable-fsm doctor again. Paused: durable-fsm show {named}"
        yield Diagnosis("stuck", f"{place}: {machine.stuck}", remedy, chart, key)
    for event, due in _overdue(machine, now):
        remedy = "is its service running and registered?"
        yield Diagnosis("overdue", f"{place}: timer '{event}' is overdue.", remedy, chart, key, due)


def _parked(delivery: ParkedDelivery) -> str:
    shown = delivery.view
    place = f" ({delivery.place})" if delivery.place else ""
    when = f"{shown['since']}, tried {delivery.tries} times, next at {shown['next']}"
    return f"'{shown['event']}' could not be processed since {when}: {delivery.type}: {delivery.reason}{place}"


def _unreadable(chart: str, key: str, what: str) -> Diagnosis:
    place = f"{chart}/{key}"
    remedy = f"deploy the build that wrote it; or free the key: durable-fsm delete {quote(place)} --abandon"
    return Diagnosis("unreadable", f"{place}: {what}", remedy, chart, key)


def _refused(chart: str, key: str, reason: str) -> Diagnosis:
    remedy = (
        "add a migration, keep its version with versions=, or deploy a build that reads it; keep the older deployment"
    )
    return Diagnosis("unreadable", f"{chart}/{key}: {reason}", remedy, chart, key)


def _machines_words(many: int) -> str:
    return "1 machine" if many == 1 else f"{many} machines"


def _overdue(machine: MachineRow, now: datetime) -> list[tuple[str, int]]:
    """Events of timers that were due more than a minute ago, and when that was."""
    if machine.stored is None:
        return []
    due = machine.stored.due
    late = {token: at for token, at in due.items() if now - instant_of(at) > OVERDUE}
    return [(timer.event, late[timer.token]) for timer in machine.stored.timers if timer.token in late]


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
        elif ENDED_ITS_PROCESS in why:
            remedy = f"deploy code that does not crash; then curl -X PATCH {admin.url}/invocations/{row['id']}/resume"
            yield Diagnosis("crashing", f"{row['target']}: {why}", remedy)
        else:
            what = f"{row['target']} is tried again ({row['retry_count']} attempts): {why}"
            yield Diagnosis("backing-off", what, "start its service, or register where it is: durable-fsm register URL")
