"""The futures of each kind of machine under a build: every move that it can make, with guards, from where it is.

The verdict of a machine assumes that guards may say yes. Here they are asked, with samples of payloads and results.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from durable_fsm.core.codec import snapshot_to_json
from durable_fsm.core.snapshot import Status
from durable_fsm.core.upgrade import upgrade
from durable_fsm.explore.moment import Moment
from durable_fsm.explore.moves import Move, MoveKind
from durable_fsm.explore.proofs import Proofs
from durable_fsm.explore.properties import Property, can_always
from durable_fsm.explore.report import explore
from durable_fsm.explore.search import Bounds
from durable_fsm.plan.judging import Judge
from durable_fsm.plan.kinds import KindCount
from durable_fsm.plan.plan_file import PlanVerdict

CONTINUES = (PlanVerdict.STAYS, PlanVerdict.MOVES, PlanVerdict.CHANGES)

BOUNDS = Bounds(seconds=5.0, most=5_000)
"""How far each kind is explored: there may be many, and `durable-fsm explore --from` goes further."""


class Future(NamedTuple):
    """The exploration of one kind: whether it saw everything, and what it found, one sentence each."""

    kind: KindCount
    closed: bool
    found: tuple[str, ...]

    @property
    def row(self) -> dict[str, Any]:  # Any: JSON
        """As JSON."""
        kind = self.kind
        states, machines = list(kind.fate.states), kind.machines
        return {
            "states": states,
            "machines": machines,
            "example": kind.example,
            "closed": self.closed,
            "found": self.found,
        }


def future_of(judge: Judge, kind: KindCount) -> Future | None:
    """Explore a kind of machine that continues; None if it does not, or if no snapshot of it was kept."""
    machine = kind.snapshot
    if machine is None or machine.status is not Status.RUNNING or kind.fate.verdict not in CONTINUES:
        return None
    found = upgrade(judge.chart, machine)
    settled = judge.turn(found).machine
    chart = found.chart
    asked: list[Property] = [can_always("it can end", _has_ended)] if judge.reachability(chart).beginning().ends else []
    start = Move(MoveKind.SNAPSHOT, kind.example, snapshot_to_json(settled))
    report = explore(Proofs(chart, properties=asked), BOUNDS, starts=[start])
    sentences = (
        f"{one.name}: {' · '.join(move.words for move in one.path[1:]) or 'at once'}{f': {one.words}' if one.words else ''}"
        for one in report.findings
        if one.claim != "unreached"
    )
    return Future(kind, report.graph.is_closed, tuple(sentences))


def _has_ended(moment: Moment) -> bool:
    return moment.status != Status.RUNNING.value
