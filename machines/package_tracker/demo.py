"""The story of `make demo-kafka`: records of packages arrive while the Restate server is killed.

    python -m machines.package_tracker.demo [--keep]

A Kafka broker, a real Restate server and the tracker run as separate processes, on free ports of the loopback
interface. The demo kills the server with SIGKILL while records arrive. At the end every package has passed every station, once.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta

from rich.console import Console

from durable_fsm.testing import KafkaBroker, RestateServer, wait_until
from machines.package_tracker.machine import Package
from machines.stage import Stage, is_asked, keep, perform

TOPIC = "package-location-updates"
PACKAGES = ("p-1", "p-2", "p-3")
BEFORE = ("Hamburg", "Lübeck", "Rødby")
AFTER = ("Copenhagen", "Malmö", "Gothenburg", "Oslo")
PATIENCE = timedelta(seconds=60)


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


def main() -> int:
    kept = is_asked("keep", "leaves everything running and prints the URLs", __doc__)

    def act(stage: Stage, console: Console) -> int:
        broker = stage.broker()
        stage.serve("machines.package_tracker.service:app")
        stage.subscribe(broker, Package)
        tell(stage.server, broker, console)
        if not kept:
            console.print("Nothing is left running. 'KEEP=1 make demo-kafka' keeps it running.")
            return 0
        url = f"{stage.server.ingress_url}/package-tracker/you"
        return keep(
            {
                "brokers": broker.bootstrap_servers,
                "console": f"{stage.console()}/charts",
                "Restate": f"{stage.server.admin_url}/ui/",
                "to try": f"""curl {url}/registerPackage --json '{{"destination": "Oslo"}}'""",
                "": f"curl {url}/snapshot --json null",
            },
            console,
        )

    return perform(act)


if __name__ == "__main__":
    sys.exit(main())
