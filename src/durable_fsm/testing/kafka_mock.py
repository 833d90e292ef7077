"""The process of `KafkaBroker`: the mock broker of librdkafka, which has Kafka's wire protocol.

    python -m durable_fsm.testing.kafka_mock --port PORT

It answers its address at `http://127.0.0.1:<port>/`, and creates topics on `POST /topics`.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from durable_fsm.local.failures import HarnessError

HOST = "127.0.0.1"
_PRODUCER = 0
"""The kind of client that owns the mock, as librdkafka counts them."""


def main(arguments: list[str] | None = None) -> int:
    """Run the broker until the process is killed."""
    parser = argparse.ArgumentParser(
        prog="python -m durable_fsm.testing.kafka_mock", description="A Kafka broker for tests."
    )
    parser.add_argument("--port", type=int, required=True, help="where it answers its address")
    options = parser.parse_args(arguments)

    mock = Mock()
    address = {"bootstrap.servers": mock.bootstrap_servers}

    class Requests(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(address)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            for topic in body["topics"]:
                mock.create(topic, body["partitions"])
            self._answer({})

        def _answer(self, answer: object) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the log for what matters."""

    HTTPServer((HOST, options.port), Requests).serve_forever()
    return 0


class Mock:
    """The mock of librdkafka, with one broker, in this process. Only C can set it up; it lives as long as the process."""

    def __init__(self) -> None:
        self._c: Any = ctypes.CDLL(client_library().cimpl.__file__)  # Any: functions of C
        for name in ("conf_new", "new", "mock_cluster_new"):
            getattr(self._c, f"rd_kafka_{name}").restype = ctypes.c_void_p
        self._c.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        problem = ctypes.create_string_buffer(512)
        settings = ctypes.c_void_p(self._c.rd_kafka_conf_new())
        owner = self._c.rd_kafka_new(_PRODUCER, settings, problem, ctypes.c_size_t(len(problem)))
        if not owner:
            raise HarnessError(f"The Kafka broker did not start: {problem.value.decode()}.")
        self._cluster = ctypes.c_void_p(self._c.rd_kafka_mock_cluster_new(ctypes.c_void_p(owner), 1))
        self._c.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, ctypes.c_int32(0))

    @property
    def bootstrap_servers(self) -> str:
        found: bytes = self._c.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return found.decode()

    def create(self, topic: str, partitions: int) -> None:
        """Create a topic, unless it is there."""
        self._c.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1)


def client_library() -> Any:  # Any: a module without types
    try:
        import confluent_kafka
    except ModuleNotFoundError as error:
        raise HarnessError("The Kafka broker needs confluent-kafka: pip install 'durable-fsm[testing]'.") from error
    return confluent_kafka


if __name__ == "__main__":
    sys.exit(main())
