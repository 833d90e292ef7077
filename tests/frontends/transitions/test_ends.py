"""What transitions runs when a state or a machine has ended, and where an exception goes."""

from __future__ import annotations

from typing import Any

import pytest
from transitions import Machine
from transitions.extensions.states import Error, add_state_features

from durable_fsm import Failure
from durable_fsm.core.snapshot import Status
from durable_fsm.errors import ActionError, DefinitionError
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


class Parcel:
    def __init__(self) -> None:
        self.weight = 3

    def on_enter_delivered(self) -> dict[str, int]:
        return {"weight": self.weight}

    def lost(self) -> Failure:
        return Failure("Lost", "it fell off the van", code=410)

    def sign(self) -> dict[str, str]:
        return {"signed": "Ada"}


def parcel(**closing: Any) -> Rehearsal:
    states = ["on_way", {"name": "delivered", "final": True}, {"name": "lost", "final": True, **closing}]
    ways = [["deliver", "on_way", "delivered"], ["lose", "on_way", "lost"]]
    return Rehearsal(config(states=states, transitions=ways, initial="on_way", model=Parcel))


def test_the_entry_of_a_final_state_returns_the_output_of_the_machine() -> None:
    receipt = parcel().send("deliver")

    assert (receipt.status, receipt.output, receipt.failure) == (Status.DONE, {"weight": 3}, None)


def test_several_objects_that_a_final_state_returns_are_one_output() -> None:
    receipt = parcel(on_enter=["on_enter_delivered", "sign"]).send("lose")

    assert receipt.output == {"weight": 3, "signed": "Ada"}


def test_a_final_state_that_returns_a_failure_ends_the_machine_with_it() -> None:
    machine = parcel(on_enter="lost")

    receipt = machine.send("lose")

    assert machine.failure == Failure("Lost", "it fell off the van", code=410)
    told = {"type": "Lost", "message": "it fell off the van", "code": 410, "source": ""}
    assert (receipt.status, receipt.output, receipt.failure) == (Status.DONE, None, told)


def test_a_configuration_may_have_transitions_without_an_event() -> None:
    class Till:
        def __init__(self) -> None:
            self.cents = 0

        def pay(self, cents: int) -> None:
            self.cents += cents

        def enough(self) -> bool:
            return self.cents >= 100

    ways = [
        {"trigger": "pay", "source": "open", "dest": None, "before": "pay"},
        {"trigger": "", "source": "open", "dest": "paid", "conditions": "enough"},
    ]
    till = Rehearsal(
        config(states=["open", {"name": "paid", "final": True}], transitions=ways, initial="open", model=Till)
    )

    assert till.send("pay", {"cents": 60}).configuration == ("open",)
    assert till.send("pay", {"cents": 60}).configuration == ("paid",)
    assert sorted(till.chart.events) == ["pay"]


def test_a_live_machine_cannot_have_a_trigger_without_a_name() -> None:
    machine = Machine(states=["a", "b"], initial="a", transitions=[["", "a", "b"]], auto_transitions=False)

    with pytest.raises(DefinitionError, match="it has the trigger '', which only code inside the process could call"):
        Rehearsal(machine)
