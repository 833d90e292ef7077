"""Log records as JSON, for whatever collects them."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

import msgspec

_encode = msgspec.json.Encoder(enc_hook=str).encode
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


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
