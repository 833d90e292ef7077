"""`durable-fsm kafka`: create the subscriptions that charts declare, and list rejected records."""

from __future__ import annotations

import sys

import click

from durable_fsm.admin.client import Admin
from durable_fsm.admin.kafka_subscriptions import Poison, changes, poison
from durable_fsm.cli.errors import DIFFERS
from durable_fsm.cli.output import say
from durable_fsm.cli.settings import Connection, connected
from durable_fsm.frontends.locate import locate_charts


@click.command()
@click.argument("targets", nargs=-1, required=True)
@click.option(
    "--brokers", multiple=True, metavar="NAME=HOST:PORT,…", help="Addresses of a cluster; may be given several times."
)
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 if anything differs.")
@click.option("--replace", is_flag=True, help="Replace subscriptions whose declaration changed.")
@click.option("--poison", "list_poison", is_flag=True, help="List the records and requests that no machine accepted.")
@connected
def kafka(
    targets: tuple[str, ...],
    connection: Connection,
    brokers: tuple[str, ...],
    *,
    check: bool,
    replace: bool,
    list_poison: bool,
) -> None:
    """Create the Kafka subscriptions of charts.

    TARGET is a chart or an application: 'module:Name' or 'file.py:Name'. Subscriptions that TARGETS no longer declare are
    deleted; subscriptions of other charts stay. A second run changes nothing.

    \b
    Examples:
      durable-fsm kafka shop.orders:Order --brokers default=kafka:9092
      durable-fsm kafka shop.orders:Order --poison
    """
    charts = [chart for target in targets for chart in locate_charts(target)]
    addresses = dict(map(_address, brokers))
    with Admin(connection.admin, connection.http()) as api:
        if list_poison:
            for chart in charts:
                _show(poison(api, chart))
            return
        found = changes(api, charts, addresses, replace=replace)
        held = [change for change in found if change.held_back]
        for change in found:
            if change in held:
                say(f"held back: {change.description} ({change.held_back})", err=True)
            elif check:
                say(f"would {change.description}")
            else:
                change.make(api)
                say(f"done: {change.description}")
    if not found:
        topics = sum(len(chart.hosting.sources) for chart in charts)
        say(f"nothing to do: {topics} topic{'' if topics == 1 else 's'} declared and subscribed")
    if held or (check and found):
        sys.exit(DIFFERS)


def _address(text: str) -> tuple[str, str]:
    name, equals, address = text.partition("=")
    if not (name and equals and address):
        raise click.UsageError(f"'{text}' does not name brokers. Write --brokers name=host:9092,host:9092")
    return name, address


def _show(found: Poison) -> None:
    shown = f", the latest {len(found.letters)}" if len(found.letters) < found.total else ""
    waiting = f"; {found.waiting} waiting" if found.waiting else ""
    say(f"{found.chart}: {found.total} rejected{shown}; {found.parked} parked{waiting}")
    for letter in found.letters:
        say(f"  {letter['at']}  {letter['place']}  {letter['status']} {letter['type']}")
        say(f"    {letter['reason']}")
