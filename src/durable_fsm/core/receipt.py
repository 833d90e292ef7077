"""The answer to the sender of an event."""

from __future__ import annotations

from dataclasses import dataclass

from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import failure_to_json
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.step import active_in
from durable_fsm.core.values import Json


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to one event, or to another call that may change the machine; without the machine's data.

    Attributes:
        chart: name of the chart.
        seq: macrosteps taken so far.
        outcome: `taken`, `ignored`, `deferred` or `stale` for an event; `created`, `exists`, `deleted`, `repaired` or
            `met` for other calls.
        configuration: ids of all active states in document order.
        reply: what the last transition action of the turn returned, if anything.
        output, failure: of a machine that has ended; the failure of one that has failed, too.
    """

    chart: str
    key: str
    seq: int
    event: str
    outcome: str
    configuration: tuple[str, ...]
    status: Status
    reply: Json = None
    output: Json = None
    failure: Json = None

    @classmethod
    def of(cls, chart: Chart, key: str, machine: Snapshot, *, event: str, outcome: str, reply: Json) -> Receipt:
        """The receipt for *event*, after the turn that left *machine*."""
        configuration = active_in(chart, machine)
        return cls(
            chart.name, key, machine.seq, event, outcome, configuration, machine.status, reply, **end_of(machine)
        )


def end_of(machine: Snapshot) -> dict[str, Json]:
    """How a machine has ended, as its receipts tell it; empty while it runs."""
    if machine.status is Status.RUNNING:
        return {}
    failure = machine.failure
    return {"output": machine.output, "failure": None if failure is None else failure_to_json(failure)}
