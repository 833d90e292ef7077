"""Let a served application kill itself, or its server, at a durable step that the test chose, by SIGKILL.

`install()` is for applications that tests serve. The environment says what to do:

    DYING_LOG   a file to which the kind of every durable step is appended
    DYING_AT    `send:3:at` or `send:3:after`: die at the third send in the log, or a moment after it; once
    DYING_PID   the process to kill instead of this one
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from restate.server_context import ServerInvocationContext, ServerSendHandle

MOMENT = 0.03
"""Seconds after a step at which the invocation has written it to Restate, and may or may not have ended."""

STEPS = {
    "get": "get",
    "set": "set",
    "clear": "clear",
    "clear_all": "clear",
    "generic_send": "send",
    "generic_call": "call",
    "run_typed": "run",
    "sleep": "sleep",
    "awakeable": "awakeable",
    "resolve_awakeable": "resolve",
    "signal": "signal",
    "resolve_signal": "resolve",
    "cancel_invocation": "cancel",
    "attach_invocation": "attach",
}


def install() -> None:
    """Have every durable step of this process logged, and one of them be the last."""
    log = os.environ.get("DYING_LOG")
    if not log:
        return
    for method, kind in STEPS.items():
        _wrap(ServerInvocationContext, method, kind, Path(log))
    _wrap(ServerSendHandle, "invocation_id", "handle", Path(log))


def _wrap(cls: type, method: str, kind: str, log: Path) -> None:
    original: Callable[..., Any] = getattr(cls, method)

    @functools.wraps(original)
    def step(self: object, *args: Any, **kwargs: Any) -> Any:
        _pass(kind, log)
        return original(self, *args, **kwargs)

    setattr(cls, method, step)


def _pass(kind: str, log: Path) -> None:
    with log.open("a") as lines:
        lines.write(f"{kind}\n")
    wanted, number, moment = (os.environ.get("DYING_AT") or "none:0:at").split(":")
    died = log.with_suffix(".died")
    if kind != wanted or died.exists() or log.read_text().split().count(kind) < int(number):
        return
    died.touch()
    if moment == "at":
        _die()
    else:
        asyncio.get_running_loop().call_later(MOMENT, _die)


def _die() -> None:
    victim = os.environ.get("DYING_PID")
    os.killpg(os.getpgid(int(victim)) if victim else os.getpgrp(), signal.SIGKILL)
