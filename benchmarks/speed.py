"""Compare the speed of durable machines with a hand-written virtual object that does the same work, and with peers.

    python benchmarks/speed.py [--rounds 20] [--seconds 1.0] [--quick]

Everything runs on the loopback interface: one client, one Restate server, and a process for each contender; see
`serving.py`. The two of a pair are measured back to back, and the result is the ratio of these neighbours, because
machines are noisy over time. Everything else is measured in turns. Orders are shuffled with a printed seed.

The samples are written to benchmarks/results/speed.json; all figures and pictures of docs/performance.md are computed
from that file, and a test compares them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that imports work from any directory

from benchmarks import disturbed, growth, inside, serving, startup
from benchmarks.load import Bench, Load, Sample, memory_of
from benchmarks.plots import draw_all
from benchmarks.report import PAGE, README, README_TABLES, RESULTS, ROOT, TABLES, in_page
from benchmarks.shapes import SHAPES
from durable_fsm.local import native
from durable_fsm.local.server import RestateServer

ALONE, MANY, ROTATING = Load(1, 1), Load(16, 16), Load(128, 16)
LOADS = {"1 machine": ALONE, "64 machines": Load(64, 64), "1 machine, 16 clients": Load(1, 16)}

FEW = 6
"""Maximum of rounds for measurements that are not pairs."""

DISTRIBUTIONS = (
    "restate-sdk",
    "hypercorn",
    "uvicorn",
    "uvloop",
    "httptools",
    "granian",
    "python-statemachine",
    "transitions",
    "pydantic",
    "msgspec",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="rounds of pairs, at least 6 (default 20)")
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds of load for each of a pair (default 1)")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--quick", action="store_true", help="run a few short rounds and write nothing")
    parser.add_argument(
        "--render", action="store_true", help="write page and pictures from the results, without measuring"
    )
    options = parser.parse_args()
    if options.render:
        write_page()
        return 0
    if options.rounds < 6:
        parser.error("--rounds must be at least 6, or the interval means nothing")
    rounds, seconds, few = options.rounds, options.seconds, min(options.rounds, FEW)
    if options.quick:
        rounds, seconds, few = 2, 0.2, 2
    serving.install_peers()
    print(f"Seed {options.seed}. About {estimate(rounds, seconds, few) / 60:.0f} minutes.", flush=True)
    began = time.perf_counter()
    with Bench.seeded(options.seed) as bench, tempfile.TemporaryDirectory() as made:
        results = {
            "at": datetime.now(UTC).date().isoformat(),
            "machine": machine(),
            "versions": versions(),
            "rounds": rounds,
            "few": few,
            "seconds": seconds,
            "seed": options.seed,
            "fields": list(Sample._fields),
            **compared(bench, Path(made), rounds, few, seconds),
            **served_so(bench, Path(made), few, seconds),
            "shapes": shaped(bench, Path(made), few, seconds),
            "apart": disturbed.own_core(bench, Path(made), few, seconds),
            "disturbed": disturbed.disturbed(bench, Path(made), few, seconds),
            "growth": growth.growth(bench, Path(made), few, seconds, small=options.quick),
            "startup": startup.startup(*((3, 2) if options.quick else (11, 5))),
            "inside": inside.inside(2 if options.quick else 9),
        }
    print(f"\nTook {(time.perf_counter() - began) / 60:.1f} minutes.\n")
    stored = text_of(results)
    if not options.quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(stored, encoding="utf-8")
    for made_of in TABLES.values():
        print(f"{made_of(json.loads(stored))}\n")
    if not options.quick:
        write_page()
        print(f"Wrote {RESULTS.relative_to(ROOT)}, and from it {PAGE.relative_to(ROOT)} and its pictures.")
    return 0


def write_page() -> None:
    """Write the tables and the pictures of the page from existing results."""
    results = json.loads(RESULTS.read_text("utf-8"))
    PAGE.write_text(in_page(PAGE.read_text("utf-8"), results), encoding="utf-8")
    README.write_text(in_page(README.read_text("utf-8"), results, README_TABLES), encoding="utf-8")
    draw_all(results)


def estimate(rounds: int, seconds: float, few: int) -> float:
    """Estimate how many seconds everything takes."""
    pairs = 2 * len(serving.compared()) * rounds
    ways = 2 * len(serving.WORK) * len(serving.WAYS) * (few + 1)
    others = 11 * (few * len(LOADS) + 2) + len(SHAPES) * (few + 1) + 15 * (few + 1)
    long = 3 * few * (disturbed.LONG * seconds + 1) + 3 * (few + 1) * seconds
    return pairs * (seconds + 0.05) + (ways + others) * (seconds / 2 + 0.1) + long + 150


# ── what is measured ──────────────────────────────────────────────────────────────────────────────────────────────────


def compared(bench: Bench, place: Path, rounds: int, few: int, seconds: float) -> dict[str, Any]:
    """Measure the pairs, then all contenders under other loads, then their memory."""
    with RestateServer() as restate, serving.contenders(place, restate) as found:
        everybody = list(found.values())
        bench.rounds(everybody, MANY, 2, seconds, "warm")
        names = serving.compared()
        pairs = bench.pairs([(found[ours], found[other]) for ours, other in names], MANY, rounds, seconds)
        loads = {name: bench.rounds(everybody, load, few, seconds / 2, name) for name, load in LOADS.items()}
        memory = {name: memory_of(one.process) for name, one in found.items()}
        return {
            "pairs": [
                {"ours": ours, "other": other, "rounds": each} for (ours, other), each in zip(names, pairs, strict=True)
            ],
            "loads": loads,
            "memory_mib": {**memory, "Restate": memory_of(restate.process)},
        }


def served_so(bench: Bench, place: Path, few: int, seconds: float) -> dict[str, Any]:
    """Measure our machines in all ways of serving, all ways in each round."""
    found: dict[str, dict[str, dict[str, list[Sample]]]] = {}
    with RestateServer() as restate, serving.ways(place, restate) as by_work:
        for work, everybody in by_work.items():
            bench.rounds(everybody, MANY, 1, seconds / 2, f"warm {work}")
            many = bench.rounds(everybody, MANY, few, seconds / 2, work)
            alone = bench.rounds(everybody, ALONE, few, seconds / 2, f"{work}, alone")
            found[work] = {one.name: {"many": many[one.name], "alone": alone[one.name]} for one in everybody}
        return {"ways": found, "ways_mib": {one.name: memory_of(one.process) for one in everybody}}


def shaped(bench: Bench, place: Path, few: int, seconds: float) -> dict[str, list[Sample]]:
    """Measure charts of other shapes, with enough machines that one's work has ended when its turn comes again."""
    way = serving.plain("uvicorn")
    with RestateServer() as restate, serving.served(place, way, "benchmarks.shapes:app", restate) as service:
        charts = serving.shapes(service, restate)
        bench.rounds(charts, ROTATING, 1, seconds / 2, "warm shapes")
        return bench.rounds(charts, ROTATING, few, seconds / 2, "shapes")


# ── where ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return {"cores": os.cpu_count(), "processor": model, "system": platform.system()}


def versions() -> dict[str, str]:
    peers = json.loads((serving.PEERS / "package.json").read_text("utf-8"))["dependencies"]
    node = subprocess.run(["node", "--version"], env=serving.NODE, capture_output=True, text=True, check=True).stdout
    return {
        "Python": platform.python_version(),
        "Restate": native.VERSION,
        **{name: version(name) for name in DISTRIBUTIONS},
        "Node": node.strip().removeprefix("v"),
        **peers,
    }


def text_of(value: Any, indent: str = "") -> str:
    """Write JSON with each list of numbers on one line, and four digits per number."""
    if isinstance(value, dict):
        inner = indent + " "
        members = ",\n".join(f"{inner}{json.dumps(name)}: {text_of(one, inner)}" for name, one in value.items())
        return f"{{\n{members}\n{indent}}}"
    if isinstance(value, (list, tuple)):
        if any(isinstance(one, dict) for one in value):
            inner = indent + " "
            return "[\n" + ",\n".join(f"{inner}{text_of(one, inner)}" for one in value) + f"\n{indent}]"
        return "[" + ", ".join(text_of(one) for one in value) + "]"
    if isinstance(value, float):
        return json.dumps(float(f"{value:.4g}"))
    return json.dumps(value)


if __name__ == "__main__":
    raise SystemExit(main())
