"""Measure the console on the real server, in Chromium: `python -m benchmarks.console`; a few minutes.

live        from a committed event to the picture, for several viewers of one machine
long        a machine with a long history: until its page can be used, and each step back in time
fleet       a fleet of machines: pages of the list, and its numbers against those that SQL gives
past        the states and the data of earlier moments against those that were saved then
load        the share of a core that the server spends on viewers
outages     pages while the service is killed, and while the server is
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from playwright.sync_api import Browser, Page

from durable_fsm.admin.client import Admin
from durable_fsm.admin.fleet import counts_of
from durable_fsm.admin.past import data_at
from durable_fsm.console.context import ConsoleContext, ConsoleOptions
from durable_fsm.console.machine_reading import MachineQuery, read_machine
from durable_fsm.console.machine_view import shown_of
from durable_fsm.console.request_guard import LOOPBACK
from durable_fsm.console.site import site_of
from durable_fsm.local.process import free_port
from durable_fsm.testing import RestateServer, Served, wait_until
from tests.browsing import browser, chromium_program

ROOT = Path(__file__).parents[1]
CHART = "Courier"
TICKS = os.sysconf("SC_CLK_TCK")


class Bench:
    """A server, its service, a console, a browser, and a client."""

    def __init__(
        self, server: RestateServer, served: Served, site: str, chromium: Browser, context: ConsoleContext
    ) -> None:
        self.server, self.served, self.site, self.chromium, self.context = server, served, site, chromium, context
        self.http = httpx.Client(timeout=60, trust_env=False)

    def send(self, key: str, event: str, payload: object = None) -> dict[str, Any]:
        answer = self.http.post(f"{self.server.ingress_url}/{CHART}/{key}/{event}", json=payload)
        answer.raise_for_status()
        return answer.json()

    def page(self, path: str) -> Page:
        page = self.chromium.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.goto(f"{self.site}{path}")
        return page

    def machine(self, key: str) -> Page:
        page = self.page(f"/chart/{CHART}/machine?key={key}")
        page.locator("#pulse.live").wait_for()
        return page

    def seconds(self, path: str) -> float:
        began = time.perf_counter()
        self.http.get(f"{self.site}{path}").raise_for_status()
        return time.perf_counter() - began

    def cpu(self) -> float:
        """Seconds of CPU that the Restate server has used."""
        fields = Path(f"/proc/{self.server.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def console_of(server: RestateServer) -> Iterator[tuple[str, ConsoleContext]]:
    context = ConsoleContext(ConsoleOptions(server.admin_url, hosts=LOOPBACK))
    port = free_port()
    running = uvicorn.Server(
        uvicorn.Config(site_of(context), port=port, log_level="critical", timeout_graceful_shutdown=0)
    )
    thread = threading.Thread(target=running.run)
    thread.start()
    wait_until(lambda: running.started)
    yield f"http://127.0.0.1:{port}", context
    running.should_exit = True
    thread.join()
    context.close()


def p(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def live(bench: Bench, viewers: int, events: int) -> None:
    bench.send("live", "start", {"label": "a"})
    pages = [bench.machine("live") for _ in range(viewers)]
    for page in pages:
        page.evaluate(
            "window.seen = {}; document.addEventListener('moved', (e) => (window.seen[e.detail.seq] = Date.now()))"
        )
    answered: dict[int, float] = {}
    for number in range(events):
        event, payload = [
            ("load", {"label": f"{number}"}),
            ("rest", None),
            ("call", None),
            ("drive", None),
            ("hang_up", None),
        ][number % 5]
        receipt = bench.send("live", event, payload)
        answered[receipt["seq"]] = time.time() * 1_000
        time.sleep(0.05)
    last = max(answered)
    waits: list[float] = []
    for page in pages:
        wait_until(lambda page=page: page.evaluate(f"{last} in window.seen"))
        seen = {int(seq): at for seq, at in page.evaluate("window.seen").items()}
        waits += [seen[seq] - at for seq, at in answered.items() if seq in seen]
    missed = viewers * len(answered) - len(waits)
    print(
        f"live     {viewers} viewers, {events} events: p50 {p(waits, 0.5):.0f} ms, p95 {p(waits, 0.95):.0f} ms, missed {missed}"
    )
    for page in pages:
        page.context.close()


def long(bench: Bench, steps: int) -> None:
    bench.send("long", "start", {"label": "a"})
    for number in range(steps - 2):
        bench.send("long", "load", {"label": f"{number}"})
    began = time.perf_counter()
    page = bench.machine("long")
    opened = time.perf_counter() - began
    ready = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    took = page.evaluate(
        """async () => {
            const took = [];
            for (let at = 0; at < 100; at++) {
                const began = performance.now();
                document.dispatchEvent(new KeyboardEvent("keydown", { key: at < 60 ? "ArrowLeft" : at % 2 ? "Home" : "End" }));
                await new Promise(requestAnimationFrame);
                took.push(performance.now() - began);
            }
            return took;
        }"""
    )
    print(
        f"long     {steps} steps: page in {opened * 1_000:.0f} ms, interactive after {ready:.0f} ms;"
        f" a step p50 {p(took, 0.5):.0f} ms, most {max(took):.0f} ms"
    )
    page.context.close()


def fleet(bench: Bench, machines: int) -> None:
    text = json.loads(bench.server.state(CHART, "live")["snapshot"])
    leaves = (["idle"], ["driving", "quiet"], ["resting", "quiet"], ["driving", "calling"], ["retired"])

    def put(number: int) -> None:
        status = "done" if number % 5 == 4 else "running"
        one = text | {"configuration": leaves[number % 5], "status": status, "life": f"{number:012x}"}
        body = {"object_key": f"fleet-{number:06}", "new_state": {"snapshot": list(json.dumps(one).encode())}}
        bench.http.post(f"{bench.server.admin_url}/services/{CHART}/state", json=body).raise_for_status()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(machines)))
    with Admin(bench.server.admin_url) as admin:
        wait_until(lambda: counts_of(admin, CHART).machines >= machines)
        rows = admin.query(
            "SELECT json_get_json(value_utf8, 'configuration') AS leaves, count(*) AS many FROM state"
            f" WHERE service_name = '{CHART}' AND key = 'snapshot' GROUP BY leaves"
        )
    places = {
        "first page": f"/chart/{CHART}/machines",
        "middle page": f"/chart/{CHART}/machines?after=fleet-{machines // 2:06}",
        "filtered": f"/chart/{CHART}/machines?state=calling",
        "fleet": f"/chart/{CHART}",
        "machine": f"/chart/{CHART}/machine?key=fleet-{machines // 2:06}",
        "taken in 24 h": f"/chart/{CHART}?overlay=taken",
        "troubles": "/troubles",
    }
    for name, path in places.items():
        times = [bench.seconds(path)]
        for _ in range(4):
            time.sleep(1.1)  # so that nothing is remembered
            times.append(bench.seconds(path))
        print(
            f"fleet    {machines} machines: {name} {statistics.median(times) * 1_000:.0f} ms (first {times[0] * 1_000:.0f})"
        )
    expected = Counter[str]()
    for row in rows:
        for leaf in json.loads(row["leaves"]):
            expected[leaf] += int(row["many"])
    page = bench.page(f"/chart/{CHART}")
    shown = {
        state: int("".join(letter for letter in words if letter.isdigit()))
        for state, words in page.evaluate(
            "[...document.querySelectorAll('[data-badge]')].map((one) => [one.dataset.badge, one.textContent])"
        )
    }
    print(f"fleet    numbers on the diagram are those of SQL: {shown == dict(expected)} {shown}")
    page.context.close()


def past(bench: Bench, machines: int, steps: int, dice: random.Random) -> None:
    saved: dict[tuple[str, int], tuple[list[str], Any]] = {}
    for number in range(machines):
        key = f"past-{number}"
        bench.send(key, "start", {"label": "a"})
        for _ in range(steps):
            machine = json.loads(bench.server.state(CHART, key)["snapshot"])
            saved[key, machine["log"]["entries"]] = (machine["configuration"], machine["data"])
            accepted = bench.send(key, "snapshot")["events"]
            event = dice.choice(
                [one["event"] for one in accepted if one["accepts"] != "no" and one["event"] != "retire"]
            )
            bench.send(key, event, {"label": dice.choice("abcdef")} if event in ("load", "start") else None)
    right, began = 0, time.perf_counter()
    for (key, n), (leaves, data) in saved.items():
        read = read_machine(bench.context.reader, MachineQuery(CHART, key, n), beside=False)
        assert read.facts is not None
        shown = shown_of(read.facts, read.entries, read.known, n=n)
        right += [*shown.leaves] == leaves and data_at(read.entries, n)[0] == data
    print(f"past     {right} of {len(saved)} moments are as they were saved, {time.perf_counter() - began:.1f} s")


def load(bench: Bench, viewers: int, seconds: float) -> None:
    def share() -> float:
        began, cpu = time.perf_counter(), bench.cpu()
        time.sleep(seconds)
        return (bench.cpu() - cpu) / (time.perf_counter() - began)

    alone = share()
    pages = [bench.machine("live") for _ in range(viewers)] + [bench.page(f"/chart/{CHART}")]
    watched = share()
    print(f"load     the server: {alone:.1%} of a core alone, {watched:.1%} with {viewers} viewers and a fleet")
    for page in pages:
        page.context.close()


def outages(bench: Bench) -> None:
    bench.served.kill()
    paths = (
        "/troubles",
        "/charts",
        f"/chart/{CHART}",
        f"/chart/{CHART}/machines",
        f"/chart/{CHART}/machine?key=long&n=5",
    )
    print(f"outages  the service is killed: {[bench.http.get(f'{bench.site}{path}').status_code for path in paths]}")
    bench.served.restart()
    page = bench.machine("live")
    bench.server.kill()
    began = time.perf_counter()
    page.locator("#banner", has_text="does not answer").wait_for()
    noticed = time.perf_counter() - began
    time.sleep(3)
    bench.server.start()
    began = time.perf_counter()
    page.locator("#banner").wait_for(state="hidden", timeout=60_000)
    print(
        f"outages  the server is killed: banner after {noticed:.1f} s; gone {time.perf_counter() - began:.1f} s after its return"
    )


def main() -> None:
    """Measure all of it, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--viewers", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--live-only", action="store_true")
    args = parser.parse_args()
    program = chromium_program()
    assert program is not None
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    log = Path(tempfile.mkdtemp(prefix="console-")) / "service.log"
    with (
        RestateServer() as server,
        Served.begin("benchmarks.console_app:app", server, log=log, app_dir=ROOT, by="uvicorn") as served,
        console_of(server) as (site, context),
        browser(program) as chromium,
    ):
        bench = Bench(server, served, site, chromium, context)
        live(bench, args.viewers, 200)
        if args.live_only:
            return
        long(bench, args.steps)
        past(bench, 20, 50, random.Random(7))
        load(bench, args.viewers, args.seconds)
        fleet(bench, args.machines)
        load(bench, args.viewers, args.seconds)
        outages(bench)


if __name__ == "__main__":
    main()
