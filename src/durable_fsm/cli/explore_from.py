"""The machines with which `durable-fsm explore --from` begins: one of a server, or those of an export."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from durable_fsm.cli.settings import Connection
from durable_fsm.cli.transfer import lines_in
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import snapshot_from_json
from durable_fsm.core.upgrade import upgrade
from durable_fsm.core.values import Json
from durable_fsm.errors import NotStarted, SnapshotUnreadable, locate
from durable_fsm.explore.moves import Move, MoveKind
from durable_fsm.explore.proofs import Proofs


def begun(proofs: Proofs, begins: str, connect: Callable[[], Connection]) -> tuple[Proofs, list[Move]]:
    """The moves that begin with the snapshots, and the chart under which those machines continue.

    Raises:
        MachineError: There is no such machine, or a snapshot does not fit the chart.
    """
    chart = proofs.chart.name
    path = Path(begins)
    if path.is_file():
        with path.open(encoding="utf-8") as file:
            found = {line["key"]: line["snapshot"] for line in lines_in(file) if line["chart"] == chart}
        if not found:
            raise click.UsageError(f"'{begins}' contains no machine of {chart}.")
    elif path.suffix in (".json", ".jsonl"):
        raise click.UsageError(f"There is no file '{begins}'.")
    else:
        found = {begins: _stored(chart, begins, connect())}
    starts: list[Move] = []
    charts: dict[str, Chart] = {}
    for key, stored in found.items():
        with locate(key):
            goes_on = upgrade(proofs.chart, snapshot_from_json(proofs.chart, stored)).chart
        charts[goes_on.version] = goes_on
        starts.append(Move(MoveKind.SNAPSHOT, key, stored))
    if len(charts) > 1:
        versions = ", ".join(sorted(charts))
        raise click.UsageError(
            f"The machines of '{begins}' continue under several versions ({versions}): name one of them."
        )
    return replace(proofs, chart=charts.popitem()[1]), starts


def _stored(chart: str, key: str, connection: Connection) -> Json:
    """The snapshot of a machine, as the server stores it."""
    from durable_fsm.admin.client import Admin
    from durable_fsm.admin.inventory import ensure_known, machine_in

    with Admin(connection.admin, connection.http()) as admin:
        ensure_known(admin, chart)
        machine = machine_in(admin, chart, key)
    with locate(key):
        if machine is None:
            raise NotStarted(chart=chart)
        if machine.stored is None:
            raise SnapshotUnreadable(chart=chart, problem=machine.problem or "")
    stored: Json = json.loads(machine.text)
    return stored
