"""Run three native Restate servers as one cluster on this machine, until Ctrl-C, to watch machines survive a dead node.

    python deploy/cluster.py --register http://localhost:9080

Two nodes keep each partition, and three keep the metadata, so you may kill any one node (its process id is printed) and
start it again. On several hosts use the same settings, with addresses that they can reach: see `deploy/README.md`.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

import click

from durable_fsm.local.failures import HarnessError, NotObserved
from durable_fsm.testing import RestateCluster


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.option(
    "--register", "uris", multiple=True, metavar="URL", help="A service to register; may be given several times."
)
@click.option("--dir", "place", type=click.Path(path_type=Path, file_okay=False), help="Keep data and logs here.")
def main(uris: tuple[str, ...], place: Path | None) -> None:
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        with RestateCluster(base_dir=place) as cluster:
            for number, node in enumerate(cluster.nodes, 1):
                print(f"node {number}: ingress {node.ingress_url}, admin {node.admin_url}, pid {node.process.pid}")
            for uri in uris:
                print(f"registered {uri}: {', '.join(cluster.register(uri).services)}")
            print("Ctrl-C ends it.", flush=True)
            ended.wait()
    except (HarnessError, NotObserved) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
