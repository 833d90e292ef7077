"""Fifty machines in one service, to measure how long it takes until it is ready.

durable-fsm serve benchmarks.many:app
"""

from __future__ import annotations

from pydantic import BaseModel, Field
from statemachine import State, StateChart

import durable_fsm
from durable_fsm import durable, event

MACHINES = 50


class Move(BaseModel):
    by: int = Field(1, ge=1)
    note: str = ""


class Progress(BaseModel):
    moves: int = 0
    notes: list[str] = []


def numbered(number: int) -> type[StateChart]:
    """A machine of four states, with typed data, typed payloads, a guard and an action."""

    @durable(name=f"Many{number}")
    class Machine(StateChart[Progress]):
        waiting = State(initial=True)
        working = State()
        paused = State()
        over = State(final=True)

        begin = event(waiting.to(working), Move)
        pause = event(working.to(paused), Move)
        resume = event(paused.to(working, cond="has_moved"), Move)
        end = event(over.from_(waiting, working, paused), Move)

        def has_moved(self, data: Progress) -> bool:
            return data.moves > 0

        def on_begin(self, data: Progress, payload: Move) -> int:
            data.moves += payload.by
            data.notes.append(payload.note)
            return data.moves

    return Machine


app = durable_fsm.app(*map(numbered, range(MACHINES)))
