"""The slow work on a machine, of which the hall keeps a logbook."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from durable_fsm import ActivityContext, TerminalError

WORK = timedelta(seconds=float(os.environ.get("MACHINE_WORK_SECONDS", "5")))
"""How long a machine takes to come up or to go down."""

LOGBOOK = Path(os.environ.get("MACHINE_LOGBOOK", "logbook.txt"))
BROKEN = frozenset(os.environ.get("MACHINES_BROKEN", "").split())


async def bring_up(ctx: ActivityContext) -> None:
    """Bring it up, slowly. A broken machine does not come up, however often one tries."""
    await work(ctx, "up")


async def take_down(ctx: ActivityContext) -> None:
    """Take it down, slowly."""
    await work(ctx, "down")


async def work(ctx: ActivityContext, direction: str) -> None:
    """Write into the logbook, work, write again."""
    await ctx.run("begin", note, f"{ctx.key} {direction} begin")
    await ctx.sleep(WORK)
    if ctx.key in BROKEN:
        raise TerminalError("it is broken")
    await ctx.run("end", note, f"{ctx.key} {direction} end")


def note(line: str) -> None:
    """Append a line that survives whatever happens next. A line may stand there twice after a crash."""
    with LOGBOOK.open("a", encoding="utf-8") as book:
        book.write(f"{line}\n")
        book.flush()
        os.fsync(book.fileno())
