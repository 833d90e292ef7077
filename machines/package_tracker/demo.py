"""The story of `make demo-kafka`: records of packages arrive while the Restate server is killed.

    python -m machines.package_tracker.demo [--keep]

A Kafka broker, a real Restate server and the tracker run as separate processes, on free ports of the loopback
interface. The demo kills the server with SIGKILL while records arrive. At the end every package has passed every station, once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

from rich.console import Console

from durable_fsm.testing import HarnessError, KafkaBroker, NotObserved, RestateServer, Served, wait_until
from machines.package_tracker.machine import Package

TOPIC = "package-location-updates"
PACKAGES = ("p-1", "p-2", "p-3")
BEFORE = ("Hamburg", "Lübeck", "Rødby")
AFTER = ("Copenhagen", "Malmö", "Gothenburg", "Oslo")
PATIENCE = timedelta(seconds=60)
ROOT = Path(__file__).parents[2]


def tell(server: RestateServer, broker: KafkaBroker, console: Console) -> None:
    """Play the story. Each chapter prints a line."""

    def seen(location: str) -> None:
        scan = {"timestamp": datetime.now(UTC).isoformat(), "location": location}
        broker.produce_all(TOPIC, [(package, json.dumps(scan)) for package in PACKAGES])

    def way(package: str) -> list[str]:
        data = server.call("package-tracker", package, "snapshot")["data"]
        return [scan["location"] for scan in data["locations"]]

    for package in PACKAGES:
        server.call("package-tracker", package, "registerPackage", {"destination": AFTER[-1]})
    console.print("  [green]✓[/green] three packages are registered over HTTP")
    for location in BEFORE:
        seen(location)
    wait_until(lambda: any(way(package) for package in PACKAGES), PATIENCE, "the first record to be processed")
    console.print("  [green]✓[/green] scanners write to Kafka, and the machines change")
    server.kill()
    for location in AFTER:
        seen(location)
    server.start()
    console.print("  [green]✓[/green] the Restate server is killed while they write, and starts again")
    wanted = [*BEFORE, *AFTER]
    wait_until(lambda: all(way(package) == wanted for package in PACKAGES), PATIENCE, f"every package to pass {wanted}")
    for package in PACKAGES:
        console.print(f"  [green]✓[/green] {package}: {' → '.join(way(package))}")
    console.print("Every package has passed every station, once and in order.")


def keep(server: RestateServer, broker: KafkaBroker, console: Console) -> None:
    """Leave everything running until Ctrl-C or SIGTERM."""
    url = f"{server.ingress_url}/package-tracker"
    console.print(
        f"\nEverything keeps running.\n  brokers  {broker.bootstrap_servers}\n  Restate  {server.admin_url}/ui/\n\nTry:"
    )
    body = '{"destination": "Oslo"}'
    console.print(f"  curl {url}/you/registerPackage --json '{body}'", soft_wrap=True)
    console.print(f"  curl {url}/you/snapshot --json null\n\nCtrl-C ends it.", soft_wrap=True)
    signal.pause()


def play(console: Console, *, kept: bool) -> None:
    with tempfile.TemporaryDirectory() as made, RestateServer() as server:
        place = Path(made)
        app = "machines.package_tracker.service:app"
        with (
            KafkaBroker(log=place / "broker.log") as broker,
            Served.begin(app, server, log=place / "service.log", app_dir=ROOT),
            broker.subscribed(server, Package),
        ):
            tell(server, broker, console)
            if kept:
                keep(server, broker, console)
    console.print("Nothing is left running. 'KEEP=1 make demo-kafka' keeps it running.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", default=os.environ.get("KEEP", "") not in ("", "0"))
    parser.epilog = "--keep, or KEEP=1, leaves everything running and prints the URLs."
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console()
    try:
        with contextlib.suppress(BrokenPipeError):
            play(console, kept=options.keep)
    except KeyboardInterrupt:
        return 0 if options.keep else 130
    except (HarnessError, NotObserved) as error:
        console.print(str(error), style="red", markup=False)
        return 1
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End the demo on SIGTERM as on Ctrl-C: with everything closed."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
