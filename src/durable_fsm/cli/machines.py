"""Commands that show one machine, and watch it."""

from __future__ import annotations

import itertools
import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from durable_fsm.cli.machine_arg import MACHINE, DurationType, MachineRef, read
from durable_fsm.cli.output import json_option, say, show, words
from durable_fsm.cli.settings import Connection, connected
from durable_fsm.core.durations import instant_of
from durable_fsm.core.snapshot import Status
from durable_fsm.core.values import Json
from durable_fsm.frontends.locate import locate_chart

if TYPE_CHECKING:
    from durable_fsm.admin.stored_view import StoredView
    from durable_fsm.client import Entry, View
    from durable_fsm.errors import CallError

Facts = dict[str, Any]  # Any: JSON of an answer


@click.command("events")
@MACHINE
@click.option(
    "--chart", "target", metavar="TARGET", help="The definition, to show which states accept the other events."
)
@connected
@json_option
def events(ref: MachineRef, connection: Connection, *, target: str | None, as_json: bool) -> None:
    """List the events that CHART/KEY accepts now.

    It also says why the machine does not accept the other events.

    \b
    Example:
      durable-fsm events Order/o-17
    """
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
    """Show the states and data of CHART/KEY.

    It also shows timers, activities, failures and everything else that the machine waits for.

    \b
    Example:
      durable-fsm show Order/o-17
    """
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
    """A delivery that could not be processed, and why; an earlier build kept no reason."""
    if not one.get("reason"):
        return str(one["event"])
    place = f" ({one['place']})" if one.get("place") else ""
    return f"{one['event']} since {one['since']}, next at {one['next']}: {one['type']}: {one['reason']}{place}"


@click.command("history")
@MACHINE
@click.option(
    "--last", type=click.IntRange(min=1), default=20, show_default=True, help="Show this many of the latest entries."
)
@click.option("--after", type=click.IntRange(min=0), help="Show all entries after this one instead.")
@connected
@json_option
def history(ref: MachineRef, connection: Connection, *, last: int, after: int | None, as_json: bool) -> None:
    """Show the history of CHART/KEY, oldest first.

    \b
    Example:
      durable-fsm history Order/o-17 --last 50
    """
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
    for column in ("failure", "by"):
        if all(row[column] is None for row in rows):
            for row in rows:
                del row[column]
    return rows


def _row(entry: Entry) -> Facts:
    record = entry.record
    steps: list[Facts] = record.get("steps", [])
    return {
        "n": str(entry.n),
        "at": record["at"] if isinstance(record["at"], str) else _instant(record["at"]),
        "event": entry.event,
        "outcome": record.get("outcome"),
        "by": by if ":" in (by := record.get("by", "")) else None,  # the event tells what follows by itself
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
@click.option("--interval", type=DurationType(), default="500ms", show_default=True, help="Time between two polls.")
@connected
@json_option
def watch(ref: MachineRef, connection: Connection, *, interval: timedelta, as_json: bool) -> None:
    """Print each step of CHART/KEY as it happens.

    It ends when the machine ends, or when you press Ctrl-C. With --json each entry is one line.

    \b
    Example:
      durable-fsm watch Order/o-17
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
