"""The result of a search, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from durable_fsm.core.chart import ROOT, Chart
from durable_fsm.core.step import MOST_DEFERRED
from durable_fsm.diagram.words import duration
from durable_fsm.explore.domains import CREATE, Domains
from durable_fsm.explore.family import player_for
from durable_fsm.explore.moves import ANY_ORDER, Move, MoveKind
from durable_fsm.explore.player import Position
from durable_fsm.explore.proofs import Proofs, checked_clock
from durable_fsm.explore.properties import BUILT_IN, Claim, Verdict, judge, may_fill, watch, where
from durable_fsm.explore.search import NOT_THE_SAME, Bounds, Many, StateSpace, search
from durable_fsm.explore.stories import Test, lines_of, slug

WIDE = 110
"""Columns of a line of the report."""

MOST_SHOWN = 5
"""Findings of one kind that are shown in full."""


@dataclass(frozen=True)
class Finding:
    """Something that does not hold, or that nothing was found of.

    Attributes:
        claim: the kind of property; `fault` for code that raised, `unreached` for a transition that is never taken.
        path: the moves that lead there, the first of which creates the machine.
        words: where they lead, and what is wrong there.
        transition: the key of the transition that is never taken.
    """

    name: str
    claim: str
    path: Sequence[Move] = ()
    words: str = ""
    transition: str = ""

    @property
    def slug(self) -> str:
        """The finding as part of a file's name."""
        return slug(self.name)


@dataclass
class Report:
    """The result of exploring one chart.

    Attributes:
        starts: keys of the machines with which it began; none if machines were created.
    """

    proofs: Proofs
    graph: StateSpace
    bounds: Bounds
    domains: Domains
    verdicts: list[Verdict] = field(default_factory=list[Verdict])
    findings: list[Finding] = field(default_factory=list[Finding])
    starts: Sequence[str] = ()

    @property
    def holds(self) -> bool:
        """Whether everything was explored, and nothing was found."""
        unknown = any(verdict.unknown for verdict in self.verdicts)
        return self.graph.is_closed and not self.findings and not unknown

    def test_of(self, finding: Finding) -> Test:
        """A test that fails as long as the finding is true."""
        return Test(self.proofs, finding.name, finding.claim, finding.path, finding.transition)

    # ── for people ────────────────────────────────────────────────────────────────────────────────────────────────────

    def lines(self) -> list[str]:
        """The report, line by line."""
        graph, chart = self.graph, self.proofs.chart
        counts = f"{len(graph.nodes):,} configurations, {graph.steps:,} steps"
        end = "closed" if graph.is_closed else f"not closed ({graph.end})"
        lines = [f"{chart.name} {chart.version}: {counts}, {end}, {graph.seconds:.1f} s."]
        lines += _wrapped("  within    ", self.within(), "; ")
        if not graph.is_closed and (grows := self.growth()):
            shown = ", ".join(f"{name} ×{count}" for name, count in grows)
            lines += [f"  grows     {shown}: narrow their domains, or give a view"]
        lines += _wrapped("  covered   ", self.coverage(), " · ")
        holding = [f"{claimed(one)}{self._shown_after(one)}" for one in self.verdicts if one.holds and not one.unknown]
        unknown = [claimed(one) for one in self.verdicts if one.unknown]
        lines += _wrapped("  holds     ", holding, " · ")
        lines += _wrapped("  unknown   ", unknown, " · ")
        lines += _wrapped("  note      ", self.notes(), "; ")
        for finding in self.findings[: MOST_SHOWN * 2]:
            lines += self.told(finding)
        if len(self.findings) > MOST_SHOWN * 2:
            lines.append(f"  … and {len(self.findings) - MOST_SHOWN * 2} more; --json lists them")
        return lines

    def _shown_after(self, one: Verdict) -> str:
        """How many moves it takes to see what a property says is seen sometimes."""
        return "" if one.node is None else f" ({moves_in_words(self.graph.nodes[one.node].depth)})"

    def told(self, finding: Finding) -> list[str]:
        """A finding with its path."""
        moves = [move.words for move in finding.path[1:]]
        after = f", after {moves_in_words(len(moves))}" if moves else ", at the beginning" if finding.path else ""
        lines = [f"  violated  {claimed(finding)}{after}{':' if moves else ''}"]
        lines += _wrapped("              ", moves, " · ")
        return [*lines, f"            {finding.words}"] if finding.words else lines

    def within(self) -> list[str]:
        """The bounds of the search, each as a phrase."""
        graph, bounds = self.graph, self.bounds
        times = "once" if bounds.k == 1 else f"up to {bounds.k} times"
        found = [f"from {_from(self.starts)}"] if self.starts else []
        found.append(f"equal things count {times}")
        if bounds.with_children:
            found.append("children take part, and messages between them arrive at once")
        if self.domains.clock_ms:
            lengths = [duration(timedelta(milliseconds=one)) for one in self.domains.clock_ms]
            found.append(f"the clock moves 0 or {' or '.join(lengths)} before a move, if no timer is due on the way")
        if bounds.timers != ANY_ORDER:
            found.append("timers in order")
        sampled = (CREATE, *self.proofs.chart.events, *self.proofs.chart.activities)
        count = sum(len(self.domains.payloads(name)) > 1 and name not in self.domains.declared for name in sampled)
        if count:
            found.append(f"samples for {count} {'type' if count == 1 else 'types'}")
        found += [f"{name} by sign or size" for name in sorted(graph.keys.coarse)]
        found += [f"{name} as its view shows it" for name in sorted(graph.keys.view)]
        untyped = [id for id in self.domains.untyped if id not in self.domains.declared]
        found += [f"null as the result of '{id}', whose type is unknown" for id in untyped]
        found += [f"no payload for '{name}': name one with domain(…)" for name in self.domains.unsampled]
        return found

    def notes(self) -> list[str]:
        """Facts that are good to know, each as a phrase; none is a finding."""
        nodes = self.graph.nodes
        return [
            f"in {where(nodes[number].position.snapshot)} only an event from outside lets the machine take '{name}':"
            f" when {MOST_DEFERRED:,} wait, the next is answered with 429"
            for number, name in may_fill(self.graph)
        ]

    def growth(self) -> list[tuple[str, int]]:
        """The members that took most values, the most first."""
        counts = [(name.removeprefix("$."), len(values)) for name, values in self.graph.keys.seen.items()]
        return sorted((one for one in counts if one[1] > 2), key=lambda one: (-one[1], one[0]))[:MOST_SHOWN]

    def coverage(self) -> list[str]:
        """How much of the chart was seen."""
        return [f"{name} {seen}/{of}{more}" for name, seen, of, more in self._covered()]

    def _covered(self) -> list[tuple[str, int, int, str]]:
        graph, chart = self.graph, self.proofs.chart
        active = {id for node in graph.nodes for id in graph.moment_states(node)}
        states = [id for id, state in chart.states.items() if id != ROOT and not state.kind.is_history]
        ends = [(kind, id) for id in chart.activities for kind in (MoveKind.DONE.value, MoveKind.ERROR.value)]
        timers = {timer.event for state in chart.states.values() for timer in state.timers}
        guards = {(edge.key, guard.label) for edge in chart.transitions for guard in edge.guards}
        both = {(key, label) for key, label in guards if {(key, label, True), (key, label, False)} <= graph.answers}
        one_way = [
            f"{label} is {'never true' if (key, label, True) not in graph.answers else 'never false'}"
            for key, label in sorted(guards - both)
        ]
        transitions = len(chart.transitions)
        found = [
            ("states", len(active.intersection(states)), len(states), ""),
            ("transitions", transitions - len(self.never_taken()), transitions, ""),
            ("outcomes", sum(end in graph.moved for end in ends), len(ends), ""),
            ("timers", sum((MoveKind.TIMER.value, event) in graph.moved for event in timers), len(timers), ""),
            ("guards both ways", len(both), len(guards), f": {', '.join(dict.fromkeys(one_way))}" if one_way else ""),
        ]
        return [row for row in found if row[2]]

    def never_taken(self) -> list[str]:
        """Keys of the transitions that no move took."""
        return [edge.key for edge in self.proofs.chart.transitions if edge.key not in self.graph.taken]

    # ── for programs ──────────────────────────────────────────────────────────────────────────────────────────────────

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The report as JSON."""
        graph, chart = self.graph, self.proofs.chart
        return {
            "chart": chart.name,
            "version": chart.version,
            "configurations": len(graph.nodes),
            "steps": graph.steps,
            "closed": graph.is_closed,
            "end": graph.end,
            "seconds": round(graph.seconds, 3),
            "bounds": {
                "k": self.bounds.k,
                "depth": self.bounds.depth,
                "timers": self.bounds.timers,
                "within": self.within(),
            },
            "growth": dict(self.growth()),
            "notes": self.notes(),
            "coverage": {name: {"seen": seen, "of": of} for name, seen, of, _ in self._covered()},
            "unreached": self.never_taken(),
            "verdicts": [
                {
                    "name": one.name,
                    "claim": one.claim,
                    "verdict": "unknown" if one.unknown else "holds" if one.holds else "violated",
                }
                for one in self.verdicts
            ],
            "findings": [
                {
                    "name": one.name,
                    "claim": one.claim,
                    "words": one.words,
                    "story": lines_of(one.path),
                }
                for one in self.findings
            ],
        }


def explore(
    proofs: Proofs, bounds: Bounds | None = None, *, many: Many | None = None, starts: Sequence[Move] = ()
) -> Report:
    """Explore a chart, and judge its properties and what must hold of every chart.

    Args:
        starts: Moves that begin with the snapshots of machines. Then a transition that is never taken is not a finding,
            and properties that hold of some configuration are not asked: they are about machines from their beginning.

    Raises:
        BadProofs: A domain or a property cannot be meant.
        MachineError: A snapshot does not fit the chart.
    """
    bounds = bounds or Bounds()
    domains = Domains(proofs.chart, proofs.domains, checked_clock(proofs.chart, proofs.clock))
    asked = [one for one in proofs.properties if not (starts and one.claim is Claim.SOMETIMES)]
    graph = search(proofs.chart, domains, bounds=bounds, view=proofs.view, starts=starts, many=many, watch=watch(asked))
    report = Report(proofs, graph, bounds, domains, starts=[move.name for move in starts])
    report.verdicts = [judge(graph, one) for one in (*asked, *BUILT_IN)]
    for verdict in report.verdicts:
        if not verdict.holds and not verdict.unknown:
            report.findings.append(_violated(graph, verdict))
    seen: set[str] = set()
    for fault in graph.faults:
        if fault.error not in seen:
            seen.add(fault.error)
            path = [*(graph.path(fault.node) if fault.node >= 0 else []), fault.move]
            name, claim = ("its code does not fail", "fault")
            if fault.error == NOT_THE_SAME:
                name, claim = ("its code decides the same twice", "differs")
            words = fault.error
            if fault.move.kind is MoveKind.DONE and fault.move.name in domains.untyped:
                words += f" The type of this result is unknown: name values with domain('{fault.move.name}', …)."
            report.findings.append(Finding(name, claim, path, words))
    if graph.is_closed and not starts:
        report.findings += [_unreached(report, key) for key in report.never_taken()]
    return report


def _violated(graph: StateSpace, verdict: Verdict) -> Finding:
    if verdict.node is None:
        words = f"none of {len(graph.nodes):,} configurations is such"
        return Finding(verdict.name, verdict.claim, words=words)
    path = [*graph.path(verdict.node), *verdict.last]
    words = verdict.words or _end_of(graph.chart, path, with_children=graph.with_children)
    if verdict.error:
        words += f"; the property raises {verdict.error}"
    if verdict.path:
        words += f": {' · '.join(move.words for move in verdict.path)}"
    return Finding(verdict.name, verdict.claim, path, words)


def _end_of(chart: Chart, path: Sequence[Move], *, with_children: bool) -> str:
    """Where a path ends, and where the last transition on it is written."""
    positions, steps = walked(chart, path, with_children=with_children)
    taken = [key for step in steps for key in step]
    words = f"ends in {where(positions[-1].snapshot)}"
    edge = next((edge for edge in chart.transitions if taken and edge.key == taken[-1]), None)
    if edge is None or edge.location is None:
        return words
    file = Path(edge.location.file)
    near = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return f"{words}; the last transition, '{' '.join(edge.events) or 'always'}', is at {near}:{edge.location.line}"


def _unreached(report: Report, key: str) -> Finding:
    """A transition that was never taken, with a path to its source and the event that should take it."""
    graph, chart = report.graph, report.proofs.chart
    edge = next(edge for edge in chart.transitions if edge.key == key)
    name = f"transition '{key}' is taken"
    node = next((n for n, node in enumerate(graph.nodes) if edge.source in graph.moment_states(node)), None)
    if node is None:
        return Finding(name, "unreached", words=f"its source '{edge.source}' is never active", transition=key)
    guards = [guard.label for guard in edge.guards if (key, guard.label, True) not in graph.answers]
    asked = [label for label in guards if (key, label, False) in graph.answers]
    words = f"in {where(graph.nodes[node].position.snapshot)}: " + (
        f"guard '{asked[0]}' is never true" if asked else "no transition accepts it"
    )
    return Finding(name, "unreached", graph.path(node), words, key)


def claimed(one: Verdict | Finding) -> str:
    """A property for people: those that say what must not be, or what is seen once, say so."""
    return f"{one.claim}: {one.name}" if one.claim in (Claim.NEVER, Claim.SOMETIMES, Claim.CAN_ALWAYS) else one.name


def walked(
    chart: Chart, path: Sequence[Move], *, with_children: bool = False
) -> tuple[list[Position], list[Sequence[str]]]:
    """The positions along a path, and the keys of the transitions that each of its moves takes."""
    player = player_for(chart, with_children=with_children)
    positions: list[Position] = []
    taken: list[Sequence[str]] = []
    for place, move in enumerate(path):
        played = player.begin(move) if place == 0 else player.play(positions[-1], move)
        taken.append(played.transitions)
        if played.position is None:
            break
        positions.append(played.position)
    return positions, taken


def _from(keys: Sequence[str]) -> str:
    return f"the snapshot of {keys[0]}" if len(keys) == 1 else f"the snapshots of {len(keys)} machines"


def moves_in_words(count: int) -> str:
    """A number of moves."""
    return "1 move" if count == 1 else f"{count} moves"


def _wrapped(head: str, words: Sequence[str], between: str) -> list[str]:
    """Phrases in lines of a readable length; nothing for none."""
    lines: list[str] = []
    line = ""
    for one in words:
        joined = f"{line}{between}{one}" if line else one
        if line and len(head) + len(joined) > WIDE:
            lines.append(f"{line}{between.rstrip()}")
            line = one
        else:
            line = joined
    if line:
        lines.append(line)
    return [f"{head if place == 0 else ' ' * len(head)}{line}" for place, line in enumerate(lines)]
