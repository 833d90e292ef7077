"""Overlays: what is known of the states and transitions of a chart, drawn on its picture.

An overlay is a value. It names states by id and transitions by key, says in words and numbers what is known of each, and
brings its legend along: colour alone never tells anything. The functions below make the four kinds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from durable_fsm.core.chart import ROOT, Chart, Kind

Tone: TypeAlias = Literal["pop1", "pop2", "pop3", "green", "amber", "red", "violet", "blue", "grey"]
"""The colours of an overlay; `pop1` to `pop3` are shades of one, from few to many."""

SHADES: tuple[Tone, ...] = ("pop1", "pop2", "pop3")

VERDICTS: Mapping[str, tuple[Tone, str]] = {
    "unreadable": ("red", "cannot be read"),
    "blocked": ("red", "cannot continue"),
    "stranded": ("violet", "can never end"),
    "held": ("blue", "move when their work is over"),
    "changes": ("amber", "continue with other behaviour"),
    "moves": ("green", "migrate"),
    "stays": ("grey", "continue unchanged"),
    "over": ("grey", "have ended"),
}
"""The verdicts of a plan, the worst first: the tone, and what it means for machines."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that is known of one state or one transition.

    Attributes:
        count: how often, or how many; those of folded states are added up.
        word: after the count on the badge; empty for the count alone.
        text: shown in place of the count and the word.
        things: what is counted, for the tooltip.
    """

    tone: Tone
    count: int = 0
    word: str = ""
    text: str = ""
    things: str = ""

    @property
    def shown(self) -> str:
        """The words of its badge."""
        return self.text or " ".join(filter(None, (f"{self.count:,}", self.word)))

    @property
    def tooltip(self) -> str:
        """The words of its tooltip."""
        return f"{self.shown} {self.things}".strip()


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a legend: a badge or a box in a tone, and what it means."""

    tone: Tone
    shown: str
    means: str


@dataclass(frozen=True)
class Overlay:
    """Marks on states and transitions, and their legend.

    Attributes:
        title: what is shown, and as of when.
    """

    title: str
    states: Mapping[str, Sequence[Mark]] = field(default_factory=dict[str, Sequence[Mark]])
    transitions: Mapping[str, Sequence[Mark]] = field(default_factory=dict[str, Sequence[Mark]])
    legend: Sequence[Sample] = ()

    @property
    def most(self) -> int:
        """The largest count of a state."""
        return max((mark.count for marks in self.states.values() for mark in marks if mark.tone in SHADES), default=0)

    def shade(self, count: int) -> Tone:
        """The shade of a count: three steps of equal ratio, up to the largest one."""
        share = math.log1p(count) / math.log1p(max(self.most, 1))
        return SHADES[min(int(share * len(SHADES)), len(SHADES) - 1)]

    def on(self, names: Iterable[str], marks: Mapping[str, Sequence[Mark]]) -> list[Mark]:
        """The marks of what is drawn for several states or transitions: those of one tone are added up."""
        found: dict[tuple[str, str], Mark] = {}
        for name in names:
            for mark in marks.get(name, ()):
                key = (mark.tone, mark.word)
                known = found.get(key)
                found[key] = mark if known is None else _added(known, mark)
        return [replace(one, tone=self.shade(one.count)) if one.tone in SHADES else one for one in found.values()]

    @property
    def sentences(self) -> str:
        """The overlay for readers who do not see it."""
        told = [
            f"{name}: {', '.join(mark.tooltip for mark in marks)}"
            for name, marks in (*self.states.items(), *self.transitions.items())
            if marks
        ]
        return f"{self.title}. {'; '.join(told)}." if told else f"{self.title}."


def _added(one: Mark, other: Mark) -> Mark:
    text = "·".join(dict.fromkeys(filter(None, (*one.text.split("·"), *other.text.split("·")))))
    return Mark(one.tone, one.count + other.count, one.word, text, one.things)


def population(
    chart: Chart, machines: Mapping[str, int], *, failed: Mapping[str, int] | None = None, title: str
) -> Overlay:
    """How many machines are in each state.

    Args:
        machines: by id of the state, those inside compound states included.
        failed: those of them that have failed, by id of the innermost state.
        title: what is shown, and as of when.
    """
    states: dict[str, list[Mark]] = {}
    for id, state in chart.states.items():
        if id == ROOT or state.kind.is_history or chart.states[state.parent or ROOT].kind is Kind.PARALLEL:
            continue  # each region has as many machines as the state around it
        if machines.get(id):
            states[id] = [Mark("pop1", machines[id], things="machines")]
        if failed and failed.get(id):
            states.setdefault(id, []).append(Mark("red", failed[id], "failed", things="machines"))
    bounds = _bounds(Overlay(title, states))
    legend = [Sample(tone, _range(low, high), "machines") for tone, low, high in bounds]
    if failed and any(failed.values()):
        legend.append(Sample("red", "1 failed", "of them have failed"))
    return Overlay(title, states, legend=legend)


def _bounds(overlay: Overlay) -> list[tuple[Tone, int, int]]:
    """The counts at which each shade begins and ends."""
    found: list[tuple[Tone, int, int]] = []
    low = 1 if overlay.most else 0
    for place, tone in enumerate(SHADES, 1):
        edge = math.expm1(place / len(SHADES) * math.log1p(overlay.most))
        high = overlay.most if place == len(SHADES) else math.ceil(edge) - 1
        while high >= low and overlay.shade(high) != tone:
            high -= 1
        if high >= low:
            found.append((tone, low, high))
            low = high + 1
    return found


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def coverage(chart: Chart, transitions: Mapping[str, int], states: Mapping[str, int], *, title: str) -> Overlay:
    """Which transitions were taken, and which states were active; how often, or never."""
    on_edges: dict[str, list[Mark]] = {}
    for edge in chart.transitions:
        count = transitions.get(edge.key, 0)
        on_edges[edge.key] = [_seen(count, "taken")]
    on_states = {
        id: [_seen(states.get(id, 0), "active", is_quiet=True)]
        for id, state in chart.states.items()
        if id != ROOT and not state.kind.is_history
    }
    seen = sum(bool(transitions.get(edge.key)) for edge in chart.transitions)
    legend = [Sample("green", "3", "times taken"), Sample("red", "never", "not taken, or not active")]
    return Overlay(f"{title}: {seen} of {len(chart.transitions)} transitions", on_states, on_edges, legend)


def _seen(count: int, verb: str, *, is_quiet: bool = False) -> Mark:
    if not count:
        return Mark("red", text="never", things=verb)
    return Mark("green", count, text="" if not is_quiet else " ", things=f"times {verb}")


def verdicts(counts: Mapping[str, Mapping[str, int]], *, title: str) -> Overlay:
    """The verdicts of a plan on the machines in each state.

    Args:
        counts: by id of the state, the number of machines by verdict.
    """
    order = list(VERDICTS)
    states: dict[str, list[Mark]] = {}
    totals = Counter[str]()
    for id, found in counts.items():
        totals.update(found)
        states[id] = [
            Mark(VERDICTS[verdict][0], found[verdict], verdict, things="machines")
            for verdict in order
            if found.get(verdict)
        ]
    legend = [
        Sample(VERDICTS[verdict][0], f"{totals[verdict]:,} {verdict}", VERDICTS[verdict][1])
        for verdict in order
        if totals[verdict]
    ]
    return Overlay(title, states, legend=legend)


def path(visited: Sequence[Collection[str]], steps: Sequence[Sequence[str]], *, title: str) -> Overlay:
    """The way of one machine.

    Args:
        visited: ids of the active states after the beginning and after each step.
        steps: keys of the transitions that each step took.
    """
    on_edges: dict[str, list[Mark]] = {}
    for number, taken in enumerate(steps, 1):
        for key in dict.fromkeys(taken):
            texts = [mark.text for mark in on_edges.get(key, ())]
            on_edges[key] = [Mark("blue", text="·".join([*texts, str(number)]), things="taken in this step")]
    last = set(visited[-1]) if visited else set[str]()
    states = {id: [Mark("blue", text="end" if id in last else " ")] for ids in visited for id in ids}
    legend = [Sample("blue", "2", "the step that takes it"), Sample("blue", "end", "active at the end")]
    return Overlay(title, states, on_edges, legend)
