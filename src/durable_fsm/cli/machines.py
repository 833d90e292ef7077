"""Commands about one machine: what it takes, where it is, what it has done, and what is to be done with it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from durable_fsm.cli.machine_arg import MACHINE, DurationType, PayloadType, Place, reached
from durable_fsm.cli.output import json_option, show, words
from durable_fsm.cli.settings import Connection, connected
from durable_fsm.core.snapshot import Status
from durable_fsm.core.values import Json
from durable_fsm.frontends.locate import locate_chart

if TYPE_CHECKING:
    from durable_fsm.client import Entry, Receipt, View

Facts = dict[str, Any]  # Any: JSON of what a machine has answered


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@click.command("events")
@MACHINE
@connected
@click.option("--chart", "target", metavar="TARGET", help="Its definition, to say which states take the others.")
@json_option
def events(place: Place, connection: Connection, *, target: str | None, as_json: bool) -> None:
    """Say what CHART/KEY accepts now, and why not the rest."""
    with reached(connection, place) as machine:
        view = machine.snapshot()
    takers = _takers(target)
    rows = [
        {
            "event": one.event,
            "accepts": one.accepts,
            "why not": None if one.accepts != "no" else _why_not(view, takers.get(one.event)),
            "payload": one.payload if as_json else _title(one.payload),
        }
        for one in view.events
    ]
    show(rows or f"{place} takes no events from outside.", as_json)


def _takers(target: str | None) -> dict[str, list[str]]:
    """By event, the states from which a transition takes it."""
    found: dict[str, list[str]] = {}
    for edge in locate_chart(target).chart.transitions if target is not None else ():
        for event in edge.events:
            found.setdefault(event, []).append(edge.source)
    return found


def _why_not(view: View, states: list[str] | None) -> str:
    if view.status is not Status.RUNNING:
        return f"the machine is {view.status}"
    taken = f"; it is taken in {', '.join(dict.fromkeys(states))}" if states else ""
    return f"not in {', '.join(view.configuration)}{taken}"


def _title(schema: Json) -> str | None:
    if not isinstance(schema, dict):
        return None
    return str(schema.get("title") or schema.get("type") or "any JSON")


@click.command("show")
@MACHINE
@connected
@json_option
def show_machine(place: Place, connection: Connection, *, as_json: bool) -> None:
    """Show CHART/KEY: where it is, its data, what it waits for."""
    with reached(connection, place) as machine:
        view = machine.snapshot()
    if as_json:
        show(view.record, as_json)
        return
    record = view.record
    failure: Facts = record.get("failure") or {}
    refused: Facts = record.get("refused") or {}
    facts: Facts = {
        "machine": str(place),
        "status": str(view.status),
        "states": list(view.configuration),
        "version": view.version,
        "events taken": view.seq,
        "data": view.data,
        "output": view.output,
        "failure": failure.get("message"),
        "refused": refused.get("message"),
        "accepts": [one.event for one in view.events if one.accepts != "no"],
        "timers": [f"{one['event']} at {one['due'] or '?'}" for one in view.timers],
        "activities": [one["id"] + (" (failed)" if one.get("failed") else "") for one in view.activities],
        "machines": [f"{one['chart']}/{one['key']}" for one in record.get("machines", ())],
        "to be undone": [one["id"] for one in record.get("undo", ())],
        "stopping": [one["id"] for one in record.get("stopping", ())],
        "deferred": [one["event"] for one in record.get("deferred", ())],
        "parked": len(record.get("parked", ())) or None,
    }
    always = ("machine", "status", "states", "data")
    show({name: value for name, value in facts.items() if name in always or value not in (None, [])}, as_json)


@click.command("history")
@MACHINE
@connected
@click.option(
    "--last", type=click.IntRange(min=1), default=20, show_default=True, help="So many of the latest entries."
)
@click.option("--after", type=click.IntRange(min=0), help="All entries behind this one instead.")
@json_option
def history(place: Place, connection: Connection, *, last: int, after: int | None, as_json: bool) -> None:
    """Show what CHART/KEY has done, oldest first."""
    with reached(connection, place) as machine:
        found = list(machine.history(last=last) if after is None else machine.history(after=after))
    if as_json:
        show([entry.record for entry in found], as_json)
    else:
        show([_row(entry) for entry in found] or f"{place} keeps no history.", as_json)


def _row(entry: Entry) -> Facts:
    record = entry.record
    steps: list[Facts] = record.get("steps", [])
    return {
        "n": str(entry.n),
        "at": datetime.fromtimestamp(record["at"] / 1_000, UTC).isoformat(timespec="milliseconds"),
        "event": entry.event,
        "outcome": record.get("outcome"),
        "left": [state for step in steps for state in step.get("exited", ())],
        "entered": [state for step in steps for state in step.get("entered", ())],
        "note": record.get("note"),
    }


@click.command("watch")
@MACHINE
@connected
@click.option("--interval", type=DurationType(), default="500ms", show_default=True, help="How often to look.")
@json_option
def watch(place: Place, connection: Connection, *, interval: timedelta, as_json: bool) -> None:
    """Print what CHART/KEY does, as it does it, until it ends or you press Ctrl-C.

    With --json each entry is one line.
    """
    with reached(connection, place) as machine:
        seen = max((entry.n for entry in machine.history(last=1)), default=0)
        view = machine.snapshot()
        if not as_json:
            click.echo(f"{place} is {view.status} in {words(list(view.configuration))}")
        while view.status is Status.RUNNING:
            time.sleep(interval.total_seconds())
            for entry in machine.history(after=seen):
                seen = entry.n
                click.echo(json.dumps(entry.record) if as_json else _line(entry))
            view = machine.snapshot()
        for entry in machine.history(after=seen):
            click.echo(json.dumps(entry.record) if as_json else _line(entry))


def _line(entry: Entry) -> str:
    row = _row(entry)
    way = f"  {words(row['left'])} → {words(row['entered'])}" if row["left"] or row["entered"] else ""
    return f"{row['at']}  {row['event']}  {row['outcome']}{way}"


# ── acting ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@click.command("wait")
@MACHINE
@connected
@click.option("--state", help="Until this state is active.")
@click.option("--tag", help="Until a state with this tag is.")
@click.option("--status", type=click.Choice([str(status) for status in Status]), help="Until it has this status.")
@click.option("--settled", is_flag=True, help="Until nothing of it is under way.")
@click.option("--event", help="Send this event first; only what comes after it counts.")
@click.option("--payload", type=PayloadType(), help="Of that event: JSON, '-' or '@file'.")
@click.option("--timeout", type=DurationType(), default="1h", show_default=True, help="How long to wait.")
@json_option
def wait(
    place: Place,
    connection: Connection,
    *,
    state: str | None,
    tag: str | None,
    status: str | None,
    settled: bool,
    event: str | None,
    payload: object,
    timeout: timedelta,
    as_json: bool,
) -> None:
    """Wait until CHART/KEY is somewhere; exits with 5 if that takes too long, or can never be."""
    if [state, tag, status, settled or None].count(None) != 3:
        raise click.UsageError("Say one thing to wait for: --state, --tag, --status or --settled.")
    with reached(connection, place) as machine:
        receipt = machine.wait_for(
            state=state, tag=tag, status=status, settled=settled, event=event, payload=payload, timeout=timeout
        )
    show_receipt(receipt, as_json=as_json)


@click.command("cancel")
@MACHINE
@connected
@click.option("--activity", metavar="ID", help="The activity to cancel; the exclusive one that runs, if not given.")
@json_option
def cancel(place: Place, connection: Connection, *, activity: str | None, as_json: bool) -> None:
    """Cancel what CHART/KEY is doing; its outcome is an error of type 'cancelled'."""
    with reached(connection, place) as machine:
        cancelled = machine.cancel(activity)
    show({"cancelled": list(cancelled)} if as_json else f"{place}: cancelled {words(list(cancelled))}", as_json)


@click.command("delete")
@MACHINE
@connected
@click.option("--compensate", is_flag=True, help="Undo first what its activities have done.")
@click.option("--abandon", is_flag=True, help="Leave what they have done as it is.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def delete(place: Place, connection: Connection, *, compensate: bool, abandon: bool, yes: bool, as_json: bool) -> None:
    """Delete CHART/KEY: what it has begun is stopped, its data are gone, its key is free."""
    if compensate and abandon:
        raise click.UsageError("What it has done is either undone (--compensate) or stays (--abandon).")
    if not yes:
        click.confirm(f"Delete {place}?", abort=True, err=True)
    with reached(connection, place) as machine:
        receipt = machine.delete(compensate=compensate, abandon=abandon)
    show_receipt(receipt, as_json=as_json)


@click.command("repair")
@MACHINE
@connected
@click.option("--reason", required=True, help="Why; kept in the machine's history.")
@click.option("--retry", metavar="ACTIVITY", help="Begin a failed or parked activity again.")
@click.option("--skip", metavar="ACTIVITY", help="Take an activity for done, with --result.")
@click.option("--result", type=PayloadType(), help="Result of the activity that is skipped: JSON, '-' or '@file'.")
@click.option("--move", metavar="STATE", multiple=True, help="Move it to this state; several in parallel regions.")
@click.option("--resend", is_flag=True, help="Deliver again what is parked.")
@click.option("--migrate", is_flag=True, help="Bring it to the deployed version now.")
@json_option
def repair(
    place: Place,
    connection: Connection,
    *,
    reason: str,
    retry: str | None,
    skip: str | None,
    result: object,
    move: tuple[str, ...],
    resend: bool,
    migrate: bool,
    as_json: bool,
) -> None:
    """Mend CHART/KEY by hand. Do one thing, and say why."""
    if [bool(one) for one in (retry, skip, move, resend, migrate)].count(True) != 1:
        raise click.UsageError("Say one thing to do: --retry, --skip, --move, --resend or --migrate.")
    with reached(connection, place) as machine:
        receipt = machine.repair(
            reason=reason, retry=retry, skip=skip, result=result, move=move or None, resend=resend, migrate=migrate
        )
    show_receipt(receipt, as_json=as_json)


def show_receipt(receipt: Receipt, *, as_json: bool) -> None:
    """Print what became of a request."""
    facts = {name: value for name, value in asdict(receipt).items() if as_json or value is not None}
    show({**facts, "configuration": list(receipt.configuration), "status": str(receipt.status)}, as_json)
