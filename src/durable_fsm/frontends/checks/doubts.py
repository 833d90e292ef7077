"""Suspicions that a front-end has while it reads: certain mistakes are problems, the others are warnings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from durable_fsm.core.lint import ChartFinding
from durable_fsm.core.values import Location
from durable_fsm.frontends.arguments import Report


@dataclass(frozen=True, slots=True)
class Doubt:
    """A suspicion about a callback; a certain one is a mistake in any case."""

    what: str
    remedy: str
    location: Location | None
    certain: bool


def refuse_certain(doubts: Iterable[Doubt], problem: Report) -> list[ChartFinding]:
    """Report the certain ones; return the others, for warnings."""
    found: list[ChartFinding] = []
    for doubt in doubts:
        if doubt.certain:
            problem(doubt.what, doubt.remedy, doubt.location)
        else:
            found.append(ChartFinding("doubtful", doubt.what, doubt.remedy, doubt.location))
    return found
