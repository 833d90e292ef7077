"""Exit codes, one for each branch of the error tree, and the messages of errors."""

from __future__ import annotations

import platform
import traceback
from typing import IO, Any

import click

import durable_fsm
from durable_fsm.cli.output import as_text
from durable_fsm.errors import (
    ActionError,
    CallError,
    DefinitionError,
    DurableFSMError,
    EventError,
    MachineError,
    TerminalError,
    UnknownWork,
    printable,
)

DIFFERS = 1
USAGE = 2
SERVER = 7
BUG = 70
INTERRUPTED = 130
LOG_LINES = 4
"""Lines that an error shows of the log of a process."""

BRANCHES: dict[type[DurableFSMError], int] = {
    DefinitionError: 3,
    EventError: 4,
    MachineError: 5,
    CallError: SERVER,
    ActionError: 6,
    UnknownWork: 6,
    TerminalError: 6,
}

EXIT_CODES = {
    0: "Done.",
    DIFFERS: "Done; a check found differences, or part of the work was held back.",
    USAGE: "The command line is wrong; nothing was done.",
    3: "The author: a definition cannot become a chart (DefinitionError), or its module cannot be imported.",
    4: "The sender: the machine refused this and did not change (EventError).",
    5: "The operator: the machine cannot do this, or its stored snapshot cannot be read (MachineError).",
    6: "The author: code of the chart failed (ActionError, UnknownWork, TerminalError).",
    SERVER: "A server cannot be reached, refused the request, or could not be started.",
    BUG: "A bug in durable-fsm.",
    INTERRUPTED: "Stopped by Ctrl-C.",
}
"""Every exit code and its meaning."""


class CommandError(click.ClickException):
    """An error as the command line shows it.

    Commands raise it, with a code of `EXIT_CODES`, where no class of the error tree fits.
    """

    def __init__(self, message: str, *, code: int, kind: str = "CommandError", **facts: object) -> None:
        super().__init__(message)
        # An attribute of the class to click, which reads it from the instance.
        self.exit_code = code  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
        self.kind = kind
        self.facts = facts
        self.as_json = False

    def show(self, file: IO[Any] | None = None) -> None:  # Any: click's own signature
        if self.as_json:
            entry = {"error": self.kind, "message": self.message, "exit_code": self.exit_code, **self.facts}
            click.echo(as_text(entry), file=file, err=True)
        else:
            click.echo(printable(f"Error: {self.message}", keep="\n"), file=file, err=True)


def as_shown(error: Exception) -> CommandError:
    """Turn an exception of a command into the error that is shown."""
    import httpx

    from durable_fsm.admin.client import AdminRefused, UnknownChart
    from durable_fsm.frontends.locate import AuthorFailed, TargetNotFound
    from durable_fsm.local.failures import HarnessError, ProcessFailed

    kind = type(error).__name__
    if isinstance(error, DurableFSMError):
        place = {"chart": error.chart, "key": error.key} if error.chart else {}
        facts = {name: value for name, value in vars(error).items() if value is not None and not name.startswith("_")}
        metadata = {name: value for name, value in facts.items() if name not in ("chart", "key")}
        return CommandError(
            "\n".join([str(error), *getattr(error, "__notes__", ())]),
            code=exit_code_of(type(error)),
            kind=kind,
            **place,
            **({"metadata": metadata} if metadata else {}),
        )
    if isinstance(error, AuthorFailed):
        return CommandError(str(error), code=exit_code_of(DefinitionError), kind=kind)
    if isinstance(error, (TargetNotFound, UnknownChart)):
        return CommandError(str(error), code=USAGE, kind=kind)
    if isinstance(error, ProcessFailed):
        lines = [f"{error.name}: {error.problem}", *error.log_tail.splitlines()[-LOG_LINES:]]
        return CommandError("\n".join(lines), code=SERVER, kind=kind)
    if isinstance(error, (AdminRefused, HarnessError)):
        return CommandError(str(error), code=SERVER, kind=kind)
    if isinstance(error, httpx.TransportError):
        return CommandError(_unreachable(error), code=SERVER, kind=kind)
    return CommandError(_bug(error), code=BUG, kind=kind)


def exit_code_of(kind: type[DurableFSMError]) -> int:
    """Return the exit code of an error class: that of its branch."""
    for branch, code in BRANCHES.items():
        if issubclass(kind, branch):
            return code
    return BUG


def _unreachable(error: Any) -> str:  # Any: httpx.TransportError, which is imported where an error has happened
    try:
        url = error.request.url
        place = f"{url.scheme}://{url.netloc.decode()}"
    except RuntimeError:  # the request was never sent
        place = "the server"
    why = str(error) or type(error).__name__
    return f"{place} cannot be reached: {why}. Is it running? Name another with --ingress or --admin; `durable-fsm dev` starts one."


def _bug(error: Exception) -> str:
    trace = "".join(traceback.format_exception(error))
    return (
        f"this is a bug in durable-fsm, not a mistake of yours. Please report it with the command and these lines:\n"
        f"durable-fsm {durable_fsm.__version__}, Python {platform.python_version()}, {platform.platform()}\n{trace}"
    )
