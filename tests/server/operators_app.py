"""Charts whose operators sign, for `test_operators`."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import History, TerminalError, activity, app, durable, event


class Safe(BaseModel):
    opened: int = 0


@durable(
    operators_only=("repair", "delete", "history", "send", "snapshot", "create", "wait_for"),
    history=History(record=True),
)
class Strongroom(StateChart[Safe]):
    """Closed to all but operators, except for its event."""

    shut = State(initial=True)
    open = State()

    unlock = event(shut.to(open))
    lock = event(open.to(shut))

    def on_unlock(self, data: Safe) -> None:
        data.opened += 1


class Parcel(BaseModel):
    to: str = ""
    card_number: str = ""


def carry(data: Parcel) -> str:
    """Carry a parcel, if the road is open."""
    if not Path(os.environ["OPERATORS_ROAD"]).exists():
        raise TerminalError(f"no road to {data.to}, paid by {data.card_number}")
    return "delivered"


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its activity fails on purpose, and then the machine does

    @durable(redact=("card_number",), history=History(record=True))
    class Courier(StateChart[Parcel]):
        """Carries a parcel, and fails where there is no road."""

        ready = State(initial=True)
        carrying = State(invoke=activity(carry))
        delivered = State(final=True)

        take = event(ready.to(carrying), Parcel)
        done_invoke_carrying = carrying.to(delivered)

        def on_take(self, data: Parcel, payload: Parcel) -> None:
            data.to, data.card_number = payload.to, payload.card_number

    operators_app = app(Strongroom, Courier)
