"""`durable-fsm export` and `durable-fsm import`: machines as lines of JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from durable_fsm.cli.errors import DIFFERS, CommandError
from durable_fsm.cli.output import json_option, say, show
from durable_fsm.cli.settings import Connection, connected
from durable_fsm.core.values import Json
from durable_fsm.errors import counted
from durable_fsm.restate.names import StateKey

if TYPE_CHECKING:
    from durable_fsm.admin.client import Admin

PENDING = ("timers", "activities", "machines", "stopping", "deferred")
"""Parts of a snapshot that also exist at the server, as timers or invocations."""

FORMAT = 1
PATIENCE_SECONDS = 10.0

Line = dict[str, Any]  # Any: JSON


@click.command("export")
@click.argument("chart")
@click.argument("keys", nargs=-1)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file; default: standard output.")
@connected
def export(chart: str, keys: tuple[str, ...], connection: Connection, *, output: Path | None) -> None:
    """Write the machines of CHART as lines of JSON.

    With KEYS, it writes only these machines. A line contains the snapshot, with the latest entries of the history, as the
    server stores it. Older pages of the history, and running timers and activities, are not exported. Without KEYS, the
    lines are in no particular order: they are written as they arrive from the server, so a million machines need no
    memory here.

    \b
    Example:
      durable-fsm export Order -o orders.jsonl
    """
    from durable_fsm.admin.client import Admin
    from durable_fsm.admin.inventory import ensure_known, every_text_of, stored_in, texts_at
    from durable_fsm.admin.readings import Stopwatch

    missing, written, unreadable = set(keys), 0, list[str]()
    watch = Stopwatch()
    with Admin(connection.admin, connection.http()) as admin:
        ensure_known(admin, chart)
        stream: IO[str] = sys.stdout if output is None else output.open("w", encoding="utf-8")
        try:
            for key, text in texts_at(admin, chart, sorted(missing)) if keys else every_text_of(admin, chart):
                stored, problem = stored_in(chart, text)
                if stored is None and problem is None:
                    continue  # the mark of one that has ended
                missing.discard(key)
                if stored is None or text is None:
                    unreadable.append(key)
                    continue
                line = {"format": FORMAT, "chart": chart, "key": key, "snapshot": json.loads(text)}
                stream.write(json.dumps(line, ensure_ascii=False) + "\n")
                written += 1
        finally:
            if output is not None:
                stream.close()
    say(f"{counted(written, 'machine')} of {chart} written, {watch.read()}.", err=True)
    if unreadable:
        problem = f"These machines of {chart} cannot be read, and were left out: {', '.join(sorted(unreadable))}."
        raise CommandError(f"{problem} See durable-fsm doctor.", code=DIFFERS)
    if missing:
        raise CommandError(f"There is no machine of {chart} with the key {', '.join(sorted(missing))}.", code=DIFFERS)


@click.command("import")
@click.argument("source", metavar="FILE", type=click.File("r", encoding="utf-8"))
@click.option("--skip", is_flag=True, help="Leave out machines that cannot be imported, and import the others.")
@connected
@json_option
def import_machines(source: IO[str], connection: Connection, *, skip: bool, as_json: bool) -> None:
    """Copy exported machines to this server.

    FILE was written by `durable-fsm export`; '-' reads standard input. A machine is refused if it exists on this server,
    or if it has timers, activities, children or deferred events: this server would not know them. Wait until such
    machines have none, and export them again. Nothing is written until every line has been read.

    \b
    Example:
      durable-fsm import orders.jsonl
    """
    from durable_fsm.admin.client import Admin

    lines = list(lines_in(source))
    with Admin(connection.admin, connection.http()) as admin:
        refused = {f"{line['chart']}/{line['key']}": why for line in lines if (why := _why_not(admin, line))}
        if refused and not skip:
            told = "\n".join(f"  {place}: {why}" for place, why in refused.items())
            raise CommandError(f"Nothing was imported. Leave these out with --skip:\n{told}", code=DIFFERS)
        taken = [line for line in lines if f"{line['chart']}/{line['key']}" not in refused]
        for line in taken:
            _bring(admin, line)
    if as_json:
        show({"imported": len(taken), "refused": refused}, as_json)
    else:
        say(f"{counted(len(taken), 'machine')} imported, {len(refused)} left out.")


def lines_in(source: IO[str]) -> Iterator[Line]:
    """The machines that `export` wrote.

    Raises:
        click.UsageError: A line is not one of them.
    """
    for number, text in enumerate(source, 1):
        if text.strip():
            try:
                line = json.loads(text)
                if line["format"] != FORMAT or not isinstance(line["snapshot"], dict):
                    raise ValueError("its format is unknown")
                yield {"chart": str(line["chart"]), "key": str(line["key"]), "snapshot": line["snapshot"]}
            except (ValueError, KeyError, TypeError) as error:
                raise click.UsageError(f"Line {number} was not written by export: {error}.") from error


def _why_not(admin: Admin, line: Line) -> str:
    if not admin.handlers(line["chart"]):
        return f"no service '{line['chart']}' is registered. Try durable-fsm register."
    if _stored(admin, line) is not None:
        return "the machine exists. Delete it first."
    pending = [name for name in PENDING if line["snapshot"].get(name)]
    return f"it still has {', '.join(pending)}." if pending else ""


def _stored(admin: Admin, line: Line) -> str | None:
    from durable_fsm.admin.client import literal

    rows = admin.query(
        f"SELECT value_utf8 FROM state WHERE service_name = {literal(line['chart'])}"
        f" AND service_key = {literal(line['key'])} AND key = '{StateKey.SNAPSHOT}' AND scope IS NULL"
    )
    return rows[0]["value_utf8"] if rows else None


def _bring(admin: Admin, line: Line) -> None:
    """Store a machine, and wait until Restate shows it."""
    from durable_fsm.core.codec import canonical

    # The index of this server does not know the machine. Without its entries, its next save tells the index.
    text = canonical({name: value for name, value in line["snapshot"].items() if name != "indexed"})
    state: Json = {"object_key": line["key"], "new_state": {StateKey.SNAPSHOT: list[Json](text.encode())}}
    admin.ask("POST", f"/services/{line['chart']}/state", state)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _stored(admin, line) != text:
        if time.monotonic() > deadline:
            raise CommandError(f"{line['chart']}/{line['key']} was not stored in time.", code=DIFFERS)
        time.sleep(0.05)
