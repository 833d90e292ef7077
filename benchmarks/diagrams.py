"""Measure how long a picture takes: from a chart to SVG, including the layout program.

    python benchmarks/diagrams.py [--rounds 7]

Each round draws a chart once; a row is the median of the rounds, with the fastest and the slowest. The charts come
from a fixed seed: compound states of two levels, about 1.1 transitions a state.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))  # uses the tests' notation of charts

from durable_fsm.core.chart import Chart, Transition
from durable_fsm.diagram import to_png, to_svg
from tests.building import chart, edge


def chart_of(parts: int, size: int) -> Chart:
    """Build compound states of this size in two levels, with edges inside them and between neighbours."""
    random = Random(4)
    lines: list[str] = []
    edges: list[Transition] = []

    def connect(source: str, *near: str) -> None:
        edges.append(edge(source, f"go{len(edges)}", random.choice(near), key=f"k{len(edges)}"))

    for part in range(parts):
        inner = [f"p{part}_s{number}" for number in range(size - 1)]
        deeper = size // 3
        lines += [f"p{part}", *(f"    {id}" for id in inner[:-deeper]), *(f"        {id}" for id in inner[-deeper:])]
        for id in inner:
            connect(id, *inner)
        connect(f"p{part}", *(f"p{other}" for other in (part + 1, part + 2, part - 3) if 0 <= other < parts), "p0")
        connect(random.choice(inner), *(f"p{other}" for other in range(max(0, part - 2), min(parts, part + 3))))
    return chart("\n".join(lines), *edges)


def measured(draw: Callable[[], object], rounds: int) -> list[float]:
    draw()  # warms up: imports, and the search for the layout program
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
    small, large = chart_of(3, 10), chart_of(20, 15)
    cases: list[tuple[str, Chart, Callable[[], object], str]] = [
        ("SVG, all", small, lambda: to_svg(small), "0.5 s"),
        ("PNG, all", small, lambda: to_png(small), ""),
        ("SVG, folded to depth 1", large, lambda: to_svg(large, depth=1), "2 s"),
        ("SVG, all", large, lambda: to_svg(large), ""),
    ]
    print(f"{'states':>6}  {'edges':>5}  {'picture':<24}{'median':>9}{'fastest':>9}{'slowest':>9}   wanted")
    for name, drawn, draw, wanted in cases:
        seconds = measured(draw, rounds)
        row = [statistics.median(seconds), min(seconds), max(seconds)]
        times = "".join(f"{value * 1000:>6.0f} ms" for value in row)
        print(f"{len(drawn.states) - 1:>6}  {len(drawn.transitions):>5}  {name:<24}{times}   {wanted}".rstrip())


if __name__ == "__main__":
    main()
