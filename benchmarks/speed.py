"""How fast a durable machine is: beside a hand-written virtual object that does the same work, and beside its peers.

    python benchmarks/speed.py [--rounds 15] [--seconds 1.0] [--quick]

Everything runs on loopback: one Restate server, one client; for each ASGI server a service with our machine as users have it,
and one with our machine and a hand-written Python object that do the same work; and one Node process with a hand-written
TypeScript object and a machine of Restate's own XState integration. Each round measures every contender once, in an order shuffled with a printed seed; the result is the
ratio within a round, because machines are noisy and rounds are not. An interval is Student's, over the logarithms of the
ratios. What was measured is written to benchmarks/results/, and from there into docs/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from durable_fsm.frontends import chart_from
from durable_fsm.testing import native
from durable_fsm.testing.process import ServiceProcess, free_port
from durable_fsm.testing.server import RestateServer

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from benchmarks.shapes import GROWN, SHAPES  # noqa: E402 - found from wherever this is run

RESULTS = HERE / "results" / "speed.json"
PAGE = ROOT / "docs" / "performance.md"
PEERS = HERE / "peers"
NODE = {**os.environ, "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"}

NOTHING = b"null"
PRESS = {"by": 1, "note": "a short note that somebody wrote"}
T_95 = {5: 2.571, 9: 2.262, 14: 2.145, 19: 2.093, 29: 2.045}
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Contender:
    """Whom to call, and how: a virtual object, its handler, what it is sent, and what has to be called first."""

    name: str
    service: str
    handler: str = "press"
    body: bytes = json.dumps(PRESS).encode()
    first: str = ""


@dataclass
class Measured:
    """One contender in one round; latencies and CPU in seconds."""

    events: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    server_cpu: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def facts(self) -> dict[str, float]:
        ordered = sorted(self.latencies)
        return {
            "throughput": self.events / self.seconds,
            "p50_ms": statistics.median(ordered) * 1000,
            "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
            "service_cpu_ms": self.cpu / self.events * 1000,
            "restate_cpu_ms": self.server_cpu / self.events * 1000,
        }


# ── the load ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def drive(url: str, contender: Contender, seconds: float, keys: int, clients: int, run: str) -> Measured:
    """Send to so many machines, by so many clients with one request at a time each."""
    measured = Measured()
    names = [f"{run}-{key}" for key in range(keys)]
    if contender.first:
        await asyncio.gather(*(call(url, contender.service, name, contender.first, b"{}") for name in names))
    began = time.perf_counter()
    loads = (one_client(url, contender, names[n % keys], began + seconds, measured) for n in range(clients))
    await asyncio.gather(*loads)
    measured.seconds = time.perf_counter() - began
    return measured


async def call(url: str, service: str, key: str, handler: str, body: bytes) -> None:
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(head(place.netloc, service, key, handler, body) + body)
    await answer(reader, f"{service}/{key}/{handler}")
    writer.close()
    await writer.wait_closed()


async def one_client(url: str, contender: Contender, key: str, until: float, measured: Measured) -> None:
    """A bare HTTP/1.1 client on one connection: a library's own cost would hide the difference."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    request = head(place.netloc, contender.service, key, contender.handler, contender.body) + contender.body
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(request)
        await answer(reader, f"{contender.service}/{key}")
        measured.events += 1
        measured.latencies.append(time.perf_counter() - began)
    writer.close()
    await writer.wait_closed()


def head(host: str, service: str, key: str, handler: str, body: bytes) -> bytes:
    lines = [f"POST /{service}/{key}/{handler} HTTP/1.1", f"host: {host}", "content-type: application/json"]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode()


async def answer(reader: asyncio.StreamReader, whose: str) -> None:
    status, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    length = next(int(line.split(":")[1]) for line in headers if line.startswith("content-length"))
    content = await reader.readexactly(length)
    if " 200 " not in status:
        raise RuntimeError(f"{whose}: {status} {content!r}")


# ── the contenders ────────────────────────────────────────────────────────────────────────────────────────────────────


SERVERS = ("hypercorn", "uvicorn", "granian")
FEW = 6
"""Rounds of what is no comparison."""

GROWING = {"states": "states of the chart", "data": "KiB of data", "timers": "timers that are pending"}
EVENTS = (10, 1_000, 5_000)
MACHINES = (100, 1_000, 5_000)


def pressed(name: str, definition: object) -> Contender:
    return Contender(name, chart_from(definition).name, body=NOTHING)


async def had(url: str, contender: Contender, events: int, run: str) -> None:
    """Let one machine have had so many events."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    request = head(place.netloc, contender.service, f"{run}-0", contender.handler, NOTHING) + NOTHING
    for _ in range(events):
        writer.write(request)
        await answer(reader, contender.service)
    writer.close()
    await writer.wait_closed()


async def made_before(url: str, contender: Contender, machines: int) -> None:
    """Let there be so many machines."""
    for begin in range(0, machines, 50):
        keys = range(begin, min(begin + 50, machines))
        await asyncio.gather(*(had(url, contender, 1, f"among{machines}x{key}") for key in keys))


@contextmanager
def everybody(place: Path, server: RestateServer) -> Iterator[dict[Contender, ServiceProcess]]:
    """Serve and register all of them."""
    with ExitStack() as ending:
        found: dict[Contender, ServiceProcess] = {}
        for by in SERVERS:
            name = by.title()
            ours = ending.enter_context(served(place, server, "benchmarks.speed_app:app", by, BENCH_NAME=name))
            found[Contender(f"ours, {by}", f"Ours{name}")] = ours
            both = {"BENCH_NAME": f"{name}Bare", "BENCH_BARE": "1"}
            bare = ending.enter_context(served(place, server, "benchmarks.speed_app:app", by, **both))
            found[Contender(f"ours for the same work, {by}", f"Ours{name}Bare")] = bare
            found[Contender(f"hand-written, {by}", f"HandWritten{name}Bare")] = bare
        port = free_port()
        peers = ServiceProcess(
            ["node", "serve.mjs", str(port)], port=port, log=place / "peers.log", env=NODE, cwd=PEERS
        )
        ending.callback(peers.close)
        peers.start().wait_ready()
        server.register(peers.url)
        found[Contender("hand-written, TypeScript", "HandWrittenTs")] = peers
        event = json.dumps({"event": {"type": "press", **PRESS}}).encode()
        found[Contender("XState integration", "XStateToggle", "send", event, "create")] = peers
        yield found


@contextmanager
def served(
    place: Path, server: RestateServer, what: str, by: str, *, http1: bool = False, workers: int = 1, **env: str
) -> Iterator[ServiceProcess]:
    """Serve as users do, and register."""
    port = free_port()
    command = [sys.executable, "-m", "durable_fsm.cli", "serve", what, "--server", by, "--workers", str(workers)]
    service = ServiceProcess(
        [*command, "--bind", f"127.0.0.1:{port}"],
        port=port,
        log=place / f"{port}.log",
        health=f"http://127.0.0.1:{port}/ready",
        env=env,
        cwd=ROOT,
    )
    try:
        service.start().wait_ready()
        server.register(service.url, http1=http1 or by == "uvicorn")
        yield service
    finally:
        service.close()


@contextmanager
def ways(place: Path, server: RestateServer) -> Iterator[dict[Contender, ServiceProcess]]:
    """Our machine, served in other ways."""
    with ExitStack() as ending:
        found: dict[Contender, ServiceProcess] = {}
        for number, (name, by, settings) in enumerate(WAYS):
            env = {"BENCH_NAME": f"Way{number}"}
            service = served(place, server, "benchmarks.speed_app:app", by, **settings, **env)
            found[Contender(name, f"OursWay{number}")] = ending.enter_context(service)
        yield found


WAYS: list[tuple[str, str, dict[str, Any]]] = [
    ("hypercorn, HTTP/2", "hypercorn", {}),
    ("hypercorn, HTTP/1.1", "hypercorn", {"http1": True}),
    ("hypercorn, HTTP/2, two workers", "hypercorn", {"workers": 2}),
    ("granian, HTTP/2", "granian", {}),
    ("granian, HTTP/1.1", "granian", {"http1": True}),
    ("uvicorn, HTTP/1.1", "uvicorn", {}),
    ("uvicorn, HTTP/1.1, two workers", "uvicorn", {"workers": 2}),
]


def installed() -> None:
    """Have npm install the peers, once."""
    if not (PEERS / "node_modules").is_dir():
        print("npm install, once (needs network access) …", flush=True)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=PEERS, env=NODE, check=True)


def with_descendants(pids: list[int]) -> list[int]:
    """These processes, and those that they have begun."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = list(pids)
    for one in found:  # grows as it goes
        found += [pid for pid, parent in parents.items() if parent == one and pid not in found]
    return found


def cpu_of(pids: list[int]) -> float:
    """Seconds of CPU that these processes, and those that they have begun, have used."""
    total = 0
    for pid in with_descendants(pids):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def memory_of(pids: list[int]) -> float:
    """Resident memory, in MiB."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


# ── what comes out ────────────────────────────────────────────────────────────────────────────────────────────────────


def interval(ratios: list[float]) -> list[float]:
    """Geometric mean of the ratios, and its 95 % interval."""
    logs = [math.log(ratio) for ratio in ratios]
    mean = statistics.fmean(logs)
    t = T_95[max(known for known in T_95 if known <= len(logs) - 1)]
    half = t * statistics.stdev(logs) / math.sqrt(len(logs))
    return [round(math.exp(exponent), 3) for exponent in (mean, mean - half, mean + half)]


def compared(rounds: list[dict[str, dict[str, float]]], ours: str, other: str) -> dict[str, Any]:
    """Our ratios to another one, round by round; and by how many milliseconds of CPU we differ."""
    found: dict[str, Any] = {
        what: interval([each[ours][what] / each[other][what] for each in rounds]) for what in ("throughput", "p50_ms")
    }
    more = [each[ours]["service_cpu_ms"] - each[other]["service_cpu_ms"] for each in rounds]
    return {"ours": ours, "other": other, **found, "more_cpu_ms": round(statistics.median(more), 3)}


def medians(rounds: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        name: {what: round(statistics.median(each[name][what] for each in rounds), 3) for what in facts}
        for name, facts in rounds[0].items()
    }


def page_of(results: dict[str, Any]) -> str:
    """The tables of docs/performance.md."""
    lines = [
        f"Measured on {results['machine']}, {results['rounds']} rounds of {results['seconds']:g} s, 16 machines at once:",
        "",
    ]
    lines += [
        "| | events/s | p50 ms | p99 ms | CPU of the service, ms an event | CPU of Restate, ms an event |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {one['throughput']:.0f} | {one['p50_ms']:.1f} | {one['p99_ms']:.1f} | {one['service_cpu_ms']:.2f} | {one['restate_cpu_ms']:.2f} |"
        for name, one in results["medians"].items()
    ]
    lines += ["", "| ratio within a round | throughput | p50 | more CPU, ms an event |", "|---|---|---|---|"]
    for one in results["compared"]:
        cells = [f"{mean:.2f} ({low:.2f} to {high:.2f})" for mean, low, high in (one["throughput"], one["p50_ms"])]
        lines.append(f"| {one['ours']} / {one['other']} | {cells[0]} | {cells[1]} | {one['more_cpu_ms']:+.2f} |")
    lines += [
        "",
        "| served by | events/s | p50 ms | p99 ms | CPU of the service, ms an event |",
        "|---|---|---|---|---|",
    ]
    lines += [row(name, one) for name, one in results["ways"].items()]
    lines += ["", "| shape | events/s | p50 ms | p99 ms | CPU of the service, ms an event |", "|---|---|---|---|---|"]
    lines += [row(name, one) for name, one in results["shapes"].items()]
    lines += ["", "| growing | | p50 ms, one client | CPU of the service, ms an event |", "|---|---|---|---|"]
    for what, sizes in results["growth"].items():
        lines += [
            f"| {what} | {int(size):,} | {one['p50_ms']:.2f} | {one['service_cpu_ms']:.2f} |"
            for size, one in sizes.items()
        ]
    lines += ["", "| events/s | " + " | ".join(results["loads"]) + " |", "|---" * (len(results["loads"]) + 1) + "|"]
    for name in results["medians"]:
        lines.append(
            f"| {name} | " + " | ".join(f"{load[name]['throughput']:.0f}" for load in results["loads"].values()) + " |"
        )
    return "\n".join(lines)


def row(name: str, one: dict[str, float]) -> str:
    numbers = f"{one['throughput']:.0f} | {one['p50_ms']:.1f} | {one['p99_ms']:.1f} | {one['service_cpu_ms']:.2f}"
    return f"| {name} | {numbers} |"


def in_page(page: str, results: dict[str, Any]) -> str:
    """The page, with these tables between its marks."""
    before, mark, rest = page.partition("<!-- speed -->\n")
    _, end, after = rest.partition("<!-- /speed -->")
    if not mark or not end:
        raise ValueError(f"{PAGE.name} has no place for the tables")
    return f"{before}{mark}\n{page_of(results)}\n\n{end}{after}"


def machine() -> str:
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "",
    )
    names = ("restate-sdk", "hypercorn", "uvicorn", "granian", "python-statemachine")
    libraries = ", ".join(f"{name} {version(name)}" for name in names)
    return f"{os.cpu_count()} cores ({model}), {platform.system()}, Python {platform.python_version()}, Restate {native.VERSION}, {libraries}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="at least 6 (default 15)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of load for each contender and round")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--quick", action="store_true", help="six short rounds, nothing written")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 6, 0.3
    if options.rounds < 6:
        parser.error("--rounds must be at least 6, or the interval means nothing")
    installed()
    loads = {"1 machine": (1, 1), "64 machines": (64, 64), "1 machine, 16 clients": (1, 16)}
    few = min(options.rounds, FEW)
    about = (11 * (options.rounds + few * len(loads)) + few * (len(WAYS) + len(SHAPES) + 15)) * options.seconds + 60
    print(f"seed {options.seed}; about {about:.0f} s; {machine()}", flush=True)

    order = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as made, RestateServer() as server, everybody(Path(made), server) as contenders:

        def measured(
            contender: Contender, process: ServiceProcess, keys: int, clients: int, run: str
        ) -> dict[str, float]:
            processes, restate = process.pids(), server.process.pids()
            before = cpu_of(processes), cpu_of(restate)
            found = asyncio.run(drive(server.ingress_url, contender, options.seconds, keys, clients, run))
            found.cpu, found.server_cpu = cpu_of(processes) - before[0], cpu_of(restate) - before[1]
            return found.facts()

        def rounds(
            among: dict[Contender, ServiceProcess],
            count: int,
            keys: int,
            clients: int,
            name: str,
            *,
            fresh: bool = True,
        ) -> list[dict[str, dict[str, float]]]:
            found: list[dict[str, dict[str, float]]] = []
            letters = "".join(filter(str.isalnum, name))
            for number in range(count):
                shuffled = order.sample(list(among), len(among))
                run = f"{letters}{number if fresh else ''}"
                each = {one.name: measured(one, among[one], keys, clients, run) for one in shuffled}
                found.append({one.name: each[one.name] for one in among})
                told = "  ".join(f"{one} {facts['throughput']:.0f}" for one, facts in found[-1].items())
                print(f"{name} {number + 1:>2}: {told}", flush=True)
            return found

        rounds(contenders, 1, 16, 16, "warm")
        main_rounds = rounds(contenders, options.rounds, 16, 16, "round")
        more = {name: medians(rounds(contenders, few, *load, name)) for name, load in loads.items()}
        memory = {one.name: round(memory_of(process.pids())) for one, process in contenders.items()}
        with ways(Path(made), server) as served_so:
            by_way = medians(rounds(served_so, few, 16, 16, "way"))
        with served(Path(made), server, "benchmarks.shapes:app", "uvicorn") as shapes:
            by_shape = medians(rounds({pressed(*one): shapes for one in SHAPES.items()}, few, 16, 16, "shape"))
            growth: dict[str, dict[str, dict[str, float]]] = {}
            for what, sizes in GROWN.items():
                grown = {pressed(str(size), chart): shapes for size, chart in sizes.items()}
                rounds(grown, 1, 1, 1, f"warm {what}")
                growth[GROWING[what]] = medians(rounds(grown, few, 1, 1, what))
            flat = pressed("flat", SHAPES["flat, python-statemachine"])
            growth["events the machine has had"] = had_events = {}
            for before, events in zip((0, *EVENTS), EVENTS, strict=False):
                asyncio.run(had(server.ingress_url, flat, events - before, "events"))
                found = medians(rounds({flat: shapes}, few, 1, 1, "events", fresh=False))
                had_events[str(events)] = found["flat"]
            growth["machines there are"] = there_are = {}
            for machines in MACHINES:
                asyncio.run(made_before(server.ingress_url, flat, machines))
                found = medians(rounds({flat: shapes}, few, 1, 1, f"machines {machines}"))
                there_are[str(machines)] = found["flat"]

    pairs = [(f"{ours}, {by}", f"hand-written, {by}") for by in SERVERS for ours in ("ours for the same work", "ours")]
    pairs += [(f"ours, {by}", peer) for by in SERVERS for peer in ("hand-written, TypeScript", "XState integration")]
    results = {
        "at": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "seed": options.seed,
        "medians": medians(main_rounds),
        "compared": [compared(main_rounds, ours, other) for ours, other in pairs],
        "loads": more,
        "ways": by_way,
        "shapes": by_shape,
        "growth": growth,
        "memory_mib": memory,
    }
    print("\n" + page_of(results))
    if not options.quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(in_page(PAGE.read_text("utf-8"), results), encoding="utf-8")
        print(f"\nWrote {RESULTS.relative_to(ROOT)} and {PAGE.relative_to(ROOT)}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
