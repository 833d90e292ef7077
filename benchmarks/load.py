"""The load and its cost: the contenders, a client, and the CPU and memory of processes.

The client shares the cores with everything that it measures, so it is a minimal one on uvloop: HTTP/1.1, one connection
per client with one request at a time, built before the clock runs. The cost of a library would hide the differences.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import NamedTuple, Self, TypeVar, cast
from urllib.parse import quote, urlsplit

import uvloop

from durable_fsm.local.process import ServiceProcess
from durable_fsm.local.server import RestateServer

PRESS = {"by": 1, "note": "a short note with five words"}
NOTHING = b"null"
TICKS = os.sysconf("SC_CLK_TCK")
CLIENTS = 16
STALLED = 60.0
"""Seconds without an end after which a measurement is given up."""

LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")

One = TypeVar("One")


class Sample(NamedTuple):
    """One contender, measured once; CPU in milliseconds an event, with all processes of a service."""

    throughput: float
    p50_ms: float
    p99_ms: float
    service_cpu_ms: float
    restate_cpu_ms: float
    client_cpu_ms: float


class Load(NamedTuple):
    """How many machines are called, by how many clients.

    If there are fewer machines than clients, several clients share one; if more, each client calls several in turn.
    """

    machines: int
    clients: int


@dataclass(frozen=True, eq=False)
class Contender:
    """A contender: the handler and the body to call it with, the service, and the Restate server.

    `first` is a handler that creates a machine, if an event does not; `settle` is how many seconds of work may remain
    when the last event is answered.
    """

    name: str
    object: str
    process: ServiceProcess
    restate: RestateServer
    handler: str = "press"
    body: bytes = json.dumps(PRESS).encode()
    first: str = ""
    settle: float = 0.0

    def request(self, key: str, handler: str = "", body: bytes | None = None) -> bytes:
        """Return the bytes of a request to one machine."""
        body = self.body if body is None else body
        lines = [
            f"POST /{self.object}/{quote(key, safe='')}/{handler or self.handler} HTTP/1.1",
            f"host: {urlsplit(self.restate.ingress_url).netloc}",
            "content-type: application/json",
            f"content-length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body


# ── the client ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Connection(asyncio.Protocol):
    """One connection to an ingress, with at most one request at a time."""

    def __init__(self) -> None:
        self.received = b""
        self.answer: asyncio.Future[None] | None = None

    @classmethod
    async def to(cls, server: RestateServer) -> Self:
        place = urlsplit(server.ingress_url)
        _, made = await asyncio.get_running_loop().create_connection(cls, place.hostname, place.port)
        return made

    async def ask(self, request: bytes) -> None:
        """Send *request*, and wait for its answer.

        Raises:
            RuntimeError: the answer is not 200.
        """
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        await self.answer

    def close(self) -> None:
        self.answer = None
        self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's classes do not inherit from it

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, complete, body = self.received.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not complete or (length is not None and len(body) < int(length[1])):
            return
        self.received = b""
        assert self.answer is not None
        if length is not None and head.startswith(b"HTTP/1.1 200"):
            self.answer.set_result(None)
        else:
            self.answer.set_exception(RuntimeError(f"{head.decode()} {body.decode(errors='replace')}"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(exc or ConnectionError("the ingress closed the connection"))


async def send_all(server: RestateServer, clients: Sequence[Sequence[bytes]]) -> None:
    """Send these requests; each client sends its own one after the other."""

    async def one_client(mine: Sequence[bytes]) -> None:
        connection = await Connection.to(server)
        for request in mine:
            await connection.ask(request)
        connection.close()

    await asyncio.gather(*map(one_client, clients))


async def call(contender: Contender, keys: Sequence[str], clients: int, seconds: float) -> tuple[float, list[float]]:
    """Call machines for this many seconds; each client calls again as soon as it has its answer.

    Returns:
        How many seconds it took, and those of each event, in their order of size.
    """
    connections = [await Connection.to(contender.restate) for _ in range(clients)]
    requests = [contender.request(key) for key in keys]
    latencies: list[float] = []
    began = time.perf_counter()

    async def one_client(number: int, connection: Connection) -> None:
        for request in cycle(requests[number % len(requests) :: clients]):
            sent = time.perf_counter()
            if sent >= began + seconds:
                return
            await connection.ask(request)
            latencies.append(time.perf_counter() - sent)

    async with asyncio.timeout(seconds + STALLED):
        await asyncio.gather(*(one_client(*each) for each in enumerate(connections)))
    took = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return took, sorted(latencies)


async def drive(contender: Contender, keys: Sequence[str], clients: int, seconds: float) -> Sample:
    """Call machines for this many seconds, and measure what that costs."""
    service, restate = contender.process.pids(), contender.restate.process.pids()
    before = cpu_of(service), cpu_of(restate), time.process_time()
    took, latencies = await call(contender, keys, clients, seconds)
    await asyncio.sleep(contender.settle)
    after = cpu_of(service), cpu_of(restate), time.process_time()
    p50, p99 = statistics.median(latencies), latencies[int(len(latencies) * 0.99)]
    cpu = [(now - then) * 1000 / len(latencies) for now, then in zip(after, before, strict=True)]
    return Sample(len(latencies) / took, p50 * 1000, p99 * 1000, *cpu)


# ── by turns ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Bench:
    """Measure contenders in turns, in shuffled orders from one seed, so that drift affects all alike."""

    def __init__(self, seed: int) -> None:
        self.order = random.Random(seed)
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.measured = 0

    @classmethod
    @contextmanager
    def seeded(cls, seed: int) -> Iterator[Self]:
        bench = cls(seed)
        with bench.runner:
            yield bench

    def shuffled(self, among: Sequence[One]) -> list[One]:
        return self.order.sample(among, len(among))

    def send(self, contender: Contender, events: Mapping[str, int]) -> None:
        """Send this many events to each of these machines, one after the other."""
        clients: list[list[bytes]] = [[] for _ in range(min(CLIENTS, len(events)))]
        for number, (key, count) in enumerate(events.items()):
            clients[number % CLIENTS] += [contender.request(key)] * count
        self.runner.run(send_all(contender.restate, clients))

    def once(self, contender: Contender, load: Load, seconds: float) -> Sample:
        """Measure one contender with new machines, created before the clock runs.

        With old machines the result would depend on how often each contender was measured before: deleted entries of a
        key cost time in Restate's storage until it is compacted.
        """
        return self.among(contender, self.created(contender, load.machines), load.clients, seconds)

    def created(self, contender: Contender, machines: int) -> list[str]:
        """Create so many machines, and return their keys."""
        self.measured += 1
        keys = [f"{self.measured}-{number}" for number in range(machines)]
        if contender.first:
            clients = [[contender.request(key, contender.first, b"{}")] for key in keys]
            self.runner.run(send_all(contender.restate, clients))
        else:
            self.send(contender, dict.fromkeys(keys, 1))
        return keys

    def latencies(self, contender: Contender, load: Load, seconds: float) -> tuple[float, list[float]]:
        """Call new machines, as `call` does."""
        keys = self.created(contender, load.machines)
        return self.runner.run(call(contender, keys, load.clients, seconds))

    def among(self, contender: Contender, keys: Sequence[str], clients: int, seconds: float) -> Sample:
        """Measure one contender with existing machines."""
        try:
            return self.runner.run(drive(contender, keys, clients, seconds))
        except (OSError, RuntimeError) as error:
            error.add_note(f"{contender.name}: {contender.object}, {len(keys)} machines, {clients} clients")
            raise

    def rounds(
        self, contenders: Sequence[Contender], load: Load, count: int, seconds: float, name: str
    ) -> dict[str, list[Sample]]:
        """Measure each contender once per round; return samples by name."""
        found: dict[str, list[Sample]] = {contender.name: [] for contender in contenders}
        print(f"{name}: {' | '.join(found)}", flush=True)
        for number in range(1, count + 1):
            for contender in self.shuffled(contenders):
                found[contender.name].append(self.once(contender, load, seconds))
            said = " | ".join(f"{samples[-1].throughput:.0f}" for samples in found.values())
            print(f"  {number} of {count}, events/s: {said}", flush=True)
        return found

    def pairs(
        self, pairs: Sequence[tuple[Contender, Contender]], load: Load, count: int, seconds: float
    ) -> list[list[tuple[Sample, Sample]]]:
        """Measure the two of each pair back to back, once per round, in a random order."""
        found: list[list[tuple[Sample, Sample]]] = [[] for _ in pairs]
        print(f"pairs: {' | '.join(f'{ours.name} / {other.name}' for ours, other in pairs)}", flush=True)
        for number in range(1, count + 1):
            for place in self.shuffled(range(len(pairs))):
                ours, other = pairs[place]
                if self.order.random() < 0.5:
                    first = self.once(ours, load, seconds)
                    found[place].append((first, self.once(other, load, seconds)))
                else:
                    first = self.once(other, load, seconds)
                    found[place].append((self.once(ours, load, seconds), first))
            ratios = " | ".join(f"{one[-1][0].throughput / one[-1][1].throughput:.2f}" for one in found)
            print(f"  {number} of {count}, events/s to events/s: {ratios}", flush=True)
        return found


# ── processes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def with_descendants(pids: Sequence[int]) -> list[int]:
    """List these processes and their descendants."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = list(pids)
    for one in found:  # grows during the loop
        found += [pid for pid, parent in parents.items() if parent == one and pid not in found]
    return found


def cpu_of(pids: Sequence[int]) -> float:
    """Return the seconds of CPU that these processes and their descendants have used."""
    total = 0
    for pid in with_descendants(pids):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def memory_of(process: ServiceProcess) -> float:
    """Return the resident memory of a process and its descendants, in MiB."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in with_descendants(process.pids()))
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
