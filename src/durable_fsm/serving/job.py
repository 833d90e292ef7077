"""The job of one serving process, as a value that is passed to `python -m durable_fsm.serving` as JSON."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from durable_fsm.serving.servers import Listener

ServedPart: TypeAlias = Literal["all", "machines", "runners"]
ServedProtocol: TypeAlias = Literal["auto", "bidi", "request_response"]
Logs: TypeAlias = Literal["untouched", "short", "lines"]


class ServeJob(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One process of a service.

    Attributes:
        target: The application or the chart, as `locate` finds it.
        listener: Where it listens, by which server.
        folder: A directory in which modules are searched first.
        part: Serve the machines, their activities, or both.
        protocol: How Restate talks to it; auto leaves the choice to the application.
        drain: How long requests in flight may take to end after SIGTERM.
        logs: `lines` writes one event a line for operators, `short` adds the time for a person at a terminal,
            `untouched` leaves logging to the application.
        announce: Print a line once it listens.
    """

    target: str
    listener: Listener
    folder: str = ""
    part: ServedPart = "all"
    protocol: ServedProtocol = "auto"
    drain: timedelta = timedelta(seconds=2)
    logs: Logs = "untouched"
    announce: bool = False

    @property
    def words(self) -> str:
        """One line for a person: what is served, where and by which server."""
        what = {"all": "machines and activities", "machines": "machines", "runners": "activities"}[self.part]
        return f"{what} at {self.listener.url} by {self.listener.server}"

    @property
    def command(self) -> list[str]:
        """The command line of a process that does this job."""
        return [sys.executable, "-m", "durable_fsm.serving", msgspec.json.encode(self, enc_hook=str).decode()]

    @classmethod
    def read(cls, text: str) -> ServeJob:
        """Read what `command` wrote."""
        return msgspec.json.decode(text, type=cls, dec_hook=_read_path)

    def application(self) -> tuple[Any, bool]:  # Any: an ASGI application
        """Import the application, or make one of the chart; take the part that is served; and whether it knows lifespan.

        Raises:
            TargetNotFound: There is no such application or chart, or it does not have this part.
            AuthorFailed: Its module cannot be imported.
            DefinitionError: A definition cannot become a chart.
        """
        from durable_fsm.frontends.contents import charts_of
        from durable_fsm.frontends.locate import TargetNotFound, locate
        from durable_fsm.restate.app import app, part_of

        if self.folder not in ("", *sys.path):
            sys.path.insert(0, self.folder)
        with _uncollected():
            found = locate(self.target)
            hosted = app(*found.charts) if found.application is None else found.application
        if self.part == "all" and self.protocol == "auto":
            return hosted, not charts_of(hosted)
        try:
            return part_of(hosted, self.part, protocol=None if self.protocol == "auto" else self.protocol), False
        except ValueError as error:
            raise TargetNotFound(f"'{self.target}' cannot be served so: {error}") from error


@contextmanager
def _uncollected() -> Generator[None]:
    """A block that Python's collector does not interrupt: nearly all that is made while modules are imported stays."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def configure_logs(logs: Logs) -> None:
    """Write the library's log to standard output, unless the application configured logging itself."""
    if logs == "lines":
        from durable_fsm.restate.observability.logging import LineFormatter

        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(LineFormatter())
        logging.basicConfig(handlers=[handler], level=logging.WARNING)
    elif logs == "short":
        logging.basicConfig(
            stream=sys.stdout, level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S"
        )
        logging.captureWarnings(capture=True)
        logging.getLogger("durable_fsm.serving").setLevel(logging.WARNING)  # a reload ends the service each time
    if logs != "untouched":
        logging.getLogger("durable_fsm").setLevel(logging.INFO)


def _read_path(kind: type[Any], value: Any) -> Path:  # Any: msgspec's own signature
    assert kind is Path
    return Path(value)
