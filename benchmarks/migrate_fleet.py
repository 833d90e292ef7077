"""Migrate a fleet on a real server: `python -m benchmarks.migrate_fleet --machines 10000 --kills 3`.

Machines of one build are stored, another build is deployed, `durable-fsm plan` plans it, and `durable-fsm migrate` migrates
them. It is killed at random moments; each time every machine must be the old one or the new one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from durable_fsm.admin.client import Admin
from durable_fsm.admin.fleet import counts_of
from durable_fsm.admin.inventory import every_machine_of
from durable_fsm.testing import RestateServer, Served, wait_until

ROOT = Path(__file__).parents[1]
CHART = "MovingFleet"


def main() -> None:
    """Seed, plan, migrate, count."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--machines", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=3)
    args = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    place = Path(tempfile.mkdtemp(prefix="fleet-"))
    apps = "tests.server.moving_app:application"
    env = {"MOVING_NAME": CHART, "MOVING_BUILD": "first"}
    later = {**env, "MOVING_BUILD": "second"}
    with (
        RestateServer() as server,
        Served.begin(apps, server, log=place / "first.log", app_dir=ROOT, env=env),
    ):
        began = time.perf_counter()
        seed(server, args.machines)
        print(f"{args.machines:,} machines stored in {time.perf_counter() - began:.1f} s")
        plan(server, place, later)
        with Served.begin(apps, server, log=place / "second.log", app_dir=ROOT, env=later):
            migrate(server, place, args.machines, args.kills)


def seed(server: RestateServer, many: int) -> None:
    """Store many machines that are like one."""
    server.call(CHART, "m-0", "create", {"name": "m-0"})
    with Admin(server.admin_url) as admin:
        [first] = every_machine_of(admin, CHART)
    record = json.loads(first.text)

    with httpx.Client(timeout=60) as http, ThreadPoolExecutor(8) as pool:

        def store(number: int) -> None:
            text = json.dumps({**record, "life": f"life{number}"})
            body = {"object_key": f"m-{number}", "new_state": {"snapshot": list(text.encode())}}
            http.post(f"{server.admin_url}/services/{CHART}/state", json=body).raise_for_status()

        for _ in pool.map(store, range(1, many)):
            pass
    wait_until(lambda: versions(server) == {"1": many}, what="the machines to be stored")


def plan(server: RestateServer, place: Path, env: dict[str, str]) -> None:
    """Plan the second build."""
    target = f"{ROOT / 'tests/server/moving_app.py'}:application"
    words = [*command(server, "plan", target)[:-4], "--admin", server.admin_url]
    began = time.perf_counter()
    said(words, env, cwd=place)
    print(f"planned in {time.perf_counter() - began:.1f} s")


def migrate(server: RestateServer, place: Path, many: int, kills: int) -> None:
    """Migrate, and kill the command some times."""
    run, dice = place / "run.jsonl", random.Random(1)
    words = command(
        server, "migrate", CHART, "--plan", str(place / "plan.json"), "--run", str(run), "--canary", "10",
        "--backup", str(place / "before.jsonl"), "--canary-wait", "0s",
    )  # fmt: skip
    began = time.perf_counter()
    for _ in range(kills):
        there = lines_of(run)
        wanted = there + dice.randint(1, max(1, many // (kills + 1)))
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        while lines_of(run) < wanted and process.poll() is None:
            time.sleep(0.05)
        process.kill()
        process.wait()
        print(f"killed: {versions(server)}")
    said(words, {})
    took = time.perf_counter() - began
    print(f"{versions(server)} after {took:.1f} s, {many / took:,.0f} machines a second")


def lines_of(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def versions(server: RestateServer) -> dict[str, int]:
    """How many machines have each version."""
    with Admin(server.admin_url) as admin:
        found: Counter[str] = counts_of(admin, CHART).by_version
    return dict(found)


def command(server: RestateServer, *words: str) -> list[str]:
    servers = ["--admin", server.admin_url, "--ingress", server.ingress_url]
    return [sys.executable, "-m", "durable_fsm.cli", *words, *servers]


def said(words: list[str], env: dict[str, str], cwd: Path | None = None) -> None:
    """Run a command, and print what it says."""
    ran = subprocess.run(words, env={**os.environ, **env}, cwd=cwd, capture_output=True, text=True, check=False)
    print(
        "\n".join(f"  {line}" for line in (ran.stdout + ran.stderr).strip().splitlines()[:12]),
        f"(exit {ran.returncode})",
    )


if __name__ == "__main__":
    main()
