"""The slow work on a machine, recorded in a logbook."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from durable_fsm import ActivityContext, TerminalError

WORK = timedelta(seconds=float(os.environ.get("MACHINE_WORK_SECONDS", "5")))
"""How long it takes to bring a machine up or to tear it down."""

LOGBOOK = Path(os.environ.get("MACHINE_LOGBOOK", "logbook.txt"))
BROKEN = frozenset(os.environ.get("MACHINES_BROKEN", "").split())


async def bring_up(ctx: ActivityContext) -> None:
    """Bring the machine up, slowly. With a broken machine that fails for good."""
    await work(ctx, "up")


async def take_down(ctx: ActivityContext) -> None:
    """Tear the machine down, slowly."""
    await work(ctx, "down")


async def work(ctx: ActivityContext, direction: str) -> None:
    """Write a line into the logbook, work, write another line."""
    await ctx.run("begin", note, f"{ctx.key} {direction} begin")
    await ctx.sleep(WORK)
    if ctx.key in BROKEN:
        raise TerminalError("it is broken")
    await ctx.run("end", note, f"{ctx.key} {direction} end")


def note(line: str) -> None:
    """Append a line and flush it to disk. After a crash the logbook may have a line twice."""
    with LOGBOOK.open("a", encoding="utf-8") as book:
        book.write(f"{line}\n")
        book.flush()
        os.fsync(book.fileno())
