"""Models of transitions: what the data of a machine knows of its state and its events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from durable_fsm.errors import ActionError
from durable_fsm.testing import Rehearsal
from tests.frontends.transitions.definitions import REGIONS, Plain, config, plain

pytestmark = pytest.mark.filterwarnings(
    "ignore::durable_fsm.errors.DefinitionWarning"
)  # rules are shown in a few states


class Curious:
    """Writes down what the library tells a model about itself."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def look(self) -> None:
        self.seen.append(self.state)  # type: ignore[attr-defined]

    def ask(self) -> None:
        self.seen.append((self.is_B(), self.is_B(allow_substates=True), self.is_B_x()))  # type: ignore[attr-defined]

    def may(self) -> None:
        self.seen.append((self.may_back(), self.may_trigger("go"), self.may_back(1)))  # type: ignore[attr-defined]

    def move(self) -> None:
        self.state = "A"

    def stray(self) -> None:
        self.trigger("nowhere")  # type: ignore[attr-defined]

    def is_asked(self, wanted: int = 0) -> bool:
        return wanted > 0


def curious(*transitions: Any, **rest: Any) -> Rehearsal:
    outer = {"name": "B", "children": ["x"], "initial": "x", "on_enter": "look", "on_exit": "look"}
    return Rehearsal(config(states=["A", outer, "C"], transitions=list(transitions), model=Curious, **rest))


def test_a_model_is_where_it_comes_from_until_it_has_left_and_then_where_it_goes() -> None:
    machine = curious(
        {"trigger": "go", "source": "A", "dest": "B", "prepare": "look", "before": "look", "after": "look"},
        ["back", "B", "A"],
    )
    machine.send("go")
    machine.send("back")

    assert machine.data.seen == ["A", "A", "B_x", "B_x", "B_x"]


def test_a_model_that_rests_in_a_parent_or_is_in_regions_says_so() -> None:
    machine = Rehearsal(
        config(
            states=["A", {"name": "B", "children": ["x"]}, REGIONS],
            transitions=[
                {"trigger": "rest", "source": "A", "dest": "B", "after": "look"},
                {"trigger": "split", "source": "B", "dest": "P", "after": "look"},
            ],
            model=Curious,
        )
    )
    machine.send("rest")
    machine.send("split")

    assert machine.data.seen == ["B", ["P_l_1", "P_r_1"]]


def test_is_state_means_this_state_and_not_what_is_inside() -> None:
    machine = curious(["go", "A", "B"], {"trigger": "ask", "source": "B", "dest": None, "after": "ask"})
    machine.send("go")
    machine.send("ask")

    assert machine.data.seen[1:] == [(False, True, True)]


def test_a_callback_may_ask_what_would_be_taken() -> None:
    machine = curious(
        ["go", "A", "B"],
        {"trigger": "ask", "source": "B", "dest": None, "after": "may"},
        {"trigger": "back", "source": "B", "dest": "A", "conditions": "is_asked"},
    )
    machine.send("go")
    machine.send("ask")

    assert machine.data.seen[1:] == [(False, False, True)]


def test_the_attribute_of_the_state_may_have_another_name() -> None:
    seen: list[Any] = []

    class Model:
        def look(self) -> None:
            seen.append((self.mode, self.is_mode_B()))  # type: ignore[attr-defined]

    edge = {"trigger": "go", "source": "A", "dest": "B", "after": "look"}
    Rehearsal(config(states=["A", "B"], transitions=[edge], model=Model, options={"model_attribute": "mode"})).send(
        "go"
    )

    assert seen == [("B", True)]


def test_the_state_of_a_model_is_changed_by_transitions_only() -> None:
    machine = curious({"trigger": "go", "source": "A", "dest": "C", "after": "move"})

    with pytest.raises(ActionError, match="changed by its transitions only"):
        machine.send("go")


def test_a_callback_cannot_trigger_what_does_not_exist() -> None:
    machine = curious({"trigger": "go", "source": "A", "dest": "C", "after": "stray"})

    with pytest.raises(ActionError, match="there is no event 'nowhere'"):
        machine.send("go")


@dataclass(slots=True)
class Slotted:
    n: int = 0

    def count(self) -> None:
        self.n += 1
        self.go()  # type: ignore[attr-defined]


def test_a_model_may_have_slots_and_stays_of_its_own_class() -> None:
    machine = Rehearsal(
        config(
            states=["A", "B"],
            transitions=[{"trigger": "begin", "source": "A", "dest": None, "after": "count"}, ["go", "A", "B"]],
            model=Slotted,
        )
    )
    machine.send("begin")

    assert machine.configuration == ("B",)
    assert machine.data == Slotted(1)


class Foreseen:
    """Declares its triggers for type checkers; the machine fills them in."""

    def go(self) -> bool:
        raise RuntimeError("should be overridden")

    def begin(self) -> None:
        self.go()


def test_a_model_may_declare_the_triggers_it_expects() -> None:
    machine = Rehearsal(
        config(
            states=["A", "B"],
            transitions=[{"trigger": "start", "source": "A", "dest": None, "after": "begin"}, ["go", "A", "B"]],
            model=Foreseen,
            options={"model_override": True},
        )
    )

    assert machine.send("start").configuration == ("B",)


def test_an_event_may_be_named_as_a_callback() -> None:
    machine = plain(
        {"trigger": "begin", "source": "A", "dest": "B", "after": "finish"},
        {"trigger": "finish", "source": "B", "dest": "C", "after": "count"},
    )
    machine.send("begin", {"by": 4})

    assert (machine.configuration, machine.data.n) == (("C",), 4)


def test_a_callback_for_a_timeout_need_not_be_named() -> None:
    class Model(Plain):
        def on_timeout_B(self) -> None:  # noqa: N802 - after the state
            self.n += 1

    states = ["A", {"name": "B", "timeout": 1, "on_timeout": []}]
    machine = Rehearsal(config(states=states, transitions=[["go", "A", "B"]], model=Model))
    machine.send("go")

    machine.advance(timedelta(seconds=1))

    assert machine.data.n == 1


def test_a_model_asks_its_machine_while_a_step_runs_and_not_later() -> None:
    kept: list[Any] = []

    def keep(model: Any) -> None:
        kept.append(model.go)

    plain({"trigger": "begin", "source": "A", "dest": None, "after": keep}, ["go", "A", "B"]).send("begin")

    with pytest.raises(RuntimeError, match="only exists while a step runs"):
        kept[0]()
