"""A chart with every move that a server can be made to make."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import activity, after, event, undo_all


class Load(BaseModel):
    kilos: int = 0


async def work() -> int:
    raise AssertionError("a replay runs no activity of the chart")


async def take_back() -> None:
    raise AssertionError("a replay runs no undo of the chart")


class Rounds(StateChart[Load]):
    """A lorry on its round; the ferry holds it."""

    parked = State(initial=True)
    loading = State(invoke=activity(work, undo=take_back))
    driving = State()
    ferrying = State(invoke=activity(work, exclusive=True))
    ashore = State(invoke=activity(work))
    unloading = State(invoke=undo_all())
    over = State(final=True)
    broken = State(final=True)

    begin = event(parked.to(loading), Load)
    done_invoke_loading = loading.to(driving)
    error_invoke_loading = loading.to(broken)
    arrive = after(timedelta(days=30), driving.to(ferrying))
    weigh = driving.to.itself(internal=True)
    done_invoke_ferrying = ferrying.to(ashore)
    error_invoke_ferrying = ferrying.to(driving)
    done_invoke_ashore = ashore.to(over)
    error_invoke_ashore = ashore.to(unloading)
    leave = ashore.to(unloading)
    done_invoke_unloading = unloading.to(over)
    error_invoke_unloading = unloading.to(broken)

    def on_begin(self, data: Load, payload: Load) -> None:
        data.kilos = payload.kilos
