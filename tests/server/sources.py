"""Host the charts of `sources_app.py` with a Kafka broker, and produce to it; the fixture `sources`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner, Result

from durable_fsm.cli import main
from durable_fsm.testing import EffectLog, RestateServer, wait_until
from durable_fsm.testing.kafka import KafkaBroker

if TYPE_CHECKING:
    from tests.server.conftest import Host

PATIENCE = timedelta(seconds=120)
HERE = Path(__file__).parent
APP = HERE / "sources_app.py"
TARGETS = (f"{APP}:Ledger", f"{APP}:Parcel", f"{APP}:Letterbox", f"{APP}:lamp")
SECRETS = {
    "GITHUB_SECRET": "It's a Secret to Everybody",
    "SHOP_SECRET": "hush-hush-ä",
    "STRIPE_SECRET": "whsec_very-secret-indeed",
    "TOKEN": "token-of-the-test",
}
"""Secrets in the environment of the service."""


def kafka(server: RestateServer, *arguments: str, targets: tuple[str, ...] = TARGETS) -> Result:
    """Run `durable-fsm kafka`."""
    sys.modules.pop("sources_app", None)  # each command is a process of its own, and imports its targets anew
    return CliRunner().invoke(main, ["kafka", *targets, "--admin", server.admin_url, *arguments])


@dataclass
class Sources:
    """Charts with topics and webhooks: their host, and the world that sends."""

    host: Host
    broker: KafkaBroker

    @classmethod
    @contextmanager
    def on(
        cls, hosting: type[Host], server: RestateServer, effects: EffectLog, log: Path, broker: KafkaBroker
    ) -> Iterator[Sources]:
        with hosting.on(
            server, effects, log, app="sources_app:sources_app", to_the_end=True, SOURCES_VERSION="1", **SECRETS
        ) as host:
            broker.create("entries", "clicks", "whatever", "parcels", "presses", "doomed", "letters")
            broker.add_to(server)
            made = kafka(server, "--brokers", f"default={broker.bootstrap_servers}")
            assert made.exit_code == 0, made.output
            yield cls(host, broker)
            for one in host.client.get(f"{server.admin_url}/subscriptions").json()["subscriptions"]:
                host.client.delete(f"{server.admin_url}/subscriptions/{one['id']}").raise_for_status()

    def entry(
        self, key: str | None, n: object, /, *, event: str = "note", by: str = "", **more: str
    ) -> tuple[str | None, str]:
        """A record of the topic `entries`; *more* may be the id of the event and the key of its machine."""
        return key, json.dumps({"event": event, "payload": {"n": n, "by": by}, **more})

    def log(self, key: str, chart: str = "Ledger") -> list[str]:
        """The events that a machine has taken, in order."""
        machine = self.host.snapshot(chart, key)
        return machine["data"]["log"] if machine else []

    def wait_log(self, key: str, wanted: list[str], chart: str = "Ledger") -> None:
        wait_until(lambda: len(self.log(key, chart)) >= len(wanted), PATIENCE, what=f"{key} to have {wanted}")
        assert self.log(key, chart) == wanted

    def rejected(self, source: str, place: str, chart: str = "Ledger") -> dict[str, Any]:
        """The entry of a rejected record or request; waits for it."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            answer = self.host.receipt(f"{chart}.rejected", source, "list")
            found[:] = [letter for letter in answer["rejected"] if place in (letter["place"], letter["key"])]
            return bool(found)

        wait_until(there, PATIENCE, what=f"{place} to be rejected")
        [letter] = found
        return letter
