"""The chart of `benchmarks.console`: it records its history, and has no outside work."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

import durable_fsm
from durable_fsm import History, after, durable, event


class Errand(BaseModel):
    label: str = ""


class ErrandData(BaseModel):
    taken: int = 0
    labels: list[str] = []


@durable(history=History(record=True))
class Courier(StateChart[ErrandData]):
    """Goes from place to place, and reports on the way."""

    idle = State(initial=True)

    class tour(State.Parallel):
        class road(State.Compound):
            driving = State(initial=True)
            resting = State()
            rest = driving.to(resting)
            drive = resting.to(driving)

        class radio(State.Compound):
            quiet = State(initial=True)
            calling = State()
            call = quiet.to(calling)
            hang_up = calling.to(quiet)

    retired = State(final=True)

    start = event(idle.to(tour), Errand)
    load = event(tour.to.itself(internal=True), Errand)
    come_home = tour.to(idle)
    give_up = after(timedelta(days=2), tour.to(idle))
    retire = idle.to(retired)

    def on_load(self, data: ErrandData, payload: Errand) -> None:
        data.taken += 1
        data.labels = [*data.labels[-4:], payload.label]

    def on_start(self, data: ErrandData, payload: Errand) -> None:
        data.labels = [payload.label]


app = durable_fsm.app(Courier)
