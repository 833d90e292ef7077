"""The logger of durable_fsm: silent on replay, one line for each record, without what a chart redacts; and formatters."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType

import msgspec
from restate.server_context import restate_context_is_replaying

from durable_fsm.errors import printable
from durable_fsm.restate.observability import redaction

LOGGER = "durable_fsm"

is_replaying: Callable[[], bool] = restate_context_is_replaying.get
"""Whether this invocation repeats what its journal has already. A function of Python's own: every event asks."""


class _OnceInOneLine(logging.Filter):
    """Drops records on replay; removes secrets, and line breaks that a key may have."""

    def filter(self, record: logging.LogRecord) -> bool:
        if is_replaying():
            return False
        record.msg, record.args = printable(redaction.clean(record.getMessage())), ()
        if record.exc_info and record.exc_info[1] is not None and redaction.current() is not None:
            record.exc_text = _without_messages(record.exc_info[1], record.exc_info[2])
        return True


def _without_messages(error: BaseException, trace: TracebackType | None) -> str:
    """The traceback of an exception and its causes, without their messages, which may quote anything."""
    blocks: list[str] = []
    at: BaseException | None = error
    while at is not None:
        lines = ["Traceback (most recent call last):\n", *traceback.format_tb(trace)]
        blocks.insert(0, "".join(lines) + f"{type(at).__name__}: its words are left out, for the chart redacts.")
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
        trace = at.__traceback__ if at is not None else None
    return "\n\n".join(blocks)


log = logging.getLogger(LOGGER)
log.addFilter(_OnceInOneLine())


# ── formatters ────────────────────────────────────────────────────────────────────────────────────────────────────────


class LineFormatter(logging.Formatter):
    """Writes `2026-11-28 20:12:33,255 INFO Order/o-17: 'pay': …`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._second: int | None = None
        self._shown = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - as overridden
        if self._second != (second := int(record.created)):  # strftime is slow: once a second is enough
            self._second, self._shown = second, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        return f"{self._shown},{int(record.msecs):03d}"


_encode = msgspec.json.Encoder(enc_hook=str).encode
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """Writes a log record as one line of JSON, with every attribute that was added to it.

    handler.setFormatter(durable_fsm.JsonFormatter())
    """

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            entry["exception"] = record.exc_text or self.formatException(record.exc_info)
        try:
            return _encode(entry).decode()
        except (TypeError, ValueError, RecursionError):  # added names that are not texts, or unpaired surrogates
            return json.dumps(entry, default=str, skipkeys=True)
