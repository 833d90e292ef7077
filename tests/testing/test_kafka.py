"""The broker for tests: it takes records in order, and holds nothing back when it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition

from durable_fsm.local.process import port_answers
from durable_fsm.testing import KafkaBroker, RestateServer, Served, wait_until
from machines.package_tracker.machine import Package
from tests.kafka import Brokers

pytestmark = pytest.mark.server


def read(broker: KafkaBroker, topic: str, partition: int, count: int) -> list[Any]:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "reader"})
    consumer.assign([TopicPartition(topic, partition, 0)])
    found = consumer.consume(count, timeout=60)
    consumer.close()
    return found


def test_records_of_one_key_keep_their_order() -> None:
    with KafkaBroker() as broker:
        places = broker.produce_all("orders", [("o-17", str(number)) for number in range(100)])
        found = read(broker, "orders", places[0][0], 100)

    assert places == [(places[0][0], number) for number in range(100)]
    assert [(record.key(), record.value()) for record in found] == [(b"o-17", b"%d" % n) for n in range(100)]


def test_keys_values_partitions_and_headers_are_what_they_were_said_to_be() -> None:
    with KafkaBroker() as broker:
        assert broker.produce("x", b"\xff", None, partition=2, headers={"a": b"b"}) == (2, 0)
        assert broker.produce("x", None, "value", partition=2) == (2, 1)
        first, second = read(broker, "x", 2, 2)

    assert (first.key(), first.value(), first.headers()) == (b"\xff", None, [("a", b"b")])
    assert (second.key(), second.value()) == (None, b"value")


def test_a_killed_broker_is_gone_and_a_new_one_is_empty(tmp_path: Path) -> None:
    with KafkaBroker(log=tmp_path / "broker.log") as broker:
        broker.produce("orders", "o-17", "1", partition=0)
        port = int(broker.bootstrap_servers.rpartition(":")[2])

        broker.kill()
        gone = not port_answers(port)
        broker.start()

        assert gone
        assert broker.produce("orders", "o-17", "1", partition=0) == (0, 0)


def test_a_topic_has_as_many_partitions_as_it_was_created_with() -> None:
    with KafkaBroker() as broker:
        broker.create("one", partitions=1)
        broker.create("one", "four")

        places = {
            topic: {broker.produce(topic, f"key {number}", "value")[0] for number in range(20)}
            for topic in ("one", "four")
        }

    assert places["one"] == {0}
    assert places["four"] > {0}


def test_a_server_reads_the_topics_of_a_chart_as_long_as_the_block_lasts(
    restate_server: RestateServer, brokers: Brokers, tmp_path: Path
) -> None:
    def machine() -> dict[str, str]:
        return restate_server.state("package-tracker", "subscribed")

    app, root, broker = "machines.package_tracker.service:app", Path(__file__).parents[2], brokers.of(restate_server)
    with Served.begin(app, restate_server, log=tmp_path / "service.log", app_dir=root):
        with broker.subscribed(restate_server, Package):
            restate_server.call("package-tracker", "subscribed", "registerPackage", {"destination": "Oslo"})
            scan = '{"timestamp": "2026-11-20T12:00:00Z", "location": "Oslo"}'
            broker.produce("package-location-updates", "subscribed", scan)
            wait_until(lambda: "delivered" in machine()["snapshot"])
            subscribed = httpx.get(f"{restate_server.admin_url}/subscriptions", trust_env=False).json()["subscriptions"]

        left = httpx.get(f"{restate_server.admin_url}/subscriptions", trust_env=False).json()["subscriptions"]
        assert [one["sink"] for one in subscribed if one not in left] == ["service://package-tracker/_kafka"]
