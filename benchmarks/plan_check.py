"""Measure the memory and the time that `durable-fsm plan --check` needs for the plan itself.

    python benchmarks/plan_check.py [--machines 1000000]

It writes a plan of so many machines, and looks each of them up as `--check` does. The machines are not read from a server.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that imports work from any directory

from durable_fsm.plan.plan_file import PlanHead, PlannedChart, PlannedMachine, PlanVerdict, PlanWriter, read_plan
from durable_fsm.plan.plan_index import PlanIndex

HEAD = PlanHead("2026-12-01T14:06:28+00:00", "service:app", None, (PlannedChart("Order", "3", "d1"),))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=1_000_000)
    many = parser.parse_args().machines
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        with PlanWriter(path, HEAD) as plan:
            for number in range(many):
                plan.add(PlannedMachine("Order", key(number), f"{number:022x}", number % 50, "2", PlanVerdict.STAYS, 0))
            plan.finish([])
        before, began = peak(), time.perf_counter()
        with PlanIndex(read_plan(path).machines()) as index:
            made = time.perf_counter()
            found = sum(index.place_of("Order", key(7 * number % many)) is not None for number in range(many))
            asked = time.perf_counter()
            assert found == len(index) == many
        size = path.stat().st_size / 2**20
    print(f"{many:,} machines, a plan of {size:.0f} MB: {peak() - before:.0f} MB more memory at most")
    print(f"read in {made - began:.1f} s, each looked up in {(asked - made) / many * 1e6:.1f} µs")


def key(number: int) -> str:
    return f"order-{number * 7_919 % 10_000_019:08}"


def peak() -> float:
    """The most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


if __name__ == "__main__":
    main()
