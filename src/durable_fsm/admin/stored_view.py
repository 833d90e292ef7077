"""A machine as its service would show it, from the server's own data: for readers while the service does not answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self, cast

from durable_fsm.admin.client import Admin
from durable_fsm.admin.histories import histories_of
from durable_fsm.admin.inventory import MachineRow
from durable_fsm.admin.limits import slots_of
from durable_fsm.admin.readings import AsOf, Stopwatch
from durable_fsm.client.values import Entry, View, as_it_is
from durable_fsm.core.codec import snapshot_to_json
from durable_fsm.core.values import Json
from durable_fsm.restate.clock import instant
from durable_fsm.restate.stored.failing import FailingStep, failing_detached, undoing, with_failing
from durable_fsm.restate.stored.limits import with_slots
from durable_fsm.restate.stored.snapshot import StoredRecord, shown_deferred


class StoredView(NamedTuple):
    """A machine, and the latest entries of its history, as far as they can be read without the chart."""

    view: View[Json]
    entries: tuple[Entry, ...]
    as_of: AsOf

    @classmethod
    def read(cls, admin: Admin, machine: MachineRow, stored: StoredRecord, *, last: int, watch: Stopwatch) -> Self:
        """The view, with the *last* entries of the history; *watch* began when the machine was read."""
        slots = slots_of(admin, machine.chart, machine.key)
        entries = histories_of(admin, machine.chart, {machine.key: stored}, last)[machine.key] if last else ()
        return cls(View.of(_record_of(machine, stored, slots), as_it_is), entries, watch.read())


def _record_of(machine: MachineRow, stored: StoredRecord, slots: Mapping[str, Json]) -> dict[str, Json]:
    """The answer of `snapshot`, as far as that needs no chart: without accepted events, and with leaves only."""
    record = snapshot_to_json(stored)
    failing: dict[str, list[FailingStep]] = {}
    for step in machine.failing:
        failing.setdefault(step.token, []).append(step)

    def runs(name: str) -> list[dict[str, Json]]:
        return cast("list[dict[str, Json]]", record.get(name, []))

    activities = with_failing(with_slots(runs("activities"), slots), failing)
    stopping = with_failing(runs("stopping"), failing)
    live = {str(run["token"]) for run in (*activities, *stopping)}
    due = {token: instant(at) for token, at in stored.due.items()}
    leaves: list[Json] = [*stored.configuration]
    return {
        "chart": machine.chart,
        "key": machine.key,
        "version": stored.version,
        "life": stored.life,
        "seq": stored.seq,
        "status": stored.status.value,
        "configuration": leaves,
        "leaves": leaves,
        "data": stored.data,
        "output": stored.output,
        "failure": record.get("failure"),
        "answer": record.get("answer"),
        "events": [],
        "timers": [{**timer, "due": due.get(str(timer["token"]))} for timer in runs("timers")],
        "activities": cast("Json", activities),
        "deferred": shown_deferred(record),
        "undo": cast("Json", with_failing(runs("undo"), failing, undoing)),
        "stopping": cast("Json", stopping),
        "detached": cast("Json", failing_detached(failing, live)),
        "parked": [cast("Json", delivery.view) for delivery in machine.waiting],
    }
