"""A pytest plugin: at the end of a run, print how many invocations the servers themselves count for each application.

It shows which applications a run has really driven through Restate, and through which version of it. conftest.py of the
checkout loads it; `applications.py` counts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from durable_fsm.testing import RestateServer
from tests.acceptance.catalogue import rows
from tests.web import web

OUTCOMES = ("success", "failure", "not completed")


@dataclass
class Figures:
    """The invocations of each application, by kind of server and outcome; and the versions of the servers."""

    counted: Counter[tuple[str, str, str]] = field(default_factory=Counter[tuple[str, str, str]])
    versions: set[str] = field(default_factory=set[str])

    def count(self, application: str, server: RestateServer, services: tuple[str, ...]) -> None:
        """Ask a server for the invocations of an application's services, while it still has them."""
        if not server.process.alive:
            return
        names = ", ".join(f"'{name}'" for name in services)
        asked = "SELECT coalesce(completion_result, 'not completed') AS outcome, count(id) AS times FROM sys_invocation"
        for row in server.query(f"{asked} WHERE target_service_name IN ({names}) GROUP BY 1"):
            self.counted[application, "replaying" if server.always_replay else "awake", row["outcome"]] += row["times"]
        self.versions.add(web.get(f"{server.admin_url}/version").json()["version"])

    def add(self, others: dict[str, Any]) -> None:  # Any: what a worker sent
        """Add what another process has counted."""
        self.counted.update({(name, server, outcome): times for name, server, outcome, times in others["counted"]})
        self.versions.update(others["versions"])

    def sent(self) -> dict[str, Any]:
        """The same, as a worker may send it."""
        return {"counted": [(*key, times) for key, times in self.counted.items()], "versions": sorted(self.versions)}

    def lines(self) -> list[str]:
        """A table: one line for each application and kind of server."""
        ids = {row.machine or row.template: row.id for row in rows()}
        hosted = sorted({(ids.get(name, ""), name, server) for name, server, _ in self.counted})
        found = [f"{'':44}" + "".join(f"{outcome:>15}" for outcome in OUTCOMES)]
        for id, name, server in hosted:
            times = "".join(f"{self.counted[name, server, outcome]:15}" for outcome in OUTCOMES)
            found.append(f"{id:5}{name:25}{server:14}{times}")
        return found


FIGURES = Figures()
"""What this process has counted, and in the end also what its workers have."""


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the figures of a worker of pytest-xdist to the process that started it."""
    if hasattr(session.config, "workeroutput"):
        vars(session.config)["workeroutput"]["figures"] = FIGURES.sent()  # an attribute that pytest-xdist adds


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # Any: pytest-xdist has no types
    """Take the figures of a worker; one that has crashed sends none."""
    FIGURES.add(getattr(node, "workeroutput", {}).get("figures", Figures().sent()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES.counted:
        terminalreporter.section(f"invocations that Restate {', '.join(sorted(FIGURES.versions))} counts")
        terminalreporter.line("\n".join(FIGURES.lines()))
