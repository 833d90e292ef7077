"""Findings about deployments: those that do not answer, that lack handlers, and those that can be removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, cast

import httpx

from durable_fsm.admin.client import Admin
from durable_fsm.admin.problems import Diagnosis
from durable_fsm.admin.readings import Row
from durable_fsm.errors import quoted
from durable_fsm.restate.names import PROBLEM, Handler

MANIFEST = "application/vnd.restate.endpointmanifest.v4+json"
"""How Restate asks a service which handlers it has."""

PATIENCE_SECONDS = 2.0

Handlers = dict[str, dict[str, str]]
"""By service and name of a handler: the problem that the service itself has with it; mostly none, and so empty."""


class DeploymentRow(NamedTuple):
    """A deployment as Restate knows it.

    Attributes:
        services: those that it had when it was registered; `newest` are those whose new invocations go to it.
        pinned: how many invocations that have not ended belong to it.
    """

    id: str
    uri: str
    services: list[str]
    newest: list[str]
    pinned: int

    @property
    def place(self) -> str:
        return f"deployment {self.id} at {self.uri}"


class DirectAnswer(NamedTuple):
    """The answer of a deployment that was asked directly: its handlers, or the problem.

    Both are None if it takes requests of Restate only.
    """

    handlers: Handlers | None = None
    problem: str | None = None


class Services(NamedTuple):
    """Everything that is registered at a server."""

    deployments: list[DeploymentRow]
    handlers: Handlers

    @classmethod
    def of(cls, admin: Admin) -> Services:
        services: list[Row] = admin.ask("GET", "/services")["services"]
        newest = {service["name"]: service["deployment_id"] for service in services}
        pinned = {
            row["pinned_deployment_id"]: int(row["many"])
            for row in admin.query(
                "SELECT pinned_deployment_id, count(*) AS many FROM sys_invocation WHERE status <> 'completed'"
                " AND pinned_deployment_id IS NOT NULL GROUP BY pinned_deployment_id"
            )
        }
        deployments = [
            DeploymentRow(
                row["id"],
                str(row.get("uri") or row.get("arn")),
                sorted(service["name"] for service in row["services"]),
                sorted(name for name, id in newest.items() if id == row["id"]),
                pinned.get(row["id"], 0),
            )
            for row in admin.ask("GET", "/deployments")["deployments"]
        ]
        return cls(deployments, _handlers_in(services))

    def asked(self) -> dict[str, DirectAnswer]:
        """The direct answer of each deployment that is needed, by id; an empty one for the others."""
        return {one.id: _ask(one) if one.newest or one.pinned else DirectAnswer() for one in self.deployments}

    def silent(self, asked: Mapping[str, DirectAnswer], answers: Callable[[str], bool]) -> list[DeploymentRow]:
        """The deployments that do not answer.

        Args:
            answers: whether a chart answers through the server: where this command runs, a deployment need not be
                reachable.
        """
        return [
            one
            for one in self.deployments
            if asked[one.id].problem is not None
            and not any(answers(name) for name in one.newest if Handler.SNAPSHOT in self.handlers[name])
        ]


def silence_of(deployment: DeploymentRow, asked: DirectAnswer) -> Diagnosis:
    what = f"{deployment.place} does not answer: {asked.problem}. It has {quoted(deployment.services)}."
    return Diagnosis("silent", what, "start it, or register where it is: durable-fsm register URL")


def findings_about(
    admin: Admin, deployment: DeploymentRow, asked: DirectAnswer, services: Services, waiting: Mapping[str, str]
) -> Iterator[Diagnosis]:
    """Every problem of one deployment, except that it does not answer.

    Args:
        waiting: why an older deployment of a service may still be needed, by service.
    """
    if deployment.newest:
        yield from _outdated(deployment, asked.handlers or {}, services)
        return
    needed = [waiting[name] for name in deployment.services if name in waiting]
    if deployment.pinned:
        what = f"{deployment.pinned} invocations still belong to the older {deployment.place}."
        yield Diagnosis("pinned", what, "keep it running until they have ended; durable-fsm doctor says when")
        yield from _dropped(admin, deployment, services)
    elif needed:
        what = f"The older {deployment.place} has no invocations left, but {'; '.join(needed)}."
        yield Diagnosis("kept", what, "do not remove it before every machine can be read: see 'unreadable'")
    else:
        remedy = f"curl -X DELETE '{admin.url}/deployments/{deployment.id}?force=true'"
        yield Diagnosis("stale", f"The older {deployment.place} has no invocations left.", remedy)


def unregistered(chart: str, what: str = "it is not registered") -> Diagnosis:
    return Diagnosis("handlers", f"{chart}: no deployment has this chart: {what}.", "durable-fsm register URL")


def missing_handlers(services: Services, chart: str, wanted: set[str]) -> Iterator[Diagnosis]:
    """The handlers that a chart declares, and that its newest deployment does not have."""
    if chart not in services.handlers:
        yield unregistered(chart)
    elif lost := sorted(wanted - services.handlers[chart].keys()):
        what = f"{chart}: the newest deployment has no handler {quoted(lost)}, which the chart declares."
        yield Diagnosis("handlers", what, "deploy this chart, and register it: durable-fsm register URL --force")


def _ask(deployment: DeploymentRow) -> DirectAnswer:
    """Ask a deployment which handlers it has now."""
    if not deployment.uri.startswith(("http://", "https://")):
        return DirectAnswer()  # AWS Lambda
    try:
        # Nothing secret is sent, and only its presence matters: so its certificate does not.
        with httpx.Client(timeout=PATIENCE_SECONDS, verify=False, trust_env=False) as http:
            answer = http.get(f"{deployment.uri.rstrip('/')}/discover", headers={"accept": MANIFEST})
    except (httpx.ConnectError, httpx.TimeoutException) as error:
        return DirectAnswer(problem=str(error) or type(error).__name__)
    except httpx.HTTPError:
        return DirectAnswer()  # it speaks, though not HTTP/1.1
    try:
        manifest: Any = answer.json() if answer.is_success else {}
        services = cast("list[Row]", manifest["services"])
        return DirectAnswer(_handlers_in(services))
    except (ValueError, LookupError, TypeError):
        return DirectAnswer()


def _handlers_in(services: list[Row]) -> Handlers:
    return {service["name"]: {one["name"]: _problem(one) for one in service["handlers"]} for service in services}


def _problem(handler: Row) -> str:
    metadata: Row = handler.get("metadata") or {}
    return str(metadata.get(PROBLEM, ""))


def _outdated(deployment: DeploymentRow, running: Handlers, services: Services) -> Iterator[Diagnosis]:
    """Differences between the code at an address and what Restate knows of it, and problems that it has itself."""
    for problem in {handlers[Handler.STOP] for handlers in running.values() if handlers.get(Handler.STOP)}:
        remedy = "give its plain functions a timeout; to end threads that hang, restart the service"
        yield Diagnosis("threads", f"{deployment.place}: {problem}", remedy)
    for name in deployment.newest:
        known, found = services.handlers[name], running.get(name)
        for handler, problem in (known if found is None else found).items():
            if problem and handler != Handler.STOP:
                yield Diagnosis("webhook", f"{name}/{handler}: {problem}", "see docs/webhooks.md; restart the service")
        if found is None:
            continue
        if lost := sorted(known.keys() - found.keys()):
            what = f"{name}: {quoted(lost)} is registered, but the code at {deployment.uri} does not have it."
            yield Diagnosis(
                "handlers", what, f"deploy the right code, or durable-fsm register {deployment.uri} --force"
            )
        if new := sorted(found.keys() - known.keys()):
            what = f"{name}: the code at {deployment.uri} has {quoted(new)}, which Restate does not know yet."
            yield Diagnosis("handlers", what, f"durable-fsm register {deployment.uri} --force")


def _dropped(admin: Admin, older: DeploymentRow, services: Services) -> Iterator[Diagnosis]:
    """Handlers of an older deployment that the newest one does not have."""
    for row in admin.ask("GET", f"/deployments/{older.id}")["services"]:
        name = row["name"]
        lost = sorted({handler["name"] for handler in row["handlers"]} - services.handlers.get(name, {}).keys())
        if lost:
            what = f"{name}: the newest deployment has no handler {quoted(lost)}, which the older {older.place} has."
            yield Diagnosis("handlers", what, "deploy a build that has it, if anything is still sent there")
