"""A chart and the machine that it runs, as one application each; the data say how many machines are run."""

from __future__ import annotations

from itertools import pairwise

from pydantic import BaseModel
from statemachine import State, StateChart

import durable_fsm
from durable_fsm import TransitionsConfig, activity, compiled, machine


class Drill(BaseModel):
    depth: int


async def drill(data: Drill) -> int:
    return data.depth


class Drilling(StateChart[Drill]):
    drilling = State(initial=True, invoke=activity(drill))
    drilled = State(final=True)
    done_invoke_drilling = drilling.to(drilled)
    error_invoke_drilling = drilling.to(drilled)

    def on_enter_drilled(self, result: int) -> int:
        return result


class Plate(BaseModel):
    holes: list[int] = [1]
    depths: list[int] = []

    def note(self, result: int) -> None:
        self.depths.append(result)


@compiled("holes", example=[1], machines=[Drilling])
def plate(holes: list[int]) -> TransitionsConfig:
    names = [f"hole_{place}" for place, _ in enumerate(holes)]
    return TransitionsConfig(
        "Plate",
        states=[*names, {"name": "ready", "final": True}, {"name": "spoilt", "final": True}],
        transitions=[
            *(
                {"trigger": f"done_invoke_{here}", "source": here, "dest": there, "before": "note"}
                for here, there in pairwise([*names, "ready"])
            ),
            ["error_execution", "*", "spoilt"],
        ],
        initial=names[0],
        machines={
            name: machine(Drilling, input=lambda data, depth=depth: {"depth": depth})
            for name, depth in zip(names, holes, strict=True)
        },
        model=Plate,
    )


plates = durable_fsm.app(plate, elsewhere=[Drilling])
drills = durable_fsm.app(Drilling)
