"""A cluster of real Restate servers on this machine: every partition is kept by two nodes, and any one may be killed."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from durable_fsm.local.process import HOST, START_PATIENCE, free_port
from durable_fsm.local.server import Deployment, RestateServer, Row

__all__ = ["RestateCluster"]

NODES = 3
PARTITIONS = 4
REPLICATION = 2


class RestateCluster:
    """Three native Restate servers that are one: ask any of them, kill one at a time.

        with RestateCluster() as cluster:
            cluster.register(service.url)
            cluster.nodes[0].kill()
            cluster.nodes[1].call("Counter", "one", "add", 2)
            cluster.nodes[0].start()

    Every partition, every log and the metadata are kept by several nodes; whoever loses its leader gets another one
    within seconds. Each of `nodes` is a `RestateServer`, whose `ingress_url` and `admin_url` serve the whole cluster.

    Args:
        base_dir: Where their data and logs are kept, also afterwards; by default a directory that `close` removes.
        env: Settings of every node, spelt as Restate reads them.
    """

    def __init__(self, *, base_dir: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        self._temporary = base_dir is None
        self.base_dir = Path(tempfile.mkdtemp(prefix="restate-cluster-")) if base_dir is None else base_dir
        addresses = [f"http://{HOST}:{free_port()}" for _ in range(NODES)]
        self.nodes = tuple(
            RestateServer(base_dir=self._place(number), env={**_settings(number, addresses), **(env or {})})
            for number in range(1, NODES + 1)
        )

    def _place(self, number: int) -> Path:
        place = self.base_dir / f"node-{number}"
        place.mkdir(parents=True, exist_ok=True)
        return place

    # ── its life ──────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, timeout: timedelta = START_PATIENCE) -> Self:
        """Start all nodes, or start them again on the same data; return when each of them takes requests."""
        for node in self.nodes:
            node.process.start()
        for node in self.nodes:
            node.wait_ready(timeout)
        return self

    def close(self) -> None:
        """End all nodes and remove their data, unless *base_dir* was given."""
        for node in self.nodes:
            node.close()
        if self._temporary:
            shutil.rmtree(self.base_dir, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ── asking it ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def alive(self) -> tuple[RestateServer, ...]:
        """The nodes whose process runs."""
        return tuple(node for node in self.nodes if node.process.alive)

    def register(self, uri: str, *, http1: bool = False) -> Deployment:
        """Make the services at *uri* known to the cluster; see `RestateServer.register`."""
        return self.alive[0].register(uri, http1=http1)

    def query(self, sql: str) -> list[Row]:
        """Ask the SQL tables of the whole cluster; see `RestateServer.query`."""
        return self.alive[0].query(sql)


def _settings(number: int, addresses: list[str]) -> dict[str, str]:
    """What makes a server the node of a cluster; the first one founds it."""
    return {
        "RESTATE_CLUSTER_NAME": "test",
        "RESTATE_NODE_NAME": f"node-{number}",
        "RESTATE_AUTO_PROVISION": "true" if number == 1 else "false",
        "RESTATE_ADVERTISED_ADDRESS": addresses[number - 1],
        "RESTATE_BIND_PORT": addresses[number - 1].rpartition(":")[2],
        "RESTATE_METADATA_CLIENT__TYPE": "replicated",
        "RESTATE_METADATA_CLIENT__ADDRESSES": json.dumps(addresses),
        "RESTATE_BIFROST__DEFAULT_PROVIDER": "replicated",
        "RESTATE_DEFAULT_REPLICATION": str(REPLICATION),
        "RESTATE_DEFAULT_NUM_PARTITIONS": str(PARTITIONS),
    }
