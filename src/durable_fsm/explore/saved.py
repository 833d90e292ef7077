"""Everything that a search has seen, as JSON: for other programs, and for the coverage on a diagram.

`to_itf` writes one path in the Informal Trace Format, which Apalache, Quint and their viewers read:
https://apalache-mc.org/docs/adr/015adr-trace.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.step import active_in
from durable_fsm.core.values import Json
from durable_fsm.explore.moves import Move
from durable_fsm.explore.report import Finding, Report, walked
from durable_fsm.explore.stories import line_of

FORMAT = 1

LARGEST = 2**53 - 1
"""The largest number that every JSON parser reads exactly."""


def space_to_json(report: Report) -> dict[str, Json]:
    """All configurations and all moves between them.

    A configuration has the number of its place in the list. `transitions` says how many configurations and moves each
    transition was seen in, `states` in how many configurations each state is active.
    """
    graph, chart = report.graph, report.proofs.chart
    states: Counter[str] = Counter()
    transitions: Counter[str] = Counter(graph.taken_times)
    configurations: list[Json] = []
    edges: list[Json] = []
    for number, node in enumerate(graph.nodes):
        at = node.position
        states.update(active_in(chart, at.snapshot))
        configurations.append(
            {
                **_seen(at.snapshot),
                **({"held": at.held.id} if at.held is not None else {}),
                "depth": node.depth,
                "parent": node.parent,
            }
        )
        edges += [{"from": number, "to": to, "move": _move(move)} for move, to in node.out or ()]
    return {
        "format": FORMAT,
        "chart": chart.name,
        "version": chart.version,
        "digest": chart.digest,
        "closed": graph.is_closed,
        "states": dict(states),
        "transitions": {edge.key: transitions[edge.key] for edge in chart.transitions},
        "configurations": configurations,
        "edges": edges,
    }


def _move(move: Move) -> Json:
    clock: dict[str, Json] = {"after_ms": move.after_ms} if move.after_ms else {}
    return {**line_of(move), **clock}


def _seen(snapshot: Snapshot) -> dict[str, Json]:
    return {
        "leaves": list(snapshot.configuration),
        "status": snapshot.status.value,
        "data": snapshot.data,
        "running": [one.id for one in snapshot.activities],
        "stopping": [one.id for one in snapshot.stopping],
        "timers": [one.event for one in snapshot.timers if one.activity is None],
        "undo": [one.id for one in snapshot.undo],
        "deferred": [one.event for one in snapshot.deferred],
    }


def to_itf(report: Report, finding: Finding) -> dict[str, Json]:
    """The path of a finding as a trace."""
    positions, _ = walked(report.proofs.chart, finding.path, with_children=report.bounds.with_children)
    seen = [(at.snapshot, move) for at, move in zip(positions, finding.path, strict=False)]
    return {
        "#meta": {
            "format": "ITF",
            "format-description": "https://apalache-mc.org/docs/adr/015adr-trace.html",
            "description": f"{report.proofs.chart.name}: {finding.name} ({finding.claim})",
            "source": report.proofs.target,
        },
        "vars": ["move", *_seen(seen[0][0])] if seen else ["move"],
        "states": [_state(place, snapshot, move) for place, (snapshot, move) in enumerate(seen)],
    }


def _state(place: int, snapshot: Snapshot, move: Move) -> Json:
    values = {name: itf_value(value) for name, value in _seen(snapshot).items()}
    return {"#meta": {"index": place}, "move": move.words, **values}


def itf_value(value: Json) -> Json:
    """A plain value in the words of the format, which has neither null nor numbers with a fraction."""
    match value:
        case None:
            return {"tag": "None", "value": {"#tup": []}}
        case bool() | str():
            return value
        case int():
            return value if abs(value) <= LARGEST else {"#bigint": str(value)}
        case float():
            return {"#unserializable": repr(value)}
        case dict():
            pairs: Sequence[tuple[str, Json]] = list(value.items())
            if any(name.startswith("#") for name in value):
                return {"#map": [[name, itf_value(member)] for name, member in pairs]}
            return {name: itf_value(member) for name, member in pairs}
        case _:
            return [itf_value(one) for one in value]
