"""Arguments of commands about machines: CHART/KEY, payloads and durations; and the client that reaches the machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from durable_fsm.cli.errors import SERVER, CommandError
from durable_fsm.cli.settings import TIMEOUT_SECONDS, Connection
from durable_fsm.core.durations import duration_of

if TYPE_CHECKING:
    from durable_fsm.client import SyncClient, SyncNamedMachine

Command = TypeVar("Command", bound=Callable[..., Any])  # Any: a click command takes what its options say


class MachineRef(NamedTuple):
    """A machine: its chart and its key. The key may contain slashes. Without a key, it means all machines of the chart."""

    chart: str
    key: str

    def __str__(self) -> str:
        return f"{self.chart}/{self.key}" if self.key else self.chart


if TYPE_CHECKING:
    _Refs = click.ParamType[MachineRef]
    _Durations = click.ParamType[timedelta]
    _Payloads = click.ParamType[Any]  # Any: JSON of a shape that its machine knows
else:  # older versions of click have no arguments here
    _Refs = _Durations = _Payloads = click.ParamType


class MachineRefType(_Refs):
    """`Order/o-17`."""

    name = "chart/key"

    def __init__(self, *, keyless: bool = False) -> None:
        self._keyless = keyless

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> MachineRef:  # Any: click's own
        """Split it at the first slash."""
        chart, _, key = str(value).partition("/")
        if not chart or not (key or self._keyless):
            self.fail(f"'{value}' does not name a machine. Write CHART/KEY, as in Order/o-17.", param, ctx)
        return MachineRef(chart, key)


class DurationType(_Durations):
    """`30s`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read it."""
        if isinstance(value, timedelta):
            return value
        try:
            return duration_of(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class PayloadType(_Payloads):
    """JSON; `-` reads it from standard input, `@file` from a file."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        text = str(value)
        try:
            if text == "-":
                text = sys.stdin.read()
            elif text.startswith("@"):
                text = Path(text[1:]).read_text("utf-8")
            return json.loads(text)
        except OSError as error:
            self.fail(f"'{text[1:]}' cannot be read: {error.strerror}.", param, ctx)
        except ValueError as error:
            self.fail(f"this is not valid JSON ({error}). Put a string into quotes: '\"blue\"'.", param, ctx)


MACHINE = click.argument("ref", metavar="CHART/KEY", type=MachineRefType())

IF_SEQ = click.option(
    "--if-seq",
    type=click.IntRange(min=0),
    metavar="N",
    help="Only if the machine is still at this step ('events taken' of show); 0 if it must not exist yet.",
)


@contextmanager
def calling(
    connection: Connection,
    *,
    timeout: timedelta = timedelta(seconds=TIMEOUT_SECONDS),
    patience: timedelta | None = None,
) -> Generator[SyncClient]:
    """Open a client for the ingress."""
    from durable_fsm.client import SyncClient

    with SyncClient(
        connection.ingress,
        token=connection.token,
        verify=connection.verify,
        timeout=timeout,
        patience=PATIENCE if patience is None else patience,
    ) as client:
        yield client if connection.operator is None else client.as_operator(connection.operator, connection.secret)


@contextmanager
def reached(
    connection: Connection,
    ref: MachineRef,
    *,
    timeout: timedelta = timedelta(seconds=TIMEOUT_SECONDS),
    patience: timedelta | None = None,
    if_seq: int | None = None,
) -> Generator[SyncNamedMachine]:
    """Open a client for one machine; with *if_seq*, for calls that count only if it is still at this step."""
    from durable_fsm.errors import UnexpectedAnswer

    try:
        with calling(connection, timeout=timeout, patience=patience) as client:
            machine = client.machine(ref.chart, ref.key)
            yield machine if if_seq is None else machine.if_seq(if_seq)
    except UnexpectedAnswer as error:
        if error.status == NOT_FOUND:
            _explain_not_found(connection, ref, error.text)
        raise


def read(connection: Connection, ref: MachineRef) -> AbstractContextManager[SyncNamedMachine]:
    """Open a client that only reads one machine, and soon gives up: the server has most of it, too."""
    return reached(connection, ref, timeout=READ_TIMEOUT, patience=READ_PATIENCE)


def _explain_not_found(connection: Connection, ref: MachineRef, answer: str) -> None:
    """Ask the server for its charts: the name may be misspelt, or the address be that of another server.

    Raises:
        UnknownChart: The name is misspelt.
        CommandError: The address is wrong.
    """
    from durable_fsm.admin.client import Admin, AdminRefused
    from durable_fsm.admin.inventory import ensure_known

    try:
        with Admin(connection.admin, connection.http(PATIENCE.total_seconds())) as admin:
            ensure_known(admin, ref.chart)
            admin.ask("GET", f"/services/{ref.chart}")
    except AdminRefused:
        if answer:
            return  # the chart has machines, and no service any more; or nothing more is known
    raise CommandError(
        f"{ref}: {connection.ingress} answers, but does not know the chart. Name Restate's ingress with --ingress.",
        code=SERVER,
        kind="NotTheIngress",
    )


NOT_FOUND = 404
READ_TIMEOUT = timedelta(seconds=3)
READ_PATIENCE = timedelta(seconds=1)
"""How long the service may take to answer a read, and how long a server may be away then."""

PATIENCE = timedelta(seconds=5)
"""How long a server may be away before the command reports it."""
