"""How much a durable machine costs above a hand-written virtual object that does the same work.

    python benchmarks/floor.py [--rounds 15] [--seconds 1.0] [--keys 16]

Everything runs on loopback: one Restate server, one service, one client. Each round measures every contender once, in
an order shuffled with a printed seed; the result is the ratio within a round, because machines are noisy and rounds are
not. The interval is Student's, over the logarithms of the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from durable_fsm.testing.process import ServiceProcess
from durable_fsm.testing.server import RestateServer

OURS, FLOOR, BARE = "Ours", "HandWritten", "BareCounter"
CONTENDERS = (OURS, FLOOR, BARE)
BODY = json.dumps({"by": 1, "note": "a short note that somebody wrote"}).encode()
T_95 = {5: 2.571, 9: 2.262, 14: 2.145, 19: 2.093, 29: 2.045}


@dataclass
class Measured:
    """One contender in one round; latencies in seconds."""

    events: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def throughput(self) -> float:
        return self.events / self.seconds

    @property
    def p50_ms(self) -> float:
        return statistics.median(self.latencies) * 1000


async def drive(url: str, contender: str, seconds: float, keys: int, run: str) -> Measured:
    """Send `press` to as many machines as there are keys, one request at a time each."""
    measured = Measured()
    began = time.perf_counter()
    await asyncio.gather(*(one_key(url, contender, f"{run}-{key}", began + seconds, measured) for key in range(keys)))
    measured.seconds = time.perf_counter() - began
    return measured


async def one_key(url: str, contender: str, key: str, until: float, measured: Measured) -> None:
    """A bare HTTP/1.1 client on one connection: a library's own cost would hide the difference."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    head = (
        f"POST /{contender}/{key}/press HTTP/1.1\r\nhost: {place.netloc}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n"
    ).encode()
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(head + BODY)
        status, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        length = next(int(line.split(":")[1]) for line in headers if line.startswith("content-length"))
        answer = await reader.readexactly(length)
        if " 200 " not in status:
            raise RuntimeError(f"{contender}/{key}: {status} {answer!r}")
        measured.events += 1
        measured.latencies.append(time.perf_counter() - began)
    writer.close()
    await writer.wait_closed()


def interval(ratios: list[float]) -> tuple[float, float, float]:
    """Geometric mean of the ratios and its 95 % interval."""
    logs = [math.log(ratio) for ratio in ratios]
    mean = statistics.fmean(logs)
    freedom = len(logs) - 1
    t = T_95[max(known for known in T_95 if known <= freedom)]
    half = t * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def report(rounds: list[dict[str, Measured]]) -> None:
    print(f"\n{'contender':<14}{'events/s':>10}{'p50 ms':>9}   median of {len(rounds)} rounds")
    for contender in CONTENDERS:
        throughput = statistics.median(measured[contender].throughput for measured in rounds)
        p50 = statistics.median(measured[contender].p50_ms for measured in rounds)
        print(f"{contender:<14}{throughput:>10.0f}{p50:>9.2f}")
    print()
    for other in (FLOOR, BARE):
        mean, low, high = interval([each[OURS].throughput / each[other].throughput for each in rounds])
        print(f"throughput, ours / {other:<12} {mean:.3f}   95 % interval {low:.3f} to {high:.3f}")
        mean, low, high = interval([each[OURS].p50_ms / each[other].p50_ms for each in rounds])
        print(f"p50,        ours / {other:<12} {mean:.3f}   95 % interval {low:.3f} to {high:.3f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="at least 6 (default 15)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of load for each contender and round")
    parser.add_argument("--keys", type=int, default=16, help="machines under load at once")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    if options.rounds < 6:
        parser.error("--rounds must be at least 6, or the interval means nothing")
    about = len(CONTENDERS) * options.rounds * options.seconds + 10
    print(
        f"seed {options.seed}; about {about:.0f} s; python {sys.version.split()[0]}, {os.cpu_count()} cores", flush=True
    )

    order = random.Random(options.seed)
    root = Path(__file__).parent.parent
    rounds: list[dict[str, Measured]] = []
    with (
        tempfile.TemporaryDirectory() as place,
        RestateServer() as server,
        ServiceProcess.serving("benchmarks.floor_app:app", log=Path(place) / "service.log", app_dir=root) as service,
    ):
        server.register(service.url)
        for warm in CONTENDERS:
            asyncio.run(drive(server.ingress_url, warm, 0.5, options.keys, "warm"))
        for number in range(options.rounds):
            measured: dict[str, Measured] = {}
            for contender in order.sample(CONTENDERS, len(CONTENDERS)):
                run = drive(server.ingress_url, contender, options.seconds, options.keys, f"r{number}")
                measured[contender] = asyncio.run(run)
            rounds.append(measured)
            each = "  ".join(f"{name} {measured[name].throughput:.0f}/s" for name in CONTENDERS)
            print(f"round {number + 1:>2}: {each}", flush=True)
    report(rounds)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
