"""Which machines the current build of their chart cannot read: the build itself is asked, by `snapshot`.

Whether a build reads a machine depends on the machine's version and on the names in it, which are its *shape* here. Where
there are many machines, one of each shape is asked.
"""

from __future__ import annotations

from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import quote

import httpx

from durable_fsm.admin.client import Admin, AdminRefused
from durable_fsm.core.snapshot import Snapshot

MOST_ASKED = 2_000
"""If a chart has more machines, one of each shape is asked."""

AT_ONCE = 8

NO_MACHINE = "(durable-fsm doctor)"
"""A key that no machine has: to say so is an answer, too."""


class Unanswered(RuntimeError):
    """The current build does not answer, so it is unknown what it can read."""


class CurrentBuilds:
    """The builds that take new requests, at the ingress *url*. Closes nothing."""

    def __init__(self, url: str, http: httpx.Client, admin: Admin) -> None:
        self.url = url
        self._http = http
        self._admin = admin

    def probe(self, chart: str, key: str) -> None:
        """Ask about one machine, and withdraw the question if nothing answers: Restate would keep it.

        Raises:
            Unanswered: there is no answer of a build.
        """
        try:
            sent = self._http.post(f"{self._snapshot(chart, key)}/send")
            id = str(sent.json()["invocationId"])
        except (httpx.HTTPError, ValueError, LookupError) as error:
            raise Unanswered(str(error) or type(error).__name__) from error
        try:
            self._http.get(f"{self.url}/restate/invocation/{id}/attach")
        except httpx.HTTPError as error:
            with suppress(AdminRefused):
                self._admin.ask("PATCH", f"/invocations/{id}/kill")
            raise Unanswered(str(error) or type(error).__name__) from error

    def answers(self, chart: str) -> bool:
        """Whether the current build of a chart answers."""
        try:
            self.probe(chart, NO_MACHINE)
        except Unanswered:
            return False
        return True

    def _snapshot(self, chart: str, key: str) -> str:
        return f"{self.url}/{chart}/{quote(key, safe='')}/snapshot"

    def refusal(self, chart: str, key: str) -> str | None:
        """Why the current build cannot continue a machine, as a sentence; None if it can.

        Raises:
            Unanswered: there is no answer of a build.
        """
        try:
            answer = self._http.post(self._snapshot(chart, key))
            told: Any = answer.json()  # Any: JSON of our host, or of the ingress
        except (httpx.HTTPError, ValueError) as error:
            raise Unanswered(str(error) or type(error).__name__) from error
        if answer.is_success:
            refused = told.get("refused")
            return None if refused is None else str(refused["message"])
        if "type" in (told.get("metadata") or {}):
            return None if answer.status_code < 500 else str(told["message"]).removeprefix(f"{chart}/{key}: ")
        raise Unanswered(f"{answer.status_code} {told.get('message', '')}")


class Shapes:
    """The machines of one chart, by shape."""

    def __init__(self, chart: str) -> None:
        self.chart = chart
        self._keys: dict[Hashable, list[str]] = {}
        self.many = 0

    def add(self, key: str, machine: Snapshot) -> None:
        self._keys.setdefault(shape_of(machine), []).append(key)
        self.many += 1

    def refused(self, builds: CurrentBuilds) -> dict[str, str]:
        """Why the current build cannot continue a machine, by key.

        Raises:
            Unanswered: it does not answer.
        """
        every = self.many <= MOST_ASKED
        asked = [key for keys in self._keys.values() for key in (keys if every else keys[:1])]
        if asked:
            builds.probe(self.chart, asked[0])
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers = dict(zip(asked, pool.map(partial(builds.refusal, self.chart), asked), strict=True))
        found: dict[str, str] = {}
        for keys in self._keys.values():
            for key in keys:
                if (reason := answers.get(key, answers[keys[0]])) is not None:
                    found[key] = reason
        return found


def shape_of(machine: Snapshot) -> Hashable:
    """The members of a machine on which it depends whether a chart fits it; migrations may read more."""
    return (
        machine.version,
        machine.digest,
        machine.status,
        machine.configuration,
        tuple(sorted(machine.history.items())),
        tuple((one.event, one.state, one.activity is None, one.to is None) for one in machine.timers),
        tuple((one.id, one.state) for one in machine.activities),
        tuple((one.id, one.state) for one in machine.undo),
        tuple((one.id, one.state) for one in machine.stopping),
        tuple((one.chart, one.state, one.place, one.part is None, one.name is None) for one in machine.machines),
        tuple(one.event for one in machine.deferred),
    )
