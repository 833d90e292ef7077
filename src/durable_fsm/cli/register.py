"""`durable-fsm register`: register a service with Restate."""

from __future__ import annotations

import re
from typing import Any

import click

from durable_fsm.admin.client import Admin, AdminRefused
from durable_fsm.cli.errors import SERVER, CommandError
from durable_fsm.cli.output import json_option, show
from durable_fsm.cli.settings import Connection, connected
from durable_fsm.serving.discovery import discovered

REMEDIES = {
    "META0003": "Restate cannot talk to {url}. Is the service running, and reachable from where Restate runs?"
    " A service that speaks only HTTP/1.1 and closes HTTP/2 connections needs --http1. A service with identity keys"
    " must have the key of this server.",
    "META0004": "A different deployment is registered at {url} already. Deploy each build under its own address, or replace"
    " the old one with --force: its running invocations may then fail.",
    "META0006": "A service changed its type, and existing machines would be lost. Give it another name,"
    " or delete the old deployment first.",
}

MISPLACED = "status code '404'"
NOT_THERE = (
    "Another application answers at {url}. If FastAPI or another framework mounts the machines, name their path as well,"
    " as in {url}/machines."
)


@click.command()
@click.argument("url")
@click.option("--force", is_flag=True, help="Read an address again that is already registered.")
@click.option("--http1", is_flag=True, help="Use HTTP/1.1, even if the service supports HTTP/2.")
@connected
@json_option
def register(url: str, connection: Connection, *, force: bool, http1: bool, as_json: bool) -> None:
    """Tell Restate the address of a service.

    URL is the address at which Restate reaches the service. The command prints the charts of the service. Restate uses
    HTTP/2 if the service supports it, otherwise HTTP/1.1. Registering the same address again changes nothing, except
    with --force.

    \b
    Example:
      durable-fsm register http://localhost:9080
    """
    if not url.startswith(("http://", "https://")):
        raise click.UsageError(f"'{url}' is not the address of a service. Write it as in http://localhost:9080.")
    with Admin(connection.admin, connection.http()) as admin:

        def ask(over_http1: bool) -> Any:  # noqa: FBT001 - Any: Restate's answer
            return admin.ask("POST", "/deployments", {"uri": url, "force": force, "use_http_11": over_http1})

        try:
            answer = discovered(ask, AdminRefused, http1=http1)
        except AdminRefused as error:
            raise CommandError(explained(str(error), url), code=SERVER, kind="RegistrationRefused") from error
    services = sorted(answer["services"], key=lambda service: service["name"])
    charts = [service["name"] for service in services if service["ty"] == "VirtualObject" and service["public"]]
    if as_json:
        show({"deployment": answer["id"], "url": url, "services": [one["name"] for one in services]}, as_json)
        return
    click.echo(f"Registered {url} as {answer['id']}: {', '.join(charts) or 'no chart'}")
    for service in services:
        handlers = ", ".join(sorted(handler["name"] for handler in service["handlers"] if handler.get("public", True)))
        click.echo(f"  {service['name']} (revision {service['revision']}): {handlers or 'private'}")


def explained(refused: str, url: str) -> str:
    """Restate's refusal to register *url*, with what to do about it."""
    code = re.search(r"META\d{4}", refused)
    remedy = REMEDIES.get(code.group(), "") if code else ""
    if MISPLACED in refused:
        remedy = NOT_THERE
    return f"{refused.rstrip('.')}. {remedy.format(url=url.rstrip('/'))}" if remedy else refused
