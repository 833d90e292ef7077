"""`durable-fsm send`: send an event to one machine, or to all machines that match."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from durable_fsm.cli.acting import show_receipt
from durable_fsm.cli.errors import DIFFERS
from durable_fsm.cli.machine_arg import IF_SEQ, DurationType, MachineRef, MachineRefType, PayloadType, calling, reached
from durable_fsm.cli.output import console, json_option, say, show, words
from durable_fsm.cli.settings import Connection, connected
from durable_fsm.cli.where import filter_of
from durable_fsm.errors import CallError, DurableFSMError, counted

if TYPE_CHECKING:
    from durable_fsm.admin.inventory import Filter
    from durable_fsm.client import SyncClient

AT_ONCE = 8
"""Requests in flight at once, with --where."""

SHOWN = 20
"""Keys that a dry run lists."""


@click.command("send")
@click.argument("ref", metavar="CHART/KEY", type=MachineRefType(keyless=True))
@click.argument("event")
@click.argument("payload", type=PayloadType(), required=False)
@click.option(
    "--idempotency-key",
    metavar="TEXT",
    help="The same key, sent again within a day, gets the same answer, even a failure.",
)
@click.option("--delay", type=DurationType(), help="Deliver it after this time: 30s, 2h, 1d.")
@click.option("--one-way", is_flag=True, help="Do not wait for the answer.")
@click.option(
    "--where",
    multiple=True,
    metavar="NAME=VALUE",
    help="Send to all machines of CHART with this state, status, version or indexed field; may be given several times.",
)
@click.option("--yes", is_flag=True, help="With --where: send the event instead of only listing the machines.")
@click.option("--run", metavar="ID", help="With --where: continue this run; no machine gets the event twice.")
@IF_SEQ
@connected
@json_option
def send(
    ref: MachineRef,
    event: str,
    payload: object,
    connection: Connection,
    *,
    idempotency_key: str | None,
    delay: timedelta | None,
    one_way: bool,
    where: tuple[str, ...],
    yes: bool,
    run: str | None,
    if_seq: int | None,
    as_json: bool,
) -> None:
    """Send EVENT to CHART/KEY and print the answer.

    PAYLOAD is JSON; '-' reads it from standard input, '@file' from a file.

    With --where, give CHART alone. EVENT then goes to all matching machines: the command lists them, and with --yes it
    sends. To continue an interrupted run, add --run ID to the same conditions.

    \b
    Examples:
      durable-fsm send Order/o-17 checkout '{"total_cents": 500}'
      durable-fsm send Order/o-17 checkout @order.json --idempotency-key r-1
      durable-fsm send Order cancel --where state=on_hold --yes
    """
    if where:
        if ref.key or idempotency_key or delay or one_way or if_seq is not None:
            raise click.UsageError(
                "With --where, name the CHART alone, without --idempotency-key, --delay, --one-way or --if-seq."
            )
        _send_to_many(ref.chart, event, payload, connection, filter_of(where), yes=yes, run=run, as_json=as_json)
        return
    if not ref.key:
        raise click.UsageError(
            f"'{ref}' does not name a machine. Write CHART/KEY, or say which of them: --where state=…"
        )
    if yes or run:
        raise click.UsageError("--yes and --run belong to --where.")
    with reached(connection, ref, if_seq=if_seq) as machine:
        if one_way:
            sent = machine.tell(event, payload, idempotency_key=idempotency_key, delay=delay)
            show({"invocation": sent.id} if as_json else f"{ref}: '{event}' is on its way as {sent.id}", as_json)
        else:
            receipt = machine.send(event, payload, idempotency_key=idempotency_key, delay=delay)
            show_receipt(receipt, as_json=as_json)


def _send_to_many(
    chart: str,
    event: str,
    payload: object,
    connection: Connection,
    wanted: Filter,
    *,
    yes: bool,
    run: str | None,
    as_json: bool,
) -> None:
    from durable_fsm.admin.client import Admin
    from durable_fsm.admin.inventory import ensure_known, machines_of

    with Admin(connection.admin, connection.http()) as admin:
        ensure_known(admin, chart)
        keys = [found.key for found in machines_of(admin, chart, wanted)]
    if not yes:
        if as_json:
            show({"chart": chart, "event": event, "would_send_to": keys}, as_json)
        else:
            more = f", and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
            say(f"Would send '{event}' to {counted(len(keys), 'machine')} of {chart}: {words(keys[:SHOWN])}{more}.")
            click.echo("Add --yes to do it.")
        return
    run = run or uuid.uuid4().hex[:12]
    if not as_json:
        say(f"Run {run}: sending '{event}' to {counted(len(keys), 'machine')} of {chart}.", err=True)
    try:
        with calling(connection) as client:
            results = _all(client, chart, event, payload, keys, run)
    except (KeyboardInterrupt, CallError):
        say(f"Interrupted. Continue with: --run {run}", err=True)
        raise
    refused = {key: result for key, result in zip(keys, results, strict=True) if result is not None}
    taken = len(keys) - len(refused)
    if as_json:
        show({"run": run, "sent": len(keys), "taken": taken, "refused": refused}, as_json)
    else:
        say(f"{taken} of {len(keys)} accepted '{event}'.")
        for why in refused.values():
            say(f"  {why}")
    if refused:
        sys.exit(DIFFERS)


def _all(client: SyncClient, chart: str, event: str, payload: object, keys: list[str], run: str) -> list[str | None]:
    """Send to each key; return why it was refused, or None. If Restate does not answer, raise at once."""

    def one(key: str) -> str | None:
        try:
            client.machine(chart, key).send(event, payload, idempotency_key=f"{run}/{quote(key)}")
        except CallError:
            raise
        except DurableFSMError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        sent = [pool.submit(one, key) for key in keys]
        try:
            return _watched([future.result for future in sent], event)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _watched(results: list[Callable[[], Any]], event: str) -> list[Any]:  # Any: the type of the results
    """Collect the results, with a progress bar on a terminal."""
    out = console(err=True)
    if not out.is_terminal:
        return [result() for result in results]
    from rich.progress import track

    return [result() for result in track(results, description=f"'{event}'", console=out)]
