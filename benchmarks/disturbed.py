"""Measure for `speed.py` how long events take while the service is killed or replaced, and with a core of its own."""

from __future__ import annotations

import os
import statistics
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks.load import CLIENTS, Bench, Contender, Load, Sample, with_descendants
from benchmarks.serving import BARE, FLOOR, OURS, plain, served
from durable_fsm.local.process import ServiceProcess
from durable_fsm.local.server import RestateServer

WAY = plain("uvicorn")
UNDISTURBED, DEPLOYED, KILLED = "undisturbed", "a new deployment", "the service is killed"
LONG = 4.0
"""Seconds of a measurement with a disturbance, which comes after a quarter of them."""


class Disturbed(NamedTuple):
    """One load with a disturbance: events a second, and how long they took. Every event was answered with 200."""

    throughput: float
    p50_ms: float
    p99_ms: float
    longest_ms: float


def own_core(bench: Bench, place: Path, rounds: int, seconds: float) -> dict[str, list[Sample]]:
    """Measure with Restate and the client on one core and the service on another; nothing, if there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return {}
    with ExitStack() as ending:
        restate = ending.enter_context(RestateServer())
        charts = [
            Contender(
                kind,
                f"{machine}{name}",
                ending.enter_context(served(place, WAY, app, restate, BENCH_NAME=name, **env)),
                restate,
            )
            for kind, machine, name, app, env in (
                (OURS, "Ours", "Core", "benchmarks.speed_app:app", {}),
                (BARE, "Ours", "CoreBare", "benchmarks.speed_app:app", {"BENCH_BARE": "1"}),
                (FLOOR, "HandWritten", "Core", "benchmarks.floor:app", {}),
            )
        ]
        ending.enter_context(pinned([os.getpid(), *restate.process.pids()], cores[:1], back_to=cores))
        for chart in charts:
            ending.enter_context(pinned(chart.process.pids(), cores[1:2], back_to=cores))
        bench.rounds(charts, Load(CLIENTS, CLIENTS), 1, seconds, "warm, cores of their own")
        return bench.rounds(charts, Load(CLIENTS, CLIENTS), rounds, seconds, "cores of their own")


@contextmanager
def pinned(pids: list[int], cores: list[int], *, back_to: list[int]) -> Iterator[None]:
    """Let every thread of these processes run on these cores only."""
    pin(pids, cores)
    try:
        yield
    finally:
        pin(pids, back_to)


def pin(pids: list[int], cores: list[int]) -> None:
    for pid in with_descendants(pids):
        for thread in Path(f"/proc/{pid}/task").glob("*"):
            with suppress(ProcessLookupError):  # it has just ended
                os.sched_setaffinity(int(thread.name), cores)


def disturbed(bench: Bench, place: Path, rounds: int, seconds: float) -> dict[str, list[Disturbed]]:
    """Measure the same load without a disturbance, during a deployment, and while the service is killed."""
    found: dict[str, list[Disturbed]] = {UNDISTURBED: [], DEPLOYED: [], KILLED: []}
    print(f"disturbed: {' | '.join(found)}", flush=True)
    with RestateServer() as restate, ExitStack() as ending:

        def deployed() -> ServiceProcess:
            return ending.enter_context(served(place, WAY, "benchmarks.speed_app:app", restate, BENCH_NAME="Calm"))

        running = [deployed()]

        def ours() -> Contender:
            return Contender(OURS, "OursCalm", running[-1], restate)

        def deploy() -> None:
            running.append(deployed())

        def kill() -> None:
            running[-1].restart()

        acts = {UNDISTURBED: None, DEPLOYED: deploy, KILLED: kill}
        bench.once(ours(), Load(CLIENTS, CLIENTS), seconds)  # warms up
        for number in range(1, rounds + 1):
            for name in bench.shuffled([*found]):
                found[name].append(_while(bench, ours(), acts[name], LONG * seconds))
                running[-1].wait_ready()
                for before in running[:-1]:
                    before.close()
            said = " | ".join(f"{each[-1].p99_ms:.0f}" for each in found.values())
            print(f"  {number} of {rounds}, p99 ms: {said}", flush=True)
    return found


def _while(bench: Bench, contender: Contender, act: Callable[[], None] | None, seconds: float) -> Disturbed:
    """Drive new machines for this many seconds, and act after a quarter of them."""
    timer = threading.Timer(seconds / 4, act) if act is not None else None
    if timer is not None:
        timer.start()
    try:
        took, latencies = bench.latencies(contender, Load(CLIENTS, CLIENTS), seconds)
    finally:
        if timer is not None:
            timer.join()
    p99 = latencies[int(len(latencies) * 0.99)]
    times = (statistics.median(latencies), p99, latencies[-1])
    return Disturbed(len(latencies) / took, *(time * 1000 for time in times))
