"""Log records as JSON, for whatever collects them."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime

import msgspec

_encode = msgspec.json.Encoder(enc_hook=str).encode
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class LineFormatter(logging.Formatter):
    """Writes `2026-11-28 20:12:33,255 INFO Order/o-17: 'pay': …`. The text of a second is made once in that second."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._second, self._shown = 0, ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - as overridden
        if self._second != (second := int(record.created)):
            self._second, self._shown = second, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        return f"{self._shown},{int(record.msecs):03d}"


class JsonFormatter(logging.Formatter):
    """Writes a log record as one JSON object a line, with everything that was added to it.

    handler.setFormatter(durable_fsm.JsonFormatter())
    """

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: value for name, value in vars(record).items() if name not in _USUAL}
        if record.exc_info:
            entry["exception"] = record.exc_text or self.formatException(record.exc_info)
        try:
            return _encode(entry).decode()
        except (TypeError, ValueError, RecursionError):  # names that are no texts, half a character: whatever was added
            return json.dumps(entry, default=str, skipkeys=True)
