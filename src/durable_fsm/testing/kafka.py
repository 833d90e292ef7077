"""A Kafka broker for tests: a process of its own, in memory, with the real wire protocol, easy to kill.

It is the mock of librdkafka. It creates a topic, with four partitions, on the first write or read. All records are lost
when it ends. Consumers get their partitions at once, without the three seconds in which Kafka waits for more of them.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import tempfile
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx

from durable_fsm.admin.client import Admin
from durable_fsm.admin.kafka_subscriptions import BOOTSTRAP, changes, sink_uri
from durable_fsm.core.values import Json
from durable_fsm.frontends import chart_from
from durable_fsm.local.closing import Starting
from durable_fsm.local.failures import HarnessError
from durable_fsm.local.process import HOST, ServiceProcess, free_port
from durable_fsm.local.server import RestateServer
from durable_fsm.local.waiting import wait_until
from durable_fsm.testing import kafka_mock
from durable_fsm.testing.kafka_mock import client_library

__all__ = ["KafkaBroker"]

_PATIENCE_SECONDS = 10.0
_FORGET_THE_DEAD = {"session.timeout.ms": "1200", "heartbeat.interval.ms": "200"}
"""Settings of consumers: a server that was killed owns its partitions until this time is over, by default 45 seconds.

Below one second the mock would let a consumer that joins wait for as long as its own timeout.
"""

Text = str | bytes | None


class KafkaBroker(Starting):
    """One broker, empty after every start.

        with KafkaBroker() as broker:
            broker.produce("orders", "o-17", '{"total_cents": 500}')

    Args:
        log: The file of its log; by default a temporary file.
    """

    def __init__(self, *, log: Path | None = None) -> None:
        port = free_port()
        self._own_log = log is None
        self._log = log or Path(tempfile.gettempdir()) / f"kafka-{os.getpid()}-{port}.log"
        self.process = ServiceProcess(
            [sys.executable, "-m", kafka_mock.__name__, "--port", str(port)],
            port=port,
            log=self._log,
            health=f"http://{HOST}:{port}/",
            env={"PYTHONPATH": os.pathsep.join(place or str(Path.cwd()) for place in sys.path)},
            name="kafka broker",
        )
        self._servers = ""
        self._producer: Any = None  # Any: confluent_kafka publishes no types

    @property
    def bootstrap_servers(self) -> str:
        """Its address for clients, such as `127.0.0.1:41234`. It changes with every start."""
        return self._servers

    # ── start and end ──────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> Self:
        """Start it, empty; return when it accepts records."""
        self.process.start().wait_ready()
        self._servers = self._ask("GET", "/")[BOOTSTRAP]
        return self

    def kill(self) -> None:
        """SIGKILL it. All records are lost."""
        self.process.kill()
        self._producer = None

    def close(self) -> None:
        """Kill it, if it runs, and remove its own log."""
        self.process.close()
        self._producer = None
        if self._own_log:
            self._log.unlink(missing_ok=True)

    def create(self, *topics: str, partitions: int = 4) -> None:
        """Create these topics now; a topic that is there already stays as it is."""
        self._ask("POST", "/topics", {"topics": topics, "partitions": partitions})
        client = self._client()
        for topic in topics:
            wait_until(partial(_is_there, client, topic), what=f"topic '{topic}' to be created")

    # ── consumers ─────────────────────────────────────────────────────────────────────────────────────────────────

    def add_to(self, server: RestateServer, cluster: str = "default") -> None:
        """Make it known to a Restate server, under the name of a cluster.

        If the server is killed, it reads on within two seconds of its next start; with Kafka's own settings it would take 45.
        """
        properties: dict[str, Json] = {BOOTSTRAP: self._servers, **_FORGET_THE_DEAD}
        with _admin_of(server) as admin:
            if cluster in admin.clusters():
                admin.ask("PATCH", f"/kafka-clusters/{cluster}", {"properties": properties})
            else:
                admin.ask("POST", "/kafka-clusters", {"name": cluster, "properties": properties})

    @contextmanager
    def subscribed(self, server: RestateServer, *definitions: object) -> Generator[None]:
        """Let a Restate server read the topics that charts declare, as long as the block lasts.

            with KafkaBroker() as broker, broker.subscribed(served.server, Order):
                broker.produce("orders", "o-17", '{"total_cents": 500}')

        The server must know the charts already: their application is registered.
        """
        charts = [chart_from(definition) for definition in definitions]
        for cluster in sorted({source.cluster for chart in charts for source in chart.hosting.sources}):
            self.add_to(server, cluster)
        with _admin_of(server) as admin:
            for change in changes(admin, charts, {}):
                change.make(admin)
        yield
        sinks = {sink_uri(chart, source) for chart in charts for source in chart.hosting.sources}
        if server.process.alive:
            with _admin_of(server) as admin:
                for one in admin.subscriptions():
                    if one["sink"] in sinks:
                        admin.ask("DELETE", f"/subscriptions/{one['id']}")

    # ── records ───────────────────────────────────────────────────────────────────────────────────────────────────

    def produce(
        self,
        topic: str,
        key: Text,
        value: Text,
        *,
        partition: int | None = None,
        headers: Mapping[str, bytes] | None = None,
    ) -> tuple[int, int]:
        """Write one record and wait until the broker acknowledges it; return its partition and offset.

        Args:
            key: None writes a record without a key.
            value: None writes a tombstone.
            partition: By default the partition of the key.
        """
        [place] = self._produce(topic, [(key, value)], partition, headers)
        return place

    def produce_all(self, topic: str, records: Iterable[tuple[Text, Text]]) -> list[tuple[int, int]]:
        """Write records of `(key, value)` in this order and wait until the broker acknowledges all of them."""
        return self._produce(topic, records, None, None)

    def _produce(
        self,
        topic: str,
        records: Iterable[tuple[Text, Text]],
        partition: int | None,
        headers: Mapping[str, bytes] | None,
    ) -> list[tuple[int, int]]:
        producer = self._client()
        places: dict[int, tuple[int, int]] = {}
        failures: list[str] = []
        count = 0

        def note(number: int, error: Any, message: Any) -> None:  # Any: as for the producer
            if error is not None:
                failures.append(str(error))
            else:
                places[number] = (message.partition(), message.offset())

        for number, (key, value) in enumerate(records):
            options: dict[str, Any] = {} if partition is None else {"partition": partition}
            options |= {"headers": list(headers.items())} if headers else {}
            producer.produce(topic, value, key, on_delivery=partial(note, number), **options)
            producer.poll(0)
            count += 1
        producer.flush(_PATIENCE_SECONDS)
        if failures or len(places) != count:
            problem = failures[0] if failures else f"it accepted {len(places)} of {count} records in time"
            raise HarnessError(f"The Kafka broker at {self._servers} did not accept everything: {problem}.")
        return [places[number] for number in range(count)]

    def _ask(self, method: str, path: str, body: object = None) -> Any:  # Any: JSON
        connection = http.client.HTTPConnection(HOST, self.process.port, timeout=_PATIENCE_SECONDS)
        try:
            connection.request(method, path, json.dumps(body))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def _client(self) -> Any:  # Any: as above
        if self._producer is None:
            confluent_kafka = client_library()
            self._producer = confluent_kafka.Producer(
                {
                    BOOTSTRAP: self._servers,
                    "enable.idempotence": True,
                    "linger.ms": 1,
                    "queue.buffering.max.messages": 1_000_000,
                    "log_level": 0,
                }
            )
        return self._producer


def _admin_of(server: RestateServer) -> Admin:
    return Admin(server.admin_url, httpx.Client(timeout=_PATIENCE_SECONDS, trust_env=False))


def _is_there(client: Any, topic: str) -> bool:  # Any: as above
    """Whether a topic can be written to. The first request makes the mock create it."""
    return bool(client.list_topics(topic, timeout=_PATIENCE_SECONDS).topics[topic].error is None)
