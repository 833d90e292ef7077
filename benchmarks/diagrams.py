"""How long a picture takes: from a chart to SVG, layout program included.

    python benchmarks/diagrams.py [--rounds 7]

Each round draws every chart once; a row is the median of the rounds, with the fastest and the slowest. The charts are
made from fixed seeds, with compound states, regions, histories and about 1.2 transitions a state.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a program, this finds the tests' charts

from durable_fsm.core.model import ROOT, Chart
from durable_fsm.diagram import to_png, to_svg
from tests.diagram.random_charts import random_chart


def chart_of(size: int) -> Chart:
    """The first random chart with about this many states, more than half of them nested."""
    for seed in range(10_000):
        chart = random_chart(seed, size + 10)
        nested = sum(state.parent != ROOT for state in chart.states.values())
        if size - 3 <= len(chart.states) - 1 <= size + 10 and nested > size / 2:
            return chart
    raise LookupError(f"no seed gives a chart of {size} states")


def measured(draw: Callable[[], object], rounds: int) -> list[float]:
    draw()  # imports, and finding the program
    seconds: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        draw()
        seconds.append(time.perf_counter() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    small, large = chart_of(30), chart_of(300)
    cases: list[tuple[str, Chart, Callable[[], object], str]] = [
        ("SVG, all", small, lambda: to_svg(small), "0.5 s"),
        ("PNG, all", small, lambda: to_png(small), ""),
        ("SVG, folded to depth 1", large, lambda: to_svg(large, depth=1), "2 s"),
        ("SVG, all", large, lambda: to_svg(large), ""),
    ]
    print(f"{'states':>6}  {'edges':>5}  {'picture':<24}{'median':>9}{'fastest':>9}{'slowest':>9}   wanted")
    for name, chart, draw, wanted in cases:
        seconds = measured(draw, rounds)
        row = [statistics.median(seconds), min(seconds), max(seconds)]
        times = "".join(f"{value * 1000:>6.0f} ms" for value in row)
        print(f"{len(chart.states) - 1:>6}  {len(chart.transitions):>5}  {name:<24}{times}   {wanted}".rstrip())


if __name__ == "__main__":
    main()
