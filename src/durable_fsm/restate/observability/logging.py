"""The one logger of durable_fsm: silent on replay, one line each, without what a chart redacts."""

from __future__ import annotations

import logging
import traceback

from restate.server_context import restate_context_is_replaying

from durable_fsm.restate.observability import redaction

LOGGER = "durable_fsm"

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160), 0x2028, 0x2029)} | {10: "\\n", 13: "\\r"}


def is_replaying() -> bool:
    """Whether this invocation is doing again what is in its journal: whatever happens now has happened before."""
    return restate_context_is_replaying.get()


class _Decent(logging.Filter):
    """Lets through what happens for the first time, without secrets; a key with a line break in it makes no new line."""

    def filter(self, record: logging.LogRecord) -> bool:
        if is_replaying():
            return False
        message = redaction.clean(record.getMessage())
        record.msg, record.args = message if message.isprintable() else message.translate(_CONTROL), ()
        if record.exc_info and record.exc_info[1] is not None and redaction.is_redacting():
            record.exc_text = _places_of(record.exc_info[1])
        return True


def _places_of(error: BaseException) -> str:
    """A traceback that does not say what the exceptions say: they may quote anything."""
    blocks: list[str] = []
    at: BaseException | None = error
    while at is not None:
        lines = ["Traceback (most recent call last):\n", *traceback.format_tb(at.__traceback__)]
        blocks.insert(0, "".join(lines) + f"{type(at).__name__}: its words are left out, for the chart redacts.")
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return "\n\n".join(blocks)


log = logging.getLogger(LOGGER)
log.addFilter(_Decent())
