"""Measure how the cost of an event grows, for `speed.py`: one client calls one machine of each size, once per round."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from benchmarks.load import NOTHING, Bench, Contender, Load, Sample
from benchmarks.serving import plain, served, sizes
from durable_fsm.local.process import ServiceProcess
from durable_fsm.local.server import RestateServer

APP = "benchmarks.shapes:app"
SIZED = {"states": "states of the chart", "data": "KiB of data", "timers": "pending timers"}
EVENTS = (100, 1_000, 10_000)
MACHINES = (100, 1_000, 10_000)
ONE = Load(1, 1)

Grown = dict[str, list[Sample]]
"""Samples by size, one of each size per round."""


def growth(bench: Bench, place: Path, rounds: int, seconds: float, *, small: bool) -> dict[str, Grown]:
    """Measure everything that could grow, each by itself.

    Args:
        small: Leave out the largest number of events and of machines, which take half a minute to create.
    """
    events, machines = (EVENTS[:2], MACHINES[:2]) if small else (EVENTS, MACHINES)
    with RestateServer() as restate, served(place, plain("uvicorn"), APP, restate) as service:
        found = {
            words: by_chart(bench, sizes(what, service, restate), rounds, seconds, words)
            for what, words in SIZED.items()
        }
        found["events the machine has had"] = by_events(bench, service, restate, events, rounds, seconds)
    found["machines on the server"] = by_machines(bench, place, machines, rounds, seconds)
    return found


def by_chart(bench: Bench, charts: list[Contender], rounds: int, seconds: float, name: str) -> Grown:
    """Measure charts of several sizes."""
    bench.rounds(charts, ONE, 1, seconds, f"warm {name}")
    return bench.rounds(charts, ONE, rounds, seconds, name)


def by_events(
    bench: Bench, service: ServiceProcess, restate: RestateServer, events: tuple[int, ...], rounds: int, seconds: float
) -> Grown:
    """Measure machines after these numbers of events: new ones in each round, but only one for the largest number."""
    charts = [Contender(str(size), "Flat", service, restate, body=NOTHING) for size in events]

    def machine(chart: Contender, number: int) -> str:
        return f"had-{chart.name}-{number if chart is not charts[-1] else 0}"

    for chart, size in zip(charts, events, strict=True):
        bench.send(chart, {machine(chart, number): size for number in range(rounds + 1)})
        bench.among(chart, [machine(chart, 0)], 1, seconds)  # warms up
    found: Grown = {chart.name: [] for chart in charts}
    print(f"events the machine has had: {' | '.join(found)}", flush=True)
    for number in range(1, rounds + 1):
        for chart in bench.shuffled(charts):
            found[chart.name].append(bench.among(chart, [machine(chart, number)], 1, seconds))
        said = " | ".join(f"{samples[-1].throughput:.0f}" for samples in found.values())
        print(f"  {number} of {rounds}, events/s: {said}", flush=True)
    return found


def by_machines(bench: Bench, place: Path, machines: tuple[int, ...], rounds: int, seconds: float) -> Grown:
    """Measure one machine among these numbers of machines: one Restate server per number, and one service for all."""
    with ExitStack() as ending:
        restates = [ending.enter_context(RestateServer()) for _ in machines]
        service = ending.enter_context(served(place, plain("uvicorn"), APP, *restates))
        charts = [
            Contender(str(size), "Flat", service, restate, body=NOTHING)
            for size, restate in zip(machines, restates, strict=True)
        ]
        for chart, size in zip(charts, machines, strict=True):
            bench.send(chart, {f"among-{number}": 1 for number in range(size)})
        return by_chart(bench, charts, rounds, seconds, "machines on the server")
