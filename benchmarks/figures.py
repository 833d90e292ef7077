"""Compute medians, intervals, slopes and met targets from samples. Values in, values out."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from benchmarks.load import Sample

# fmt: off
T_95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110,
    2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)
# fmt: on
"""Student's t for 95 %, both sides, by degrees of freedom from one on; the last is used for more."""

Results = Mapping[str, Any]
"""The content of results/speed.json."""


class Interval(NamedTuple):
    """A mean and its 95 % confidence interval."""

    mean: float
    low: float
    high: float


class Spread(NamedTuple):
    """A median and its quartiles."""

    median: float
    low: float
    high: float


class Compared(NamedTuple):
    """Ours compared with another: ratios of neighbours, and the median of the additional CPU, in ms per event."""

    ours: str
    other: str
    throughput: Interval
    p50: Interval
    service_cpu: Interval
    service_cpu_ms: float
    restate_cpu_ms: float


class Verdict(NamedTuple):
    """A target, the pair it is about, the measured value, and whether it is met."""

    wanted: str
    whom: str
    measured: str
    met: bool


def interval(values: Sequence[float]) -> Interval:
    """The mean of values, and Student's interval around it."""
    mean = statistics.fmean(values)
    t = T_95[min(len(values) - 1, len(T_95)) - 1]
    half = t * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def ratio_interval(ratios: Sequence[float]) -> Interval:
    """The geometric mean of ratios, and Student's interval over their logarithms."""
    return Interval(*map(math.exp, interval([math.log(ratio) for ratio in ratios])))


def spread(values: Sequence[float]) -> Spread:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(middle, low, high)


def samples(stored: Sequence[Sequence[float]]) -> list[Sample]:
    """Read samples from results, where each is a list of numbers."""
    return [Sample(*one) for one in stored]


def median(stored: Sequence[Sequence[float]], what: str) -> float:
    """The median of a measure over samples."""
    return statistics.median(getattr(one, what) for one in samples(stored))


# ── pairs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def compare(pair: Mapping[str, Any]) -> Compared:
    """Compute the result of a pair from its rounds."""
    rounds = [samples(both) for both in pair["rounds"]]
    return Compared(
        pair["ours"],
        pair["other"],
        ratio_interval([ours.throughput / other.throughput for ours, other in rounds]),
        ratio_interval([ours.p50_ms / other.p50_ms for ours, other in rounds]),
        ratio_interval([ours.service_cpu_ms / other.service_cpu_ms for ours, other in rounds]),
        statistics.median(ours.service_cpu_ms - other.service_cpu_ms for ours, other in rounds),
        statistics.median(ours.restate_cpu_ms - other.restate_cpu_ms for ours, other in rounds),
    )


def comparisons(results: Results) -> list[Compared]:
    return [compare(pair) for pair in results["pairs"]]


def by_contender(results: Results) -> dict[str, list[Sample]]:
    """Collect every sample of a contender, from all pairs."""
    found: dict[str, list[Sample]] = {name: [] for name in next(iter(results["loads"].values()))}
    for pair in results["pairs"]:
        for ours, other in pair["rounds"]:
            found[pair["ours"]].append(Sample(*ours))
            found[pair["other"]].append(Sample(*other))
    return found


# ── targets ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Rule:
    """A target: the pairs it is about, by patterns of both names, and the condition that a comparison must meet.

    `aims` are its lines in the picture of the ratios.
    """

    wanted: str
    ours: str
    other: str
    measured: Callable[[Compared], str]
    met: Callable[[Compared], bool]
    aims: tuple[float, ...] = ()

    def concerns(self, one: Compared) -> bool:
        return bool(re.match(self.ours, one.ours) and re.match(self.other, one.other))


def told(one: Interval) -> str:
    """`0.97 (0.95 to 0.99)`"""
    return f"{one.mean:.2f} ({one.low:.2f} to {one.high:.2f})"


SAME_WORK, BY_HAND = "ours for the same work", "hand-written"
ALIKE, DEFAULT, OURS = f"{SAME_WORK}, ", "ours, ", "ours"
PYTHON, TYPESCRIPT, XSTATE = "hand-written, (?!TypeScript)", "hand-written, TypeScript", "XState"


def _throughput(ours: str, other: str, least: float) -> Rule:
    return Rule(
        f"throughput: at least {least:.2f}",
        ours,
        other,
        lambda one: told(one.throughput),
        lambda one: one.throughput.mean >= least,
        (least,),
    )


def _p50(ours: str, other: str, most: float) -> Rule:
    return Rule(
        f"p50: at most {most:.2f}", ours, other, lambda one: told(one.p50), lambda one: one.p50.mean <= most, (most,)
    )


def _service_cpu(ours: str, other: str, most: float) -> Rule:
    return Rule(
        f"CPU of the service: at most {most:.2f}",
        ours,
        other,
        lambda one: told(one.service_cpu),
        lambda one: one.service_cpu.mean <= most,
    )


RULES = (
    _throughput(ALIKE, PYTHON, 1.0),
    _p50(ALIKE, PYTHON, 1.0),
    _service_cpu(ALIKE, PYTHON, 0.9),
    _throughput(DEFAULT, PYTHON, 0.95),
    _throughput(OURS, TYPESCRIPT, 1.0),
    _throughput(ALIKE, XSTATE, 1.5),
    _throughput(DEFAULT, XSTATE, 1.4),
    _p50(OURS, XSTATE, 1.0),
)
IMPORT_MS, READY_MS, INSIDE, BACKGROUND = 150, 1000, 0.8, 3.5
FLAT = ("states of the chart", "pending timers", "events the machine has had", "machines on the server")
"""Sizes on which the cost of an event must not depend."""


def verdicts(results: Results) -> list[Verdict]:
    """Judge each target: those of pairs by the mean of the ratio, the others by their medians."""
    compared = comparisons(results)
    of_pairs = [
        Verdict(rule.wanted, f"{one.ours} / {one.other}", rule.measured(one), rule.met(one))
        for rule in RULES
        for one in compared
        if rule.concerns(one)
    ]
    return [*of_pairs, *_of_events(results), *_of_slopes(results), *_of_starts(results)]


def _of_events(results: Results) -> list[Verdict]:
    """The targets about one event: inside Python, and with an activity in the background."""
    alike, by_hand = (statistics.median(results["inside"][name]["us"]) for name in (SAME_WORK, BY_HAND))
    started, pure = (
        median(results["shapes"][name], "service_cpu_ms")
        for name in ("a background activity with every event", "flat, python-statemachine")
    )
    return [
        Verdict(
            f"CPU of Python for an event: at most {INSIDE:.2f}",
            f"{SAME_WORK} / {BY_HAND}",
            f"{alike / by_hand:.2f}",
            alike <= INSIDE * by_hand,
        ),
        Verdict(
            f"CPU of the service: at most {BACKGROUND:.2f}",
            "an event with a background activity / a pure event",
            f"{started / pure:.2f}",
            started <= BACKGROUND * pure,
        ),
    ]


def _of_slopes(results: Results) -> list[Verdict]:
    """The targets about growth: the interval of the slope contains 0."""
    found: list[Verdict] = []
    for what in FLAT:
        one = slope(results["growth"][what], "service_cpu_ms")
        low, high = (f"{value * 1000:+.3g}" for value in (one.low, one.high))
        measured = f"{low} to {high} µs an event"
        found.append(Verdict("CPU of the service: the same", f"one more of {what}", measured, one.low <= 0 <= one.high))
    return found


def _of_starts(results: Results) -> list[Verdict]:
    took = statistics.median(results["startup"]["imports"]["import durable_fsm"]["ms"])
    found = [Verdict(f"below {IMPORT_MS} ms", "`import durable_fsm`", f"{took:.0f} ms", took < IMPORT_MS)]
    for by, times in results["startup"]["ready_ms"].items():
        took = statistics.median(times)
        found.append(
            Verdict(f"at most {READY_MS} ms", f"ready with 50 machines, {by}", f"{took:.0f} ms", took <= READY_MS)
        )
    return found


# ── slopes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def slope(grown: Mapping[str, Sequence[Sequence[float]]], what: str) -> Interval:
    """Compute the growth of a measure per unit of size: the slope of a line for each round, and the mean of the rounds.

    The lines are fitted by least squares within a round, so that drift between rounds does not matter.
    """
    sizes = [float(size) for size in grown]
    middle = statistics.fmean(sizes)
    squares = sum((size - middle) ** 2 for size in sizes)
    rounds = zip(*(samples(stored) for stored in grown.values()), strict=True)
    return interval(
        [
            sum((size - middle) * getattr(one, what) for size, one in zip(sizes, each, strict=True)) / squares
            for each in rounds
        ]
    )
