"""`durable-fsm kafka`: from what is declared to what the server has, and back to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from durable_fsm.cli import main
from durable_fsm.testing import RestateServer, free_port, wait_until
from durable_fsm.testing.kafka import KafkaBroker
from durable_fsm.testing.plugin import Serve
from tests.web import web

pytestmark = pytest.mark.server

TOPICS = Path(__file__).parent / "topics.py"
PRESSES = "kafka://cli/presses"


@dataclass
class Subscribed:
    """A server with the lamp, and a broker."""

    server: RestateServer
    broker: KafkaBroker

    def kafka(self, *names: str, options: tuple[str, ...] = ()) -> Result:
        targets = [f"{TOPICS}:{name}" for name in names]
        return CliRunner().invoke(main, ["kafka", *targets, "--admin", self.server.admin_url, *options])

    def first(self, *names: str) -> Result:
        result = self.kafka(*names, options=("--brokers", f"cli={self.broker.bootstrap_servers}"))
        assert result.exit_code == 0, result.output
        return result

    def admin(self, method: str, path: str, body: object = None) -> Any:
        answer = web.request(method, f"{self.server.admin_url}{path}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def there(self) -> list[tuple[str, str, str]]:
        """Subscriptions of the lamp: source, sink, group."""
        found = self.admin("GET", "/subscriptions")["subscriptions"]
        return sorted((one["source"], one["sink"], one["options"]["group.id"]) for one in found if "Cli" in one["sink"])


@pytest.fixture
def subscribed(restate_server: RestateServer, serve: Serve) -> Iterator[Subscribed]:
    with KafkaBroker() as broker:
        broker.create("presses", "bad.ones")
        serve("topics:topics_app")
        found = Subscribed(restate_server, broker)
        yield found
        for one in found.admin("GET", "/subscriptions")["subscriptions"]:
            if "Cli" in one["sink"]:
                found.admin("DELETE", f"/subscriptions/{one['id']}")
        for cluster in found.admin("GET", "/kafka-clusters")["clusters"]:
            if cluster["name"] == "cli":
                found.admin("DELETE", "/kafka-clusters/cli")


def test_a_missing_subscription_is_created_once(subscribed: Subscribed) -> None:
    address = subscribed.broker.bootstrap_servers
    check = subscribed.kafka("Both", options=("--check", "--brokers", f"cli={address}"))
    assert (check.exit_code, check.stdout.splitlines()) == (
        1,
        [
            f"would create cluster 'cli' at {address}",
            "would subscribe service://CliLamp/_kafka to kafka://cli/presses",
            "would subscribe service://CliLamp/_kafka to kafka://cli/bad.ones",
        ],
    )
    assert subscribed.there() == []

    made = subscribed.first("Both")
    again = subscribed.kafka("Both")

    assert [line.split()[0] for line in made.stdout.splitlines()] == ["done:"] * 3
    assert (again.exit_code, again.stdout) == (0, "nothing to do: 2 topics declared and subscribed\n")
    assert subscribed.kafka("Both", options=("--check",)).exit_code == 0
    assert [(source, sink) for source, sink, _ in subscribed.there()] == [
        ("kafka://cli/bad.ones", "service://CliLamp/_kafka"),
        (PRESSES, "service://CliLamp/_kafka"),
    ]
    subscribed.broker.produce("presses", "lamp", "x")
    wait_until(lambda: _is_on(subscribed), what="the lamp to be on")


def test_an_undeclared_subscription_is_deleted_and_those_of_others_stay(subscribed: Subscribed) -> None:
    subscribed.first("Both")
    foreign = {"source": PRESSES, "sink": "service://CliLamp/press", "options": {"auto.offset.reset": "latest"}}
    subscribed.admin("POST", "/subscriptions", foreign)
    second = {"source": PRESSES, "sink": "service://CliLamp/_kafka", "options": {"auto.offset.reset": "earliest"}}
    subscribed.admin("POST", "/subscriptions", second)
    others = len(subscribed.admin("GET", "/subscriptions")["subscriptions"]) - 4

    check = subscribed.kafka("Presses", options=("--check",))
    result = subscribed.kafka("Presses")

    assert check.exit_code == 1
    assert result.exit_code == 0
    assert "a second one of its topic" in result.stdout
    assert "kafka://cli/bad.ones to service://CliLamp/_kafka: no longer declared" in result.stdout
    assert [(source, sink) for source, sink, _ in subscribed.there()] == [
        (PRESSES, "service://CliLamp/_kafka"),
        (PRESSES, "service://CliLamp/press"),
    ]
    assert len(subscribed.admin("GET", "/subscriptions")["subscriptions"]) - 2 == others


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Moved", "it ends in service://CliLamp/_kafka, declared service://CliLamp.kafka/_forward"),
        (
            "Late",
            "auto.offset.reset is earliest, declared latest; session.timeout.ms is not set, declared 6000",
        ),
    ],
)
def test_a_changed_declaration_is_held_back_until_it_is_asked_for_and_keeps_its_group(
    subscribed: Subscribed, name: str, words: str
) -> None:
    subscribed.first("Presses")
    [(_, _, group)] = subscribed.there()

    held = subscribed.kafka(name)
    [(_, _, untouched)] = subscribed.there()
    replaced = subscribed.kafka(name, options=("--replace",))

    assert held.exit_code == 1
    assert (
        f"{PRESSES}: {words} (records of the last seconds may be processed twice; do it with --replace)" in held.stderr
    )
    assert untouched == group
    assert replaced.exit_code == 0, replaced.output
    [(_, sink, kept)] = subscribed.there()
    assert kept == group
    assert sink == ("service://CliLamp.kafka/_forward" if name == "Moved" else "service://CliLamp/_kafka")
    assert subscribed.kafka(name).stdout == "nothing to do: 1 topic declared and subscribed\n"


def test_a_cluster_that_has_moved_is_moved_and_keeps_its_settings(subscribed: Subscribed) -> None:
    address = subscribed.broker.bootstrap_servers
    properties = {"bootstrap.servers": "127.0.0.1:1", "client.id": "mine"}
    subscribed.admin("POST", "/kafka-clusters", {"name": "cli", "properties": properties})

    result = subscribed.first("Presses")

    assert f"done: move cluster 'cli' from 127.0.0.1:1 to {address}" in result.stdout
    assert subscribed.admin("GET", "/kafka-clusters/cli")["properties"] == {
        "bootstrap.servers": address,
        "client.id": "mine",
    }


def test_poison_is_listed_with_its_place_and_its_reason(subscribed: Subscribed) -> None:
    subscribed.first("Both")
    partition, offset = subscribed.broker.produce("bad.ones", "lamp", "x")

    wait_until(
        lambda: "1 rejected" in subscribed.kafka("Both", options=("--poison",)).stdout, what="one to be rejected"
    )

    result = subscribed.kafka("Both", options=("--poison",))
    head, place, reason = result.stdout.splitlines()
    assert head == "CliLamp: 1 rejected; 0 parked"
    assert place.endswith(f"  record bad.ones[{partition}]@{offset}  422 Undecodable")
    assert reason.strip() == (
        f"CliLamp/lamp: record bad.ones[{partition}]@{offset} cannot be decoded: ValueError: this is for nobody."
    )


def test_bad_input_ends_with_two_and_what_a_server_refuses_with_seven(subscribed: Subscribed) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    ingress = subscribed.server.ingress_url
    address = subscribed.broker.bootstrap_servers
    cases: list[tuple[int, tuple[str, ...], tuple[str, ...], str]] = [
        (
            7,
            ("Presses",),
            (),
            "Restate knows no Kafka cluster 'cli'. Say where its brokers are: --brokers cli=host:9092",
        ),
        (
            2,
            ("Presses",),
            ("--brokers", "cli"),
            "'cli' does not name brokers. Write --brokers name=host:9092,host:9092",
        ),
        (
            7,
            ("Presses",),
            ("--brokers", f"other={address}"),
            "--brokers names cluster 'other', and no source uses it: cli.",
        ),
        (7, ("NobodyServesThis",), (), "Service 'NobodyServesThis' is not registered at"),
        (7, ("Presses",), ("--admin", nowhere), f"Restate's admin API cannot be reached at {nowhere}"),
        (7, ("Presses",), ("--admin", ingress), "is Restate's ingress, not its admin API. Name that with --admin."),
        (2, ("Presses",), ("--admin", "nonsense"), "'nonsense' is not an address for --admin"),
        (2, ("Nothing",), (), "has no 'Nothing'"),
        (2, (), (), "Missing argument 'TARGETS...'"),
    ]

    for code, names, options, words in cases:
        result = subscribed.kafka(*names, options=options)
        assert result.exit_code == code, (names, options, result.output)
        assert words in result.stderr.replace("\n", " ")


def _is_on(subscribed: Subscribed) -> bool:
    state = subscribed.server.state("CliLamp", "lamp")
    return "snapshot" in state and '"on"' in state["snapshot"]
