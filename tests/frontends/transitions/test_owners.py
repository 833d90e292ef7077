"""Models that make their own machine, as the library's README shows them, and what may not come along with one."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from transitions import Machine
from transitions import State as LibraryState
from transitions.extensions import HierarchicalMachine, MachineFactory

from durable_fsm import DefinitionError, TransitionsConfig, app, chart_from
from durable_fsm.errors import ActionError
from durable_fsm.frontends.locate import TargetNotFound, locate_chart
from durable_fsm.testing import Rehearsal

pytestmark = pytest.mark.filterwarnings("ignore::durable_fsm.errors.DefinitionWarning")

STATES = ["asleep", "hanging out", "hungry"]


class Hero:
    """The README's own: a model with its machine among its attributes."""

    states = STATES

    def __init__(self, name: str = "Batman") -> None:
        self.name = name
        self.kittens_rescued = 0
        self._tired = False
        self.machine = Machine(model=self, states=Hero.states, initial="asleep")
        self.machine.add_transition(trigger="wake_up", source="asleep", dest="hanging out")
        self.machine.add_transition("work_out", "hanging out", "hungry", before="count", conditions=["is_fit"])
        self.machine.add_transition("nap", "*", "asleep")

    def is_fit(self) -> bool:
        return not self._tired

    def count(self) -> None:
        self.kittens_rescued += 1
        self._tired = True


class ByHelper:
    """Made by a method that the constructor calls, with an import of its own."""

    def __init__(self) -> None:
        self.count = 0
        self.start()

    def start(self) -> None:
        from transitions import Machine as Engine

        self.engine = Engine(
            self, states=["a", "b"], transitions=[["go", "a", "b"]], initial="a", after_state_change="add"
        )

    def add(self) -> None:
        self.count += 1


class Nested:
    def __init__(self) -> None:
        states = ["off", {"name": "on", "children": ["dim", "bright"], "initial": "dim"}]
        ways = [["press", "off", "on"], ["turn", "on_dim", "on_bright"]]
        self.fsm = HierarchicalMachine(self, states=states, transitions=ways, initial="off", auto_transitions=False)


@dataclass
class Counted:
    n: int = 0
    machine: Any = field(default=None, compare=False)

    def __post_init__(self) -> None:
        self.machine = Machine(
            self, states=["a", "b"], transitions=[["go", "a", "b"]], initial="a", before_state_change="add"
        )

    def add(self) -> None:
        self.n += 1


class Composed(Machine):
    """Machine and model in one, that holds another machine beside it."""

    def __init__(self) -> None:
        super().__init__(states=["a", "b"], initial="a", transitions=[["go", "a", "b"]], auto_transitions=False)
        self.inner = Machine(model=Hero(), states=["x"], initial="x")
        self._seen = 1


class Late(Machine):
    """A subclass that never calls its base, and drives itself by another machine."""

    def __init__(self) -> None:
        self.machine = Machine(model=self, states=["a", "b"], initial="a", transitions=[["go", "a", "b"]])


class Unheld:
    """No attribute holds the machine."""

    def __init__(self) -> None:
        Machine(self, states=["a", "b"], transitions=[["go", "a", "b"]], initial="a", auto_transitions=False)


class Shared:
    """One machine for all instances, in an attribute of the class."""

    machine = Machine(
        model=None, states=["a", "b"], transitions=[["go", "a", "b"]], initial="a", auto_transitions=False
    )

    def __init__(self) -> None:
        self.machine.add_model(self)


class Made:
    """By the library's factory, of states that are objects."""

    def __init__(self) -> None:
        kind = MachineFactory.get_predefined(nested=False)
        self.states = [LibraryState("a"), LibraryState("b", on_enter=partial(self.add, 2))]
        self.n = 0
        self.machine = kind(
            self, states=self.states, transitions=[["go", "a", "b"]], initial="a", auto_transitions=False
        )

    def add(self, by: int) -> None:
        self.n += by


@pytest.mark.parametrize(
    ("owner", "events", "states", "data"),
    [
        (
            Hero,
            ["wake_up", "work_out"],
            ("hungry",),
            {"name": "Batman", "kittens_rescued": 1, "_tired": True},
        ),
        (ByHelper, ["go"], ("b",), {"count": 1}),
        (Nested, ["press", "turn"], ("on", "on_bright"), {}),
        (Counted, ["go"], ("b",), {"n": 1}),
        (Composed, ["go"], ("b",), {"_seen": 1}),
        (Late, ["go"], ("b",), {}),
        (Unheld, ["go"], ("b",), {}),
        (Shared, ["go"], ("b",), {}),
        (Made, ["go"], ("b",), {"n": 2}),
    ],
)
def test_a_model_that_makes_its_machine_is_a_definition_as_class_and_as_object(
    owner: type, events: list[str], states: tuple[str, ...], data: dict[str, Any]
) -> None:
    for definition in (owner, owner()):
        machine = Rehearsal(definition)
        for event in events:
            machine.send(event)

        assert (machine.chart.name, machine.configuration, machine.snapshot.data) == (owner.__name__, states, data)
    assert chart_from(owner) is chart_from(owner)


def test_such_a_class_is_hosted_and_named_on_the_command_line() -> None:
    assert app(Hero)
    assert locate_chart("tests.frontends.transitions.test_owners:Hero").chart is chart_from(Hero)


def test_a_machine_that_was_made_first_and_given_its_model_later_is_read() -> None:
    hero = ByHelper()
    machine = Machine(states=["a", "b"], initial="a", auto_transitions=False)
    machine.add_model(hero)
    machine.add_transition("go", "a", "b", before="add")

    rehearsed = Rehearsal(machine)
    rehearsed.send("go")

    assert rehearsed.snapshot.data == {"count": 1}


def test_a_class_is_called_only_if_its_constructor_makes_a_machine() -> None:
    class Loud:
        def __init__(self) -> None:
            raise AssertionError("it must not be called")

        def helper(self) -> Machine:
            return Machine(self, states=["a"], initial="a")

    with pytest.raises(TypeError, match="is not a statechart"):
        chart_from(Loud)
    with pytest.raises(TargetNotFound, match="neither a statechart nor an application"):
        locate_chart("tests.frontends.transitions.test_owners:field")


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────────────────


def problems(definition: object) -> list[Any]:
    with pytest.raises(DefinitionError) as refused:
        chart_from(definition)
    return list(refused.value.problems)


def test_a_class_that_needs_arguments_is_told_from_one_that_fails() -> None:
    class Needy:
        def __init__(self, name: str) -> None:
            self.machine = Machine(self, states=["a"], initial="a")

    class Broken:
        def __init__(self) -> None:
            self.machine = Machine(self, states=["a"], initial="a")
            self.size = int("many")

    class Absent:
        def __init__(self) -> None:
            Machine(model=None, states=["a"], initial="a")

    (needy,), (broken,), (absent,) = problems(Needy), problems(Broken), problems(Absent)
    assert "missing 1 required positional argument: 'name'" in needy.what
    assert needy.remedy == "Give every argument a default, or name an object: model = Needy(…)."
    assert broken.what.startswith("Broken() fails: ValueError: invalid literal for int()")
    line = Broken.__init__.__code__.co_firstlineno + 2
    assert broken.place == f"{Path(__file__)}:{line}"
    assert absent.what == "no machines drive an instance of Absent."


def test_each_attribute_that_cannot_be_stored_is_named() -> None:
    class Busy:
        def __init__(self) -> None:
            self.lock = threading.Lock()
            self.letters: Iterator[str] = (letter for letter in "ab")
            self.line = socket.socket()
            self.line.close()
            self.count = 0
            self.machine = Machine(self, states=["a"], initial="a", auto_transitions=False)

    found = [problem.what for problem in problems(Busy)]

    assert [what.split("'")[1] for what in found] == ["lock", "letters", "line"]
    assert found[0].startswith("attribute 'lock' cannot be stored as JSON: a lock would not come back as it was")


class Journal:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self) -> None:
        self.lines.append("line")


@pytest.mark.parametrize("slot", ["before", "after", "conditions", "prepare"])
def test_a_callback_of_an_object_that_is_not_the_model_is_refused(slot: str) -> None:
    class Owner:
        def __init__(self) -> None:
            self.machine = Machine(self, states=["a", "b"], initial="a", auto_transitions=False)
            self.machine.add_transition("go", "a", "b", **{slot: Journal().write})

    config = TransitionsConfig(
        "C",
        states=["a", "b"],
        initial="a",
        transitions=[{"trigger": "go", "source": "a", "dest": "b", slot: Journal().write}],
    )
    for definition in (Owner, config):
        (problem,) = problems(definition)
        assert problem.what.startswith("callback Journal.write belongs to a Journal, which is not the model")


def test_a_lambda_that_holds_the_object_is_refused() -> None:
    class Holding:
        def __init__(self) -> None:
            self.n = 0
            self.machine = Machine(self, states=["a", "b"], initial="a", auto_transitions=False)
            self.machine.add_transition("go", "a", "b", before=lambda **_: self.add())

        def add(self) -> None:
            self.n += 1

    (problem,) = problems(Holding)
    assert "holds the object that made the machine" in problem.what
    assert problem.remedy == "Name the method: after='note'."


def test_two_machines_of_one_model_are_refused() -> None:
    class Twice:
        def __init__(self) -> None:
            self.light = Machine(self, states=["on", "off"], initial="on", model_attribute="light_state")
            self.door = Machine(self, states=["shut", "wide"], initial="shut", model_attribute="door_state")

    for definition in (Twice, Twice()):
        (problem,) = problems(definition)
        assert problem.what == "2 machines drive an instance of Twice."


def test_a_callback_may_be_a_method_of_a_logger_or_of_a_class() -> None:
    class Clerk:
        @classmethod
        def file(cls) -> None: ...

    way = {"trigger": "go", "source": "a", "dest": "b", "before": [Clerk.file, logging.getLogger("x").debug]}
    config = TransitionsConfig("C", states=["a", "b"], initial="a", transitions=[way])

    assert Rehearsal(config).send("go", ["a message"]).configuration == ("b",)


def test_a_callback_that_asks_for_the_machine_is_told_that_there_is_none() -> None:
    class Curious:
        def __init__(self) -> None:
            self.machine = Machine(self, states=["a", "b"], initial="a", auto_transitions=False)
            self.machine.add_transition("go", "a", "b", before="look")

        def look(self) -> None:
            self.machine.get_triggers("a")

    with pytest.raises(ActionError, match=r"self\.machine belongs to the library's machine, which never runs here"):
        Rehearsal(Curious).send("go")


# ── arguments ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Fire:
    def __init__(self) -> None:
        self.told: list[Any] = []
        self.machine = Machine(self, states=["a", "b"], initial="a", auto_transitions=False)
        self.machine.add_transition("go", "a", "b", before="note")

    def note(self, event: str, data: Any = "none", error: Any = "none") -> None:
        self.told = [event, data, error]


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [(["alarm"], {}), (["alarm", 7], {}), ([], {"event": "alarm", "data": 7, "error": "smoke"}), ([], {"event": "x"})],
)
def test_arguments_of_a_live_machine_are_the_senders_whatever_they_are_called(
    args: list[Any], kwargs: dict[str, Any]
) -> None:
    library, ours = Fire(), Rehearsal(Fire)

    library.go(*args, **kwargs)  # type: ignore[attr-defined]
    ours.send("go", args or kwargs)

    assert ours.snapshot.data == {"told": library.told}


@pytest.mark.parametrize("payload", [["alarm"], {"event": "alarm"}, {"event": 1, "other": 2}])
def test_a_configuration_does_not_take_an_argument_of_the_sender_for_ours(payload: Any) -> None:
    def note(data: Any, event: str) -> None: ...

    config = TransitionsConfig(
        "C", states=["a", "b"], initial="a", transitions=[{"trigger": "go", "source": "a", "dest": "b", "before": note}]
    )
    machine = Rehearsal(config)

    with pytest.raises(ActionError, match="are both called 'event'; rename the parameter"):
        machine.send("go", payload)
    assert machine.send("go", {"other": 1}).configuration == ("b",)


def test_a_result_that_is_a_list_is_no_argument_of_a_sender() -> None:
    class Model:
        told: Any = None

        def keep(self, result: Any) -> None:
            self.told = result

    config = TransitionsConfig(
        "C",
        states=["a", "b"],
        initial="a",
        transitions=[{"trigger": "done_invoke_a", "source": "a", "dest": "b", "before": "keep"}],
        activities={"a": lambda: None},
        model=Model,
    )
    machine = Rehearsal(config)
    machine.create()

    machine.finish("a", ["one", {"result": 2}])

    assert machine.snapshot.data == {"told": ["one", {"result": 2}]}
