"""Paths that together take every transition that can be taken, and events that are refused on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from durable_fsm.explore.moves import Move
from durable_fsm.explore.report import Report, walked


class Cover(NamedTuple):
    """Paths, and how much they cover.

    Attributes:
        paths: each with the leaves after each of its moves.
        refused: paths, each with an event that is refused at its end.
        transitions: keys of the transitions that the paths take.
    """

    paths: list[tuple[Sequence[Move], list[tuple[str, ...]]]]
    refused: list[tuple[Sequence[Move], Move]]
    transitions: set[str]


def cover(report: Report) -> Cover:
    """Choose paths greedily: the one first that leads farthest, then what is still missing."""
    graph, chart = report.graph, report.proofs.chart
    missing = set(graph.taken)
    ends = {key: [*(graph.path(node) if node >= 0 else []), move] for key, (node, move) in graph.taken.items()}
    found = Cover([], [], set())
    for key in sorted(ends, key=lambda key: (-len(ends[key]), key)):
        if key in missing:
            positions, steps = walked(chart, ends[key], with_children=graph.with_children)
            taken = {key for step in steps for key in step}
            missing -= taken
            found.transitions.update(taken)
            found.paths.append((ends[key], [at.snapshot.configuration for at in positions]))
    refused: dict[str, tuple[Sequence[Move], Move]] = {}
    for (node, event), move in graph.refused.items():
        if graph.nodes[node].position.held is None:
            refused.setdefault(event, (graph.path(node), move))
    found.refused.extend(refused[event] for event in sorted(refused))
    return found
