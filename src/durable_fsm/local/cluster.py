"""A cluster of real Restate servers on this machine: two nodes keep each partition, so a test may kill any one node."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Self

from durable_fsm.admin.readings import Row
from durable_fsm.local.closing import Starting
from durable_fsm.local.process import HOST, START_PATIENCE, free_port
from durable_fsm.local.server import Deployment, RestateServer

__all__ = ["RestateCluster"]

NODES = 3
PARTITIONS = 4
REPLICATION = 2


class RestateCluster(Starting):
    """Three native Restate servers that form a cluster: send requests to any node, kill one node at a time.

        with RestateCluster() as cluster:
            cluster.register(service.url)
            cluster.nodes[0].kill()
            cluster.nodes[1].call("Counter", "one", "add", 2)
            cluster.nodes[0].start()

    Several nodes keep every partition, every log and the metadata. A partition that loses its leader gets another one
    within seconds. Each of `nodes` is a `RestateServer`; its `ingress_url` and `admin_url` serve the whole cluster.

    Args:
        base_dir: The directory for data and logs, which `close` keeps; by default a directory that `close` removes.
        env: Environment of every node, as Restate reads it.
    """

    def __init__(self, *, base_dir: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        self._temporary = base_dir is None
        self.base_dir = Path(tempfile.mkdtemp(prefix="restate-cluster-")) if base_dir is None else base_dir
        addresses = [f"http://{HOST}:{free_port()}" for _ in range(NODES)]
        self.nodes = tuple(
            RestateServer(base_dir=self._directory(number), env={**_settings(number, addresses), **(env or {})})
            for number in range(1, NODES + 1)
        )

    def _directory(self, number: int) -> Path:
        place = self.base_dir / f"node-{number}"
        place.mkdir(parents=True, exist_ok=True)
        return place

    # ── start and end ──────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, timeout: timedelta = START_PATIENCE) -> Self:
        """Start all nodes, or start them again on the same data; return when each accepts requests."""
        for node in self.nodes:
            node.process.start()
        for node in self.nodes:
            node.wait_ready(timeout)
        return self

    def close(self) -> None:
        """Kill all nodes and remove their data, unless *base_dir* was given."""
        for node in self.nodes:
            node.close()
        if self._temporary:
            shutil.rmtree(self.base_dir, ignore_errors=True)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def alive(self) -> tuple[RestateServer, ...]:
        """The nodes whose process runs now."""
        return tuple(node for node in self.nodes if node.process.alive)

    def register(self, uri: str, *, http1: bool = False) -> Deployment:
        """Register the services at *uri* with the cluster; see `RestateServer.register`."""
        return self.alive[0].register(uri, http1=http1)

    def query(self, sql: str) -> list[Row]:
        """Query the SQL tables of the whole cluster; see `RestateServer.query`."""
        return self.alive[0].query(sql)


def _settings(number: int, addresses: list[str]) -> dict[str, str]:
    """The environment that makes a server a node of the cluster. The first node creates the cluster."""
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
        # By default a node that starts, or is back, counts as unreliable for five seconds.
        "RESTATE_GOSSIP_SUSPECT_INTERVAL": "500ms",
    }
