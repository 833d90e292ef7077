"""How fast the explorer is: a chart of parallel regions, whose states multiply, and the proofs of our own machines.

.venv/bin/python benchmarks/exploring.py [--regions 3] [--states 47] [--processes 2]
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from durable_fsm import chart_from
from durable_fsm.core.chart import Chart
from durable_fsm.explore.parallel import shared_out
from durable_fsm.explore.proofs import Proofs, proofs_in
from durable_fsm.explore.report import explore
from durable_fsm.explore.search import Bounds
from durable_fsm.frontends.locate import locate_module
from durable_fsm.frontends.transitions import TransitionsConfig

ROOT = Path(__file__).parents[1]


def wheels(regions: int, states: int) -> Chart:
    """Wheels that turn independently of each other."""
    names = [f"w{place}" for place in range(regions)]
    children = [
        {"name": name, "initial": "s0", "children": [f"s{number}" for number in range(states)]} for name in names
    ]
    transitions = [
        {
            "trigger": f"turn_{name}",
            "source": f"all_{name}_s{number}",
            "dest": f"all_{name}_s{(number + 1) % states}",
        }
        for name in names
        for number in range(states)
    ]
    config = TransitionsConfig(
        "Wheels", [{"name": "all", "parallel": children}], transitions, initial="all", auto_transitions=False
    )
    return chart_from(config)


def told(proofs: Proofs, processes: int) -> str:
    """Explore, and say how long it took."""
    before, began = os.times(), time.perf_counter()
    with shared_out(proofs, Bounds(), processes) as many:
        report = explore(proofs, many=many)
    took = time.perf_counter() - began
    after = os.times()
    cpu = sum(after[:4]) - sum(before[:4])
    graph = report.graph
    end = "closed" if graph.is_closed else f"not closed ({graph.end})"
    return (
        f"{proofs.chart.name}: {len(graph.nodes):,} configurations, {graph.steps:,} steps, {end};"
        f" {took:.1f} s, {cpu:.1f} CPU s, {graph.steps / max(cpu, 0.01):,.0f} steps a CPU second"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--regions", type=int, default=3)
    parser.add_argument("--states", type=int, default=47)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    for file in sorted((ROOT / "proofs").glob("*.py")):
        print(told(proofs_in(locate_module(file), file), 1))
    print(told(Proofs(wheels(options.regions, options.states)), options.processes))


if __name__ == "__main__":
    main()
