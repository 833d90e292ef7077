"""A machine as its service would show it, from the server's own data: for readers while the service does not answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self, cast

from durable_fsm.admin.inventory import MachineRow
from durable_fsm.client.values import Entry, View, as_it_is
from durable_fsm.core.codec import snapshot_to_json
from durable_fsm.core.values import Json
from durable_fsm.restate.clock import instant
from durable_fsm.restate.fastjson import loads
from durable_fsm.restate.stored.failing import FailingStep, failing_detached, undoing, with_failing
from durable_fsm.restate.stored.history import shown
from durable_fsm.restate.stored.limits import with_slots
from durable_fsm.restate.stored.snapshot import StoredRecord, shown_deferred


class StoredView(NamedTuple):
    """A machine, and the latest entries of its history: all that can be read without the chart."""

    view: View[Json]
    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, machine: MachineRow, stored: StoredRecord, slots: Mapping[str, Json]) -> Self:
        """The view; *slots* are those of its activities, by token."""
        tail = stored.log.tail if stored.log is not None else ()
        records = [shown(loads(bytes(entry))) for entry in tail]
        entries = (Entry(cast("int", record["n"]), str(record.get("event", "")), record) for record in records)
        return cls(View.of(_record_of(machine, stored, slots), as_it_is), tuple(entries))

    def history(self, after: int) -> list[Entry]:
        """The entries after this one."""
        return [entry for entry in self.entries if entry.n > after]


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
