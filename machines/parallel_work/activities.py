"""The outside work of a task: it is split, and a workshop does the pieces."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from durable_fsm import ActivityContext
from machines.world import ask


class TaskData(BaseModel):
    """A task, how many of its pieces must be done, and what became of them."""

    description: str = ""
    join: Literal["all", "settle", "any", "majority"] = "all"
    pieces: list[str] = []
    results: list[str] = []
    summary: str = ""


def split(description: str) -> list[str]:
    """Split a task into its pieces, at the commas."""
    return [piece.strip() for piece in description.split(",") if piece.strip()]


async def do_piece(ctx: ActivityContext, piece: str) -> str:
    """Have a piece done once, under our id."""
    await ctx.run("do", ask, "/pieces", {"piece": piece}, key=ctx.stable_id)
    return f"{piece}: DONE"


def outcome_of(piece: str, ended: dict[str, Any]) -> str:
    """Say how a piece ended, if all were to end in one way or the other."""
    return ended["result"] if ended["status"] == "done" else f"{piece}: FAILED, {ended['error']['message']}"
