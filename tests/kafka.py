"""One Kafka broker for each Restate server of a run: all tests that need one share it, as they share the server."""

from __future__ import annotations

from contextlib import ExitStack

from durable_fsm.local.closing import Closing
from durable_fsm.testing import KafkaBroker, RestateServer


class Brokers(Closing):
    """The brokers of a run; each is started when it is first asked for."""

    def __init__(self) -> None:
        self._started: dict[str, KafkaBroker] = {}
        self._stack = ExitStack()

    def of(self, server: RestateServer) -> KafkaBroker:
        """The broker whose topics only this server reads."""
        if server.admin_url not in self._started:
            self._started[server.admin_url] = self._stack.enter_context(KafkaBroker())
        return self._started[server.admin_url]

    def close(self) -> None:
        self._stack.close()
