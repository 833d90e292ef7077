"""A kiosk, for the commands about machines."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, Field
from statemachine import State, StateChart

import durable_fsm
from durable_fsm import TerminalError, activity, after, durable, event


class Till(BaseModel):
    owner: str = ""
    cents: int = 0
    calm: bool = False


class Unlock(BaseModel):
    """Who opens it."""

    owner: str = Field(min_length=1)


async def audit(data: Till) -> None:
    raise TerminalError("the books are lost")


@durable(index=("owner",))
class Kiosk(StateChart[Till]):
    """Sells papers from morning to evening."""

    closed = State(initial=True)
    open = State()
    auditing = State(invoke=activity(audit))
    gone = State(final=True)

    unlock = event(closed.to(open), Unlock)
    sell = event(open.to.itself(internal=True), int)
    lock = open.to(closed)
    check_books = open.to(auditing)
    nightfall = after(timedelta(hours=8), open.to(closed))
    done_invoke_auditing = auditing.to(open)
    error_invoke_auditing = auditing.to(open, cond="is_calm")
    demolish = closed.to(gone)

    def is_calm(self, data: Till) -> bool:
        return data.calm

    def on_unlock(self, data: Till, payload: Unlock) -> None:
        data.owner = payload.owner

    def on_sell(self, data: Till, payload: int) -> int:
        data.cents += payload
        return data.cents


app = durable_fsm.app(Kiosk)
