"""Findings about activities that fail and are tried again: one for each cause, however many machines it holds up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from shlex import quote
from typing import NamedTuple

from durable_fsm.admin.client import Admin, literal
from durable_fsm.admin.conditions import failing_steps
from durable_fsm.admin.inventory import MachineRow
from durable_fsm.admin.problems import Diagnosis
from durable_fsm.restate.stored.failing import FailingStep


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, or for how long, an activity must fail to be reported."""

    attempts: int = 2
    failing_for: timedelta = timedelta(minutes=1)

    def is_over(self, step: FailingStep, now: datetime) -> bool:
        return step.attempt >= self.attempts or now - _instant(step.since) >= self.failing_for


class Cause(NamedTuple):
    """Steps that fail at the same place, with the same exception."""

    activity: str
    undo: bool
    type: str
    place: str


class FailingActivities:
    """The activities of one chart that fail, by cause."""

    def __init__(self, admin: Admin, chart: str, patience: Patience) -> None:
        self._admin = admin
        self._chart = chart
        self._patience = patience
        self._known: set[str] = set()
        self._causes: dict[Cause, list[tuple[str, FailingStep]]] = {}

    def take(self, machine: MachineRow) -> None:
        self._known.add(machine.key)
        self._keep(machine.key, machine.failing)

    def findings(self) -> Iterator[Diagnosis]:
        for key, steps in failing_steps(self._admin, self._chart).items():
            if key not in self._known:
                # A flow has no machine; its key is its life, with which its tokens begin.
                self._keep(key, [step for step in steps if step.detached or step.token.startswith(f"{key}.")])
        for cause, found in sorted(self._causes.items()):
            yield _diagnosis(self._admin, self._chart, cause, found)

    def _keep(self, key: str, steps: Iterable[FailingStep]) -> None:
        now = datetime.now(UTC)
        for step in steps:
            if self._patience.is_over(step, now):
                cause = Cause(step.activity, step.undo, step.type, step.place)
                self._causes.setdefault(cause, []).append((key, step))


def _diagnosis(admin: Admin, chart: str, cause: Cause, found: list[tuple[str, FailingStep]]) -> Diagnosis:
    keys = {key for key, _ in found}
    key, worst = max(found, key=lambda one: one[1].attempt)
    began = min(step.since for _, step in found)
    since = _instant(began).isoformat(timespec="seconds")
    work = f"{'the undo of ' if cause.undo else ''}activity '{cause.activity}'"
    machines = "1 machine" if len(keys) == 1 else f"{len(keys)} machines"
    what = f"{chart}: {work} of {machines} fails: {worst.type}: {worst.message}"
    what += f" ({cause.place})" if cause.place else ""
    what += f", since {since}, up to {worst.attempt} attempts, e.g. {chart}/{key}."
    remedy = f"durable-fsm show {quote(f'{chart}/{key}')}; correct the code, and deploy it in the same place"
    older = _older_deployment(admin, worst)
    if older is not None:
        remedy += f": its attempts run on the older deployment at {older}"
    return Diagnosis("failing", what, remedy, chart, key, began)


def _older_deployment(admin: Admin, step: FailingStep) -> str | None:
    """Where the attempts of the step run, if that is not the newest deployment of their service."""
    rows = admin.query(
        "SELECT pinned_deployment_id, target_service_name FROM sys_invocation"
        f" WHERE id = {literal(step.invocation)} AND pinned_deployment_id IS NOT NULL"
    )
    for row in rows:
        services = admin.ask("GET", "/services")["services"]
        newest = {service["name"]: service["deployment_id"] for service in services}
        if newest.get(row["target_service_name"]) != row["pinned_deployment_id"]:
            deployment = admin.ask("GET", f"/deployments/{row['pinned_deployment_id']}")
            return str(deployment.get("uri") or deployment.get("arn"))
    return None


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1_000, UTC)
