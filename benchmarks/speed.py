"""How fast a durable machine is: beside a hand-written virtual object that does the same work, and beside its peers.

    python benchmarks/speed.py [--rounds 15] [--seconds 1.0] [--quick]

Everything runs on loopback: one Restate server, one client, one service for each ASGI server with our machine and the
hand-written Python object in it, and one Node process with a hand-written TypeScript object and a machine of Restate's own
XState integration. Each round measures every contender once, in an order shuffled with a printed seed; the result is the
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
import re
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from durable_fsm.testing import native
from durable_fsm.testing.process import ServiceProcess, free_port
from durable_fsm.testing.server import RestateServer

HERE = Path(__file__).parent
ROOT = HERE.parent
RESULTS = HERE / "results" / "speed.json"
PAGE = ROOT / "docs" / "performance.md"
PEERS = HERE / "peers"
NODE = {**os.environ, "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"}

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


@contextmanager
def everybody(place: Path, server: RestateServer) -> Iterator[dict[Contender, ServiceProcess]]:
    """Serve and register all of them."""
    with ExitStack() as ending:
        found: dict[Contender, ServiceProcess] = {}
        for by in SERVERS:
            port = free_port()
            command = [sys.executable, "-m", "durable_fsm.cli", "serve", "benchmarks.speed_app:app", "--server", by]
            service = ServiceProcess(
                [*command, "--bind", f"127.0.0.1:{port}"],
                port=port,
                log=place / f"{by}.log",
                health=f"http://127.0.0.1:{port}/ready",
                env={"BENCH_NAME": by.title()},
                cwd=ROOT,
            )
            ending.callback(service.close)
            service.start().wait_ready()
            server.register(service.url, http1=by == "uvicorn")
            found[Contender(f"ours, {by}", f"Ours{by.title()}")] = service
            found[Contender(f"hand-written, {by}", f"HandWritten{by.title()}")] = service
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


def installed() -> None:
    """Have npm install the peers, once."""
    if not (PEERS / "node_modules").is_dir():
        print("npm install, once (needs network access) …", flush=True)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=PEERS, env=NODE, check=True)


def cpu_of(pids: list[int]) -> float:
    """Seconds of CPU that these processes have used."""
    total = 0
    for pid in pids:
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
    lines += ["", "| events/s | " + " | ".join(results["loads"]) + " |", "|---" * (len(results["loads"]) + 1) + "|"]
    for name in results["medians"]:
        lines.append(
            f"| {name} | " + " | ".join(f"{load[name]['throughput']:.0f}" for load in results["loads"].values()) + " |"
        )
    return "\n".join(lines)


def in_page(page: str, results: dict[str, Any]) -> str:
    """The page, with these tables between its marks."""
    return re.sub(r"(?<=<!-- speed -->\n).*(?=\n<!-- /speed -->)", lambda _: page_of(results), page, flags=re.DOTALL)


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
    about = 8 * (options.rounds + 6 * len(loads)) * options.seconds + 20
    print(f"seed {options.seed}; about {about:.0f} s; {machine()}", flush=True)

    order = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as made, RestateServer() as server, everybody(Path(made), server) as contenders:

        def measured(contender: Contender, keys: int, clients: int, run: str) -> dict[str, float]:
            processes, restate = contenders[contender].pids(), server.process.pids()
            before = cpu_of(processes), cpu_of(restate)
            found = asyncio.run(drive(server.ingress_url, contender, options.seconds, keys, clients, run))
            found.cpu, found.server_cpu = cpu_of(processes) - before[0], cpu_of(restate) - before[1]
            return found.facts()

        def rounds(count: int, keys: int, clients: int, name: str) -> list[dict[str, dict[str, float]]]:
            found: list[dict[str, dict[str, float]]] = []
            letters = "".join(filter(str.isalnum, name))
            for number in range(count):
                shuffled = order.sample(list(contenders), len(contenders))
                each = {one.name: measured(one, keys, clients, f"{letters}{number}") for one in shuffled}
                found.append({one.name: each[one.name] for one in contenders})
                told = "  ".join(f"{one} {facts['throughput']:.0f}" for one, facts in found[-1].items())
                print(f"{name} {number + 1:>2}: {told}", flush=True)
            return found

        rounds(1, 16, 16, "warm")
        main_rounds = rounds(options.rounds, 16, 16, "round")
        more = {name: medians(rounds(6, *load, name)) for name, load in loads.items()}
        memory = {one.name: round(memory_of(process.pids())) for one, process in contenders.items()}

    pairs = [(f"ours, {by}", f"hand-written, {by}") for by in SERVERS]
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
