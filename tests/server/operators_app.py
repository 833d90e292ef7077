"""A chart whose operators sign, for `test_operators`."""

from __future__ import annotations

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import History, app, durable, event


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


operators_app = app(Strongroom)
