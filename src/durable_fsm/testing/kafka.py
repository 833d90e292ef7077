"""A Kafka broker for tests: a process of its own, in memory, with the real wire protocol, easy to kill.

It is the mock of librdkafka. It creates a topic, with four partitions, on the first write or read. All records are lost
when it ends.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Self

from durable_fsm.local.closing import Starting
from durable_fsm.local.failures import HarnessError
from durable_fsm.local.process import HOST, ServiceProcess, free_port
from durable_fsm.local.waiting import wait_until

__all__ = ["KafkaBroker"]

PARTITIONS = 4
"""Partitions of each topic of the mock."""

_PATIENCE_SECONDS = 10.0
_NOWHERE = "127.0.0.1:1"
"""The address of the mock before it runs: the client insists on one."""

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
            [sys.executable, "-m", "durable_fsm.testing.kafka", "--port", str(port)],
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
        connection = http.client.HTTPConnection(HOST, self.process.port, timeout=_PATIENCE_SECONDS)
        try:
            connection.request("GET", "/")
            self._servers = json.loads(connection.getresponse().read())["bootstrap.servers"]
        finally:
            connection.close()
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

    def create(self, *topics: str) -> None:
        """Create these topics now."""
        client = self._client()
        for topic in topics:
            wait_until(partial(_is_there, client, topic), what=f"topic '{topic}' to be created")

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

    def _client(self) -> Any:  # Any: as above
        if self._producer is None:
            confluent_kafka = _library()
            self._producer = confluent_kafka.Producer(
                {
                    "bootstrap.servers": self._servers,
                    "enable.idempotence": True,
                    "linger.ms": 1,
                    "queue.buffering.max.messages": 1_000_000,
                    "log_level": 0,
                }
            )
        return self._producer


def _is_there(client: Any, topic: str) -> bool:  # Any: as above
    """Whether a topic can be written to. The first request makes the mock create it."""
    return bool(client.list_topics(topic, timeout=_PATIENCE_SECONDS).topics[topic].error is None)


def _library() -> Any:  # Any: a module without types
    try:
        import confluent_kafka
    except ModuleNotFoundError as error:
        raise HarnessError("The Kafka broker needs confluent-kafka: pip install 'durable-fsm[testing]'.") from error
    return confluent_kafka


# ── the process ────────────────────────────────────────────────────────────────────────────────────────────────


def main(arguments: list[str] | None = None) -> int:
    """Run the broker until the process is killed; answer its address at `http://127.0.0.1:<port>/`."""
    parser = argparse.ArgumentParser(
        prog="python -m durable_fsm.testing.kafka", description="A Kafka broker for tests."
    )
    parser.add_argument("--port", type=int, required=True, help="where it answers its address")
    options = parser.parse_args(arguments)

    owner = _library().Producer({"bootstrap.servers": _NOWHERE, "test.mock.num.brokers": 1, "log_level": 0})
    [broker] = owner.list_topics(timeout=_PATIENCE_SECONDS).brokers.values()
    address = json.dumps({"bootstrap.servers": f"{HOST}:{broker.port}"}).encode()

    class Address(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(address)))
            self.end_headers()
            self.wfile.write(address)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the log for what matters."""

    HTTPServer((HOST, options.port), Address).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
