"""What transitions runs when a state or a machine has ended, and where an exception goes."""

from __future__ import annotations

from typing import Any

import pytest
from transitions import Machine
from transitions.extensions.states import Error, add_state_features

from durable_fsm.core.snapshot import Status
from durable_fsm.errors import ActionError
from durable_fsm.testing import Rehearsal
from tests.frontends.transitions.definitions import config

pytestmark = pytest.mark.filterwarnings(
    "ignore::durable_fsm.errors.DefinitionWarning"
)  # rules are shown in a few states


def test_the_ends_of_regions_are_told_from_the_inside_out() -> None:
    log: list[str] = []

    def telling(name: str) -> Any:
        return lambda: log.append(name)

    def region(name: str) -> dict[str, Any]:
        steps = ["I", {"name": "II", "final": True}]
        inner = [[f"final_{name}", "I", "II"]]
        return {"name": name, "states": steps, "initial": "I", "transitions": inner, "on_final": telling(name)}

    end_at_once = {"name": "X", "final": True, "on_final": telling("X")}
    states = ["A", {"name": "B", "parallel": [end_at_once, region("Y"), region("Z")], "on_final": telling("B")}]
    machine = Rehearsal(config(states=states, transitions=[["go", "A", "B"]], options={"on_final": telling("all")}))

    seen: list[list[str]] = []
    for event in ("go", "final_Y", "final_Z"):
        machine.send(event)
        seen.append(log.copy())
        log.clear()

    assert seen == [["X"], ["Y"], ["Z", "B", "all"]]


def test_the_end_of_a_flat_machine_is_told() -> None:
    log: list[str] = []
    states = ["A", {"name": "B", "final": True, "on_enter": lambda: log.append("enter")}]
    machine = Rehearsal(
        config(states=states, transitions=[["go", "A", "B"]], options={"on_final": [lambda: log.append("final")]})
    )
    machine.send("go")

    assert (log, machine.status) == (["enter", "final"], Status.DONE)


def test_an_error_state_cannot_be_entered() -> None:
    @add_state_features(Error)
    class Strict(Machine):
        pass

    states = ["A", "B", {"name": "C", "accepted": True}]
    machine = Rehearsal(
        Strict(states=states, initial="A", transitions=[["b", "A", "B"], ["c", "A", "C"]], auto_transitions=False)
    )

    with pytest.raises(ActionError, match="error state 'B' reached"):
        machine.send("b")
    assert machine.send("c").configuration == ("C",)


def test_an_exception_may_be_an_event() -> None:
    def fail() -> None:
        raise ValueError("no")

    machine = Rehearsal(
        config(
            states=["A", "B", "broken"],
            transitions=[
                {"trigger": "go", "source": "A", "dest": "B", "after": fail},
                ["error_execution", "*", "broken"],
            ],
        )
    )

    assert machine.send("go").configuration == ("broken",)
