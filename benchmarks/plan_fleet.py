"""Measure the survey of a fleet, and find seeded breaks in it: `python -m benchmarks.plan_fleet --machines 10000`.

Machines of thirteen kinds are stored on a real server. Then each of the twenty changes of `tests.plan.parcels` that break
machines, and each of the twenty that do no harm, is planned on all of them: every machine must get the right verdict.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import httpx

from durable_fsm.admin.charts import deployed_charts
from durable_fsm.admin.client import Admin
from durable_fsm.admin.fleet import counts_of, page_of, points_at
from durable_fsm.admin.inventory import Filter, every_text_of, machine_in
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import snapshot_to_json
from durable_fsm.errors import DefinitionWarning
from durable_fsm.frontends import chart_from
from durable_fsm.plan.judging import Judge
from durable_fsm.plan.plan_file import PlanVerdict
from durable_fsm.plan.planning import Planning
from durable_fsm.testing import RestateCluster, RestateServer, Served, wait_until
from tests.plan.parcels import BREAKS, HARMLESS, machines, parcel

ROOT = Path(__file__).parents[1]
KINDS = tuple(machines())
CALM = (PlanVerdict.OVER, PlanVerdict.STAYS, PlanVerdict.MOVES)
AT_ONCE = 1_000
T = TypeVar("T")


def main() -> None:
    """Seed, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--machines", type=int, default=10_000)
    parser.add_argument("--notes", type=int, default=1_500, help="bytes of data of each machine")
    parser.add_argument("--cluster", action="store_true", help="on three nodes")
    parser.add_argument("--survey-only", action="store_true")
    parser.add_argument("--only", metavar="TEXT", default="", help="plan only changes whose names contain this")
    args = parser.parse_args()
    warnings.simplefilter("ignore", DefinitionWarning)
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    log = Path(tempfile.mkdtemp(prefix="fleet-")) / "service.log"
    with ExitStack() as ending:
        server = server_of(ending, cluster=args.cluster)
        ending.enter_context(Served.begin("tests.plan.builds:app", server, log=log, app_dir=ROOT))
        seed(server, args.machines, args.notes)
        with Admin(server.admin_url) as admin:
            survey(admin, args.machines)
            if not args.survey_only:
                plans(admin, args.machines, args.only)


def server_of(ending: ExitStack, *, cluster: bool) -> RestateServer:
    """One server, or the first node of three."""
    return ending.enter_context(RestateCluster()).nodes[0] if cluster else ending.enter_context(RestateServer())


def seed(server: RestateServer, many: int, notes: int) -> None:
    """Store machines of every kind in turn."""
    began = time.perf_counter()
    texts = {}
    for name in KINDS:
        record = snapshot_to_json(machines()[name])
        record["data"] = {**record["data"], "notes": ["x" * notes]}  # type: ignore[dict-item]
        texts[name] = record

    with httpx.Client(timeout=60) as http, ThreadPoolExecutor(8) as pool:

        def store(number: int) -> None:
            name = KINDS[number % len(KINDS)]
            text = json.dumps({**texts[name], "life": f"l{number}", "at": 1_700_000_000_000 + number})
            body = {"object_key": f"{name}-{number:06}", "new_state": {"snapshot": list(text.encode())}}
            http.post(f"{server.admin_url}/services/Parcel/state", json=body).raise_for_status()

        for begin in range(0, many, AT_ONCE):  # a pool keeps all that it is given
            for _ in pool.map(store, range(begin, min(begin + AT_ONCE, many))):
                pass
    sql = "SELECT count(*) AS many FROM state WHERE service_name = 'Parcel' AND key = 'snapshot'"
    wait_until(lambda: server.query(sql)[0]["many"] == many, what="the machines to be stored")
    size = len(json.dumps(texts[KINDS[0]]))
    stored = f"{many:,} machines of {size:,} bytes stored in {time.perf_counter() - began:.0f} s"
    print(f"{stored}; peak memory so far {peak():.0f} MB", flush=True)


# ── the survey ────────────────────────────────────────────────────────────────────────────────────────────────────────


def survey(admin: Admin, many: int) -> None:
    """Time each way to read machines."""
    middle = sorted(f"{KINDS[n % len(KINDS)]}-{n:06}" for n in range(many))[many // 2]
    fifty = [f"{KINDS[n % len(KINDS)]}-{n:06}" for n in range(0, many, max(1, many // 50))][:50]
    timed("counts by configuration, status, version", lambda: counts_of(admin, "Parcel"))
    timed("page of 50, the first", lambda: page_of(admin, "Parcel"))
    timed("page of 50, in the middle", lambda: page_of(admin, "Parcel", after=middle))
    timed("page of 50, by a state", lambda: page_of(admin, "Parcel", Filter(state="waiting")))
    timed("one machine", lambda: machine_in(admin, "Parcel", middle))
    timed("50 machines by key, with histories", lambda: points_at(admin, "Parcel", fifty, last=20))
    timed("every snapshot, streamed", lambda: sum(1 for _ in every_text_of(admin, "Parcel")), times=3)


def timed(what: str, ask: Callable[[], T], times: int = 9) -> T:
    """Print the median."""
    taken: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        found = ask()
        taken.append((time.perf_counter() - began) * 1_000)
    print(f"  {what:<44}{statistics.median(taken):>9.1f} ms")
    return found


# ── plans ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def plans(admin: Admin, many: int, only: str) -> None:
    """Plan every break and every harmless change; say what was missed, and what was a false alarm."""
    earlier = [one.chart for one in deployed_charts(admin, "Parcel") if one.chart is not None]
    found, alarms, slowest = 0, 0, 0.0
    breaks, harmless = ([how for how in hows if only in how] for hows in (BREAKS, HARMLESS))
    for how in breaks:
        verdict, broken = BREAKS[how]
        plan = Planned(admin, chart_from(parcel(how)), earlier, dict.fromkeys(broken.split(), verdict))
        found += plan.is_right
        slowest = max(slowest, plan.seconds)
        told = (
            f"{plan.found:>8,} {verdict:<9}{plan.missed:>4} missed {plan.too_calm:>4} called fine{plan.seconds:>7.1f} s"
        )
        print(f"  {'found ' if plan.is_right else 'WRONG '}  {how:<28}{told}", flush=True)
    for how in harmless:
        plan = Planned(admin, chart_from(parcel(how)), earlier, {})
        alarms += plan.alarms
        slowest = max(slowest, plan.seconds)
        if plan.alarms:
            print(f"  ALARM   {how:<28}{plan.alarms:>8,}", flush=True)
    share = alarms / max(1, many * len(harmless))
    print(f"{found} of {len(breaks)} breaks found; {share:.1%} false alarms in {len(harmless)} harmless changes")
    print(f"slowest plan {slowest:.1f} s; peak memory {peak():.0f} MB; load {os.getloadavg()[0]:.1f}")


class Planned:
    """A plan of the whole fleet, whose verdict on each key is compared with the one that it should have.

    Attributes:
        found, missed: broken machines that have, and have not, the verdict that they should have.
        too_calm: broken machines of which the plan says that they are fine.
        alarms: other machines of which it says that they are not.
    """

    def __init__(self, admin: Admin, chart: Chart, earlier: list[Chart], wanted: Mapping[str, str]) -> None:
        self.found = self.missed = self.too_calm = self.alarms = 0
        began = time.perf_counter()
        planning = Planning(Judge(chart, earlier))
        for judged in planning.judged(every_text_of(admin, chart.name)):
            machine = planning.count(judged)
            verdict = wanted.get(machine.key.rpartition("-")[0])
            self.found += machine.verdict == verdict
            self.missed += verdict is not None and machine.verdict != verdict
            self.too_calm += verdict is not None and machine.verdict in CALM
            self.alarms += verdict is None and machine.verdict not in CALM
        self.seconds = time.perf_counter() - began

    @property
    def is_right(self) -> bool:
        return self.found > 0 and self.missed == self.too_calm == 0


def peak() -> float:
    """The most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


if __name__ == "__main__":
    main()
