"""Commands about one machine: look at it, wait for it, and change it."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from durable_fsm.cli.errors import DIFFERS, CommandError
from durable_fsm.cli.machine_arg import MACHINE, DurationType, MachineRef, PayloadType, reached, read
from durable_fsm.cli.output import json_option, say, show, words
from durable_fsm.cli.settings import Connection, connected
from durable_fsm.core.durations import instant_of
from durable_fsm.core.snapshot import Status
from durable_fsm.core.values import Json
from durable_fsm.frontends.locate import locate_chart

if TYPE_CHECKING:
    from durable_fsm.admin.stored_view import StoredView
    from durable_fsm.client import Entry, Receipt, View
    from durable_fsm.errors import CallError

Facts = dict[str, Any]  # Any: JSON of an answer


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@click.command("events")
@MACHINE
@connected
@click.option(
    "--chart", "target", metavar="TARGET", help="The definition, to show which states accept the other events."
)
@json_option
def events(ref: MachineRef, connection: Connection, *, target: str | None, as_json: bool) -> None:
    """Show which events CHART/KEY accepts now, and why it refuses the others."""
    with read(connection, ref) as machine:
        view = machine.snapshot()
    takers = _takers(target, ref.chart)
    rows = [
        {
            "event": one.event,
            "accepts": one.accepts,
            "why not": None if one.accepts != "no" else _why_not(view, takers.get(one.event)),
            "payload": one.payload if as_json else _title(one.payload),
        }
        for one in view.events
    ]
    show(rows or f"{ref} accepts no events from outside.", as_json)


def _takers(target: str | None, name: str) -> dict[str, list[str]]:
    """Return, by event, the states with a transition for it."""
    found: dict[str, list[str]] = {}
    for edge in locate_chart(target, name=name).chart.transitions if target is not None else ():
        for event in edge.events:
            found.setdefault(event, []).append(edge.source)
    return found


def _why_not(view: View[Any], states: list[str] | None) -> str:
    if view.status is not Status.RUNNING:
        return f"the machine is {view.status}"
    taken = f"; accepted in {', '.join(dict.fromkeys(states))}" if states else ""
    return f"not accepted in {', '.join(view.configuration)}{taken}"


def _title(schema: Json) -> str | None:
    if not isinstance(schema, dict):
        return None
    return str(schema.get("title") or schema.get("type") or "any JSON")


@click.command("show")
@MACHINE
@connected
@json_option
def show_machine(ref: MachineRef, connection: Connection, *, as_json: bool) -> None:
    """Show CHART/KEY: its states, its data, and what it waits for."""
    view = _view_of(connection, ref)
    if as_json:
        show(view.record, as_json)
        return
    record = view.record
    failure: Facts = record.get("failure") or {}
    refused: Facts = record.get("refused") or {}
    facts: Facts = {
        "machine": str(ref),
        "service": record.get("service"),
        "status": str(view.status),
        "states": record.get("stored_leaves", list(view.configuration)),
        "version": record.get("stored_version", view.version),
        "becomes": _becomes(view) if "stored_version" in record else None,
        "events taken": view.seq,
        "data": view.data,
        "output": view.output,
        "failure": _why(failure) if failure else None,
        "failed in": failure.get("machine"),
        "answered": _answer(record.get("answer")),
        "refused": refused.get("message"),
        "paused": _paused(record.get("paused")),
        "accepts": [one.event for one in view.events if one.accepts != "no"],
        "timers": [f"{_timer(one)} at {one['due'] or '?'}" for one in view.timers],
        "activities": [_activity(one) for one in view.activities],
        **_failing(record),
        "machines": [
            f"{one['chart']}/{one['key']}" + (" (failed)" if one.get("failed") else "")
            for one in record.get("machines", ())
        ],
        "can be undone": [one["id"] for one in record.get("undo", ())],
        "stopping": [one["id"] for one in record.get("stopping", ())],
        "deferred": [one["event"] for one in record.get("deferred", ())],
        "parked": [_parked(one) for one in record.get("parked", ())],
    }
    always = ("machine", "status", "states", "data")
    show({name: value for name, value in facts.items() if name in always or value not in (None, [])}, as_json)


ADMIN_SECONDS = 3.0
"""How long the admin API may take to answer, where it stands in for a service."""


def _view_of(connection: Connection, ref: MachineRef) -> View[Any]:
    """The machine as its service shows it; if that does not answer, as the server stores it."""
    from durable_fsm.errors import CallError

    try:
        with read(connection, ref) as machine:
            return machine.snapshot()
    except CallError as error:
        stored = _stored(connection, ref)
        if stored is None:
            raise
        stored.view.record["service"] = _silence(error, stored)
        return stored.view


def _silence(error: CallError, stored: StoredView) -> str:
    why = getattr(error, "problem", error.what)
    return f"does not answer: {why}. This is what the server itself has stored, {stored.as_of}."


def _stored(connection: Connection, ref: MachineRef, *, last: int = 0, after: int | None = None) -> StoredView | None:
    """The machine as the server stores it; None if the server does not answer either, or stores nothing readable.

    With the *last* entries of its history, or all *after* one.
    """
    from durable_fsm.admin.client import Admin, AdminRefused
    from durable_fsm.admin.inventory import machine_in
    from durable_fsm.admin.readings import Stopwatch
    from durable_fsm.admin.stored_view import StoredView

    watch = Stopwatch()
    try:
        with Admin(connection.admin, connection.http(ADMIN_SECONDS)) as admin:
            found = machine_in(admin, ref.chart, ref.key)
            if found is None or found.stored is None:
                return None
            log = found.stored.log
            many = last if after is None or log is None else log.entries - after
            return StoredView.read(admin, found, found.stored, last=max(many, 0), watch=watch)
    except AdminRefused:
        return None


def _becomes(view: View[Any]) -> str:
    """The machine after its migration, which its next event begins with; version and states are those that are stored."""
    return f"version {view.version}, in {words(list(view.configuration))}, with its next event"


def _activity(one: Facts) -> str:
    slot: Facts = one.get("slot") or {}
    if one.get("failed"):
        return f"{one['id']} (failed)"
    if slot.get("status") == "waiting":
        return f"{one['id']} (waits for a slot of '{slot['limit']}')"
    asked = [f"'{callback['name']}': {callback['id']}" for callback in one.get("callbacks", ())]
    return f"{one['id']} (waits for {', '.join(asked)})" if asked else str(one["id"])


def _timer(one: Facts) -> str:
    """The event of a timer; a deadline is the end of an activity, and no event that happens otherwise."""
    activity = one["event"].removeprefix("error.invoke.")
    return one["event"] if one["event"] == activity else f"deadline of '{activity}'"


MOST = 10
"""How many failing steps of a machine are shown: of a fan-out, a thousand may fail for the same reason."""


def _why(error: Facts) -> str:
    """A failure on one line: `KeyError: 'total' (shop/work.py:42 in charge)`."""
    place = f" ({error['place']})" if error.get("place") else ""
    often = f", after {error['attempts']} attempts" if error.get("attempts", 0) > 1 else ""
    return f"{error['type']}: {error['message']}{place}{often}"


def _failing(record: Facts) -> Facts:
    """A line for each step of an activity that fails, and is tried again."""
    found: Facts = {}
    for name in ("activities", "stopping", "undo", "detached"):
        for run in record.get(name, ()):
            for step in run.get("failing", ()):
                item = "" if step["item"] is None else f", item {step['item']}"
                of = "" if step["attempts"] is None else f" of {step['attempts']}"
                when = f"since {step['since']}, next at {step['next']}"
                found[f"{run['id']}{item} fails"] = f"attempt {step['attempt']}{of}: {_why(step['error'])}; {when}"
    return dict(itertools.islice(found.items(), MOST))


def _answer(answer: Facts | None) -> Json:
    """The answer of the run of the workflow, on one line."""
    if answer is None:
        return None
    return _why(answer["failure"]) if "failure" in answer else answer.get("output")


def _paused(pause: Facts | None) -> str | None:
    return None if pause is None else f"since {pause['since']}: {pause['reason']}"


def _parked(one: Facts) -> str:
    """A delivery that could not be taken, and why; an earlier build kept no reason."""
    if not one.get("reason"):
        return str(one["event"])
    place = f" ({one['place']})" if one.get("place") else ""
    return f"{one['event']} since {one['since']}, next at {one['next']}: {one['type']}: {one['reason']}{place}"


@click.command("history")
@MACHINE
@connected
@click.option(
    "--last", type=click.IntRange(min=1), default=20, show_default=True, help="Show this many of the latest entries."
)
@click.option("--after", type=click.IntRange(min=0), help="Show all entries after this one instead.")
@json_option
def history(ref: MachineRef, connection: Connection, *, last: int, after: int | None, as_json: bool) -> None:
    """Show the history of CHART/KEY, oldest first."""
    from durable_fsm.errors import CallError

    try:
        with read(connection, ref) as machine:
            found = list(machine.history(last=last) if after is None else machine.history(after=after))
            now = {} if as_json else _failing(machine.snapshot().record)
    except CallError as error:
        stored = _stored(connection, ref, last=last, after=after)
        if stored is None:
            raise
        found, now = list(stored.entries), _failing(stored.view.record)
        say(_silence(error, stored), err=True)
    if as_json:
        show([entry.record for entry in found], as_json)
    else:
        show(_rows(found) or f"{ref} keeps no history.", as_json)
        for what, why in now.items():
            say(f"now: {what}: {why}")


def _rows(entries: list[Entry]) -> list[Facts]:
    rows = [_row(entry) for entry in entries]
    if all(row["failure"] is None for row in rows):
        for row in rows:
            del row["failure"]
    return rows


def _row(entry: Entry) -> Facts:
    record = entry.record
    steps: list[Facts] = record.get("steps", [])
    return {
        "n": str(entry.n),
        "at": record["at"] if isinstance(record["at"], str) else _instant(record["at"]),
        "event": entry.event,
        "outcome": record.get("outcome"),
        "left": [state for step in steps for state in step.get("exited", ())],
        "entered": [state for step in steps for state in step.get("entered", ())],
        "failure": _why(why) if (why := record.get("failure") or record.get("error")) else _raised(record),
        "note": record.get("note"),
    }


def _raised(record: Facts) -> str | None:
    errors = record.get("errors", ())
    return "; ".join(f"{one['callback']}: {one['problem']}" for one in errors) or None


def _instant(milliseconds: int) -> str:
    return instant_of(milliseconds).isoformat(timespec="milliseconds")


@click.command("watch")
@MACHINE
@connected
@click.option("--interval", type=DurationType(), default="500ms", show_default=True, help="Time between two looks.")
@json_option
def watch(ref: MachineRef, connection: Connection, *, interval: timedelta, as_json: bool) -> None:
    """Print each step of CHART/KEY as it happens, until the machine ends or you press Ctrl-C.

    With --json each entry is one line.
    """
    with read(connection, ref) as machine:
        seen = max((entry.n for entry in machine.history(last=1)), default=0)
        view = machine.snapshot()
        if not as_json:
            say(f"{ref} is {view.status} in {words(list(view.configuration))}")
        told: Facts = {}
        while view.status is Status.RUNNING:
            time.sleep(interval.total_seconds())
            for entry in machine.history(after=seen):
                seen = entry.n
                say(json.dumps(entry.record) if as_json else _line(entry))
            view = machine.snapshot()
            failing = {} if as_json else _failing(view.record)
            for what, why in failing.items():
                if told.get(what) != why:
                    say(f"now: {what}: {why}")
            told = failing
        for entry in machine.history(after=seen):
            say(json.dumps(entry.record) if as_json else _line(entry))


def _line(entry: Entry) -> str:
    row = _row(entry)
    way = f"  {words(row['left'])} → {words(row['entered'])}" if row["left"] or row["entered"] else ""
    return f"{row['at']}  {row['event']}  {row['outcome']}{way}"


# ── acting ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@click.command("wait")
@MACHINE
@connected
@click.option("--state", help="Wait for this state.")
@click.option("--tag", help="Wait for a state with this tag.")
@click.option("--status", type=click.Choice([str(status) for status in Status]), help="Wait for this status.")
@click.option("--settled", is_flag=True, help="Until nothing of it is under way.")
@click.option("--event", help="Send this event first; only what comes after it counts.")
@click.option("--payload", type=PayloadType(), help="Of that event: JSON, '-' or '@file'.")
@click.option("--timeout", type=DurationType(), default="1h", show_default=True, help="How long to wait.")
@json_option
def wait(
    ref: MachineRef,
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
    """Wait until CHART/KEY meets a condition; exit with 5 if it takes too long or has become impossible."""
    if [state, tag, status, settled or None].count(None) != 3:
        raise click.UsageError("Name one condition: --state, --tag, --status or --settled.")
    with reached(connection, ref) as machine:
        receipt = machine.wait_for(
            state=state, tag=tag, status=status, settled=settled, event=event, payload=payload, timeout=timeout
        )
    show_receipt(receipt, as_json=as_json)


@click.command("cancel")
@MACHINE
@connected
@click.option("--activity", metavar="ID", help="The activity to cancel; default: the exclusive one that runs.")
@json_option
def cancel(ref: MachineRef, connection: Connection, *, activity: str | None, as_json: bool) -> None:
    """Cancel an activity of CHART/KEY; its outcome is an error of type 'cancelled'."""
    with reached(connection, ref) as machine:
        cancelled = machine.cancel(activity)
    show({"cancelled": list(cancelled)} if as_json else f"{ref}: cancelled {words(list(cancelled))}", as_json)


@click.command("delete")
@MACHINE
@connected
@click.option("--compensate", is_flag=True, help="First undo the completed work of its activities.")
@click.option("--abandon", is_flag=True, help="Keep the completed work of its activities.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
def delete(
    ref: MachineRef, connection: Connection, *, compensate: bool, abandon: bool, yes: bool, as_json: bool
) -> None:
    """Delete CHART/KEY: stop its activities and children, remove its data, free its key."""
    if compensate and abandon:
        raise click.UsageError("Choose one: --compensate undoes the completed work, --abandon keeps it.")
    if not yes:
        click.confirm(f"Delete {ref}?", abort=True, err=True)
    with reached(connection, ref) as machine:
        receipt = machine.delete(compensate=compensate, abandon=abandon)
    show_receipt(receipt, as_json=as_json)


@click.command("repair")
@MACHINE
@connected
@click.option("--reason", required=True, help="The reason; kept in the machine's history.")
@click.option("--retry", metavar="ACTIVITY", help="Start a failed or parked activity again.")
@click.option("--skip", metavar="ACTIVITY", help="Treat an activity as done, with --result.")
@click.option("--result", type=PayloadType(), help="Result of the skipped activity: JSON, '-' or '@file'.")
@click.option(
    "--move",
    metavar="STATE",
    multiple=True,
    help="Move the machine to this state; may be given several times, for parallel regions.",
)
@click.option("--resend", is_flag=True, help="Deliver parked events again.")
@click.option("--migrate", is_flag=True, help="Migrate the machine to the deployed version now.")
@click.option(
    "--pause", is_flag=True, help="Let the machine take nothing until it is resumed: events get 503, or wait."
)
@click.option("--resume", is_flag=True, help="Let a paused machine go on.")
@click.option("--timer", metavar="NAME", help="Let this pending timer (its event or id) be due now, or --after a time.")
@click.option("--after", type=DurationType(), metavar="DURATION", help="When the timer is due, from now: 10m.")
@json_option
def repair(
    ref: MachineRef,
    connection: Connection,
    *,
    reason: str,
    retry: str | None,
    skip: str | None,
    result: object,
    move: tuple[str, ...],
    resend: bool,
    migrate: bool,
    pause: bool,
    resume: bool,
    timer: str | None,
    after: timedelta | None,
    as_json: bool,
) -> None:
    """Repair CHART/KEY by hand: choose one action, and give a reason."""
    if [bool(one) for one in (retry, skip, move, resend, migrate, pause, resume, timer)].count(True) != 1:
        verbs = "--retry, --skip, --move, --resend, --migrate, --pause, --resume or --timer"
        raise click.UsageError(f"Choose one action: {verbs}.")
    if after is not None and timer is None:
        raise click.UsageError("--after belongs to --timer.")
    with reached(connection, ref) as machine:
        receipt = machine.repair(
            reason=reason,
            retry=retry,
            skip=skip,
            result=result,
            move=move or None,
            resend=resend,
            migrate=migrate,
            pause=pause,
            resume=resume,
            timer=timer,
            after=after,
        )
    show_receipt(receipt, as_json=as_json)
    if receipt.outcome == "parked":
        raise CommandError(
            "Not everything could be delivered: see 'reply'. The rest is tried again later.", code=DIFFERS
        )


def show_receipt(receipt: Receipt, *, as_json: bool) -> None:
    """Print the answer to a request."""
    facts = {name: value for name, value in asdict(receipt).items() if as_json or value is not None}
    show({**facts, "configuration": list(receipt.configuration), "status": str(receipt.status)}, as_json)
