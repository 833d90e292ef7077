"""Where we part from transitions on purpose: one test for each rule, with both engines side by side."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from transitions import MachineError
from transitions.extensions import HierarchicalMachine
from transitions.extensions.states import Timeout, add_state_features

from durable_fsm import TransitionsConfig
from durable_fsm.errors import ActionError, EventRejected, Finished, UnknownEvent
from durable_fsm.testing import Rehearsal

pytestmark = pytest.mark.filterwarnings("ignore::durable_fsm.errors.DefinitionWarning")


class Model:
    def __init__(self) -> None:
        self.log: list[str] = []

    def note(self, what: str = "note", **_: Any) -> None:
        self.log.append(what)

    def no(self, **_: Any) -> bool:
        return False

    def chain(self, **_: Any) -> None:
        self.log.append("chain begins")
        self.go()  # type: ignore[attr-defined]
        self.log.append("chain ends")

    def fail(self, **_: Any) -> None:
        self.log.append("failing")
        raise ValueError("no")


def logged(id: str) -> dict[str, Any]:
    """A state that writes down when it is entered and left."""

    def enter(model: Any) -> None:
        model.log.append(f"enter {id}")

    def leave(model: Any) -> None:
        model.log.append(f"exit {id}")

    class_of[f"enter_{id}"], class_of[f"exit_{id}"] = enter, leave
    return {"name": id.rpartition("_")[2], "on_enter": f"enter_{id}", "on_exit": f"exit_{id}"}


class_of: dict[str, Any] = {}

STATES: list[Any] = [
    logged("out"),
    {
        **logged("p"),
        "parallel": [
            {**logged("p_l"), "children": [logged("p_l_1"), logged("p_l_2")], "initial": "1"},
            {**logged("p_r"), "children": [logged("p_r_1"), logged("p_r_2")], "initial": "1"},
        ],
    },
]


class Both:
    """The same configuration in the library's engine and in ours."""

    def __init__(self, *transitions: Any, states: list[Any] | None = None, **options: Any) -> None:
        cls: Any = type("Model", (Model,), dict(class_of))
        self.model: Any = cls()
        states = STATES if states is None else states
        common = {"auto_transitions": False, **options}
        HierarchicalMachine(self.model, states=states, transitions=list(transitions), initial="out", **common)
        config = TransitionsConfig(
            name="Both", states=states, transitions=transitions, initial="out", model=cls, **options
        )
        self.ours = Rehearsal(config)
        self.ours.create()

    def send(self, event: str) -> tuple[list[str], list[str]]:
        """What each of them does on this event."""
        before = len(self.model.log), len(self.ours.data.log)
        self.model.trigger(event)
        self.ours.send(event)
        return self.model.log[before[0] :], self.ours.data.log[before[1] :]


IN: list[Any] = ["in", "out", "p"]
OUT: list[Any] = ["leave", "p", "out"]


def test_regions_are_entered_one_after_the_other_not_level_by_level() -> None:
    theirs, ours = Both(IN).send("in")

    assert theirs == ["exit out", "enter p", "enter p_l", "enter p_r", "enter p_l_1", "enter p_r_1"]
    assert ours == ["exit out", "enter p", "enter p_l", "enter p_l_1", "enter p_r", "enter p_r_1"]


def test_regions_are_left_in_the_reverse_order_of_entering() -> None:
    both = Both(IN, OUT)
    both.send("in")
    theirs, ours = both.send("leave")

    assert theirs == ["exit p_l_1", "exit p_r_1", "exit p_l", "exit p_r", "exit p", "enter out"]
    assert ours == ["exit p_r_1", "exit p_r", "exit p_l_1", "exit p_l", "exit p", "enter out"]


def test_regions_that_take_the_same_event_take_it_together() -> None:
    both = Both(IN, ["step", "p_l_1", "p_l_2"], ["step", "p_r_1", "p_r_2"])
    both.send("in")
    theirs, ours = both.send("step")

    assert theirs == ["exit p_l_1", "enter p_l_2", "exit p_r_1", "enter p_r_2"]
    assert ours == ["exit p_r_1", "exit p_l_1", "enter p_l_2", "enter p_r_2"]


def test_a_region_that_is_entered_anew_takes_the_others_with_it() -> None:
    both = Both(IN, ["again", "p_l", "="])
    both.send("in")
    theirs, ours = both.send("again")

    assert theirs == ["exit p_l_1", "exit p_l", "enter p_l", "enter p_l_1"]
    assert ours[0] == "exit p_r_1"
    assert ours[-1] == "enter p_r_1"


def test_a_transition_deep_into_its_own_state_leaves_all_of_it() -> None:
    states = [
        logged("out"),
        {**logged("a"), "children": [{**logged("a_b"), "children": [logged("a_b_c")], "initial": "c"}], "initial": "b"},
    ]
    both = Both(["in", "out", "a"], ["deep", "a", "a_b_c"], states=states)
    both.send("in")
    theirs, ours = both.send("deep")

    assert theirs == ["exit a_b_c", "enter a_b_c"]
    assert ours == ["exit a_b_c", "exit a_b", "enter a_b", "enter a_b_c"]


def test_what_was_prepared_for_nothing_is_undone() -> None:
    both = Both({"trigger": "go", "source": "out", "dest": "p", "prepare": "note", "conditions": "no"})
    both.model.trigger("go")
    with pytest.raises(EventRejected):
        both.ours.send("go")

    assert both.model.log == ["note"]
    assert both.ours.data.log == []


def test_an_event_of_a_callback_waits_until_the_transition_is_over() -> None:
    both = Both({"trigger": "begin", "source": "out", "dest": None, "after": "chain"}, ["go", "out", "p"])
    theirs, ours = both.send("begin")

    assert theirs[:2] == ["chain begins", "exit out"]
    assert theirs[-1] == "chain ends"
    assert ours[:3] == ["chain begins", "chain ends", "exit out"]


def test_an_event_of_a_callback_that_nothing_takes_is_dropped() -> None:
    both = Both({"trigger": "begin", "source": "out", "dest": "p", "after": "chain"}, ["go", "out", "p"], queued=True)
    with pytest.raises(MachineError):
        both.model.trigger("begin")

    both.ours.send("begin")

    assert both.ours.data.log[-1] == "chain ends"


def test_a_transition_that_fails_has_not_happened() -> None:
    both = Both({"trigger": "go", "source": "out", "dest": "p", "after": "fail"})
    with pytest.raises(ValueError, match="no"):
        both.model.trigger("go")
    with pytest.raises(ActionError):
        both.ours.send("go")

    assert both.model.state == ["p_l_1", "p_r_1"]
    assert both.model.log[-1] == "failing"
    assert both.ours.configuration == ("out",)
    assert both.ours.data.log == []


def test_a_final_state_is_the_end() -> None:
    both = Both(
        ["end", "out", "over"], ["back", "over", "out"], states=[logged("out"), {"name": "over", "final": True}]
    )
    both.send("end")

    both.model.trigger("back")
    assert both.model.state == "out"
    with pytest.raises(UnknownEvent, match="there is no event 'back'"):
        both.ours.send("back")


# ── regions ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_region_is_never_entered_without_the_others() -> None:
    both = Both(["in", "out", "p_l_2"])
    theirs, ours = both.send("in")

    assert theirs == ["exit out", "enter p", "enter p_l", "enter p_l_2"]
    assert both.model.state == "p_l_2"
    assert ours == ["exit out", "enter p", "enter p_l", "enter p_l_2", "enter p_r", "enter p_r_1"]


def test_a_transition_from_one_region_to_another_begins_the_parallel_state_anew() -> None:
    both = Both(IN, ["cross", "p_l", "p_r_2"])
    both.send("in")
    theirs, ours = both.send("cross")

    assert theirs == ["exit p_r_1", "enter p_r_2"]
    assert ours == [
        "exit p_r_1", "exit p_r", "exit p_l_1", "exit p_l", "exit p",
        "enter p", "enter p_l", "enter p_l_1", "enter p_r", "enter p_r_2",
    ]  # fmt: skip


def test_a_state_that_was_left_takes_nothing_any_more() -> None:
    """The library asks the second region, though the first one has left both: the machine ends up inside again."""
    both = Both(IN, ["leave", "p_l_1", "out"], ["leave", "p_r_1", "p_r_2"])
    both.send("in")
    _, ours = both.send("leave")

    assert both.model.state == "p_r_2"
    assert ours[-1] == "enter out"
    assert both.ours.configuration == ("out",)


def test_an_event_is_taken_once_wherever_its_transitions_are_written() -> None:
    """Inside a parallel state, the library takes it once for every region: two steps at once."""
    states = [logged("out"), {**STATES[1], "transitions": [["step", "l_1", "l_2"], ["step", "l_2", "l_1"]]}]
    both = Both(IN, states=states)
    both.send("in")
    theirs, ours = both.send("step")

    assert [line for line in theirs if line.startswith("enter p_l_")] == ["enter p_l_2", "enter p_l_1"]
    assert ours == ["exit p_l_1", "enter p_l_2"]


def test_a_machine_is_finalized_for_every_transition() -> None:
    both = Both(IN, ["step", "p_l_1", "p_l_2"], ["step", "p_r_1", "p_r_2"], finalize_event="note")
    both.send("in")
    theirs, ours = both.send("step")

    assert theirs.count("note") == 1
    assert ours.count("note") == 2


# ── transitions and their callbacks ───────────────────────────────────────────────────────────────────────────────────


def test_where_a_transition_is_written_does_not_change_what_it_leaves() -> None:
    """The library leaves all of the state around, if the transition is written there."""
    inner = {**logged("a_b"), "children": [logged("a_b_c"), logged("a_b_d")], "initial": "c"}
    states = [
        logged("out"),
        {**logged("a"), "children": [inner], "initial": "b", "transitions": [["deep", "b_c", "b_d"]]},
    ]
    both = Both(["in", "out", "a"], states=states)
    both.send("in")
    theirs, ours = both.send("deep")

    assert theirs == ["exit a_b_c", "exit a_b", "enter a_b", "enter a_b_d"]
    assert ours == ["exit a_b_c", "enter a_b_d"]


def test_an_event_is_prepared_once_however_many_states_are_asked() -> None:
    states = [logged("out"), {**logged("a"), "children": [logged("a_b")], "initial": "b"}]
    refused = {"trigger": "go", "source": "a_b", "dest": "out", "conditions": "no"}
    both = Both(["in", "out", "a"], refused, ["go", "a", "out"], states=states, prepare_event="note")
    both.send("in")
    theirs, ours = both.send("go")

    assert theirs.count("note") == 2
    assert ours.count("note") == 1


def test_an_event_that_nothing_takes_is_rejected_and_finalizes_nothing() -> None:
    both = Both({"trigger": "go", "source": "out", "dest": "p", "conditions": "no"}, finalize_event="note")

    assert both.model.trigger("go") is False
    assert both.model.log == ["note"]
    with pytest.raises(EventRejected, match="Guard 'no' says no"):
        both.ours.send("go")
    assert both.ours.data.log == []


class Vague(Model):
    def some(self) -> list[int]:
        return [1]

    def nothing(self) -> None:
        return None


@pytest.mark.parametrize("asked", [{"conditions": "some"}, {"unless": "nothing"}])
def test_what_is_true_in_python_is_a_yes(asked: dict[str, str]) -> None:
    """The library compares by `==` with True and False: a list is no yes to it, and None is no no."""
    edge = {"trigger": "go", "source": "out", "dest": "p", **asked}
    model: Any = Vague()
    HierarchicalMachine(model, states=STATES_UNHEARD, transitions=[edge], initial="out", auto_transitions=False)
    ours = Rehearsal(
        TransitionsConfig(name="Vague", states=STATES_UNHEARD, transitions=[edge], initial="out", model=Vague)
    )

    assert model.trigger("go") is False
    assert ours.send("go").configuration == ("p",)


STATES_UNHEARD = ["out", "p"]


def test_timers_of_the_first_state_begin_with_the_machine_though_nothing_is_entered() -> None:
    """The library begins a timeout when its state is entered, which the first one never is."""

    @add_state_features(Timeout)
    class Timed(HierarchicalMachine):
        pass

    first = {**logged("out"), "timeout": 60, "on_timeout": "note"}
    model: Any = type("Model", (Model,), dict(class_of))()
    machine = Timed(model, states=[first], initial="out", auto_transitions=False)
    ours = Rehearsal(TransitionsConfig("First", [first], initial="out", model=type(model)))
    ours.create()
    ours.advance(timedelta(minutes=1))

    assert machine.get_state("out").runner == {}
    assert model.log == []
    assert ours.data.log == ["note"]


# ── ends ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

ENDING: list[Any] = [
    {"name": "out"},
    {
        "name": "p",
        "parallel": [
            {"name": "l", "children": ["1", {"name": "2", "final": True}], "initial": "1"},
            {"name": "r", "children": ["1", {"name": "2", "final": True}], "initial": "1"},
        ],
    },
]


def test_all_regions_have_to_end_not_only_the_last_one() -> None:
    both = Both(IN, ["end", "p_r_1", "p_r_2"], states=ENDING, on_final="note")
    both.send("in")

    assert both.send("end") == (["note"], [])


def test_a_parallel_state_at_the_top_is_the_end_when_its_regions_are() -> None:
    both = Both(IN, OUT, ["end", "p_l_1", "p_l_2"], ["end", "p_r_1", "p_r_2"], states=ENDING)
    both.send("in")
    both.send("end")

    both.model.trigger("leave")
    assert both.model.state == "out"
    with pytest.raises(Finished):
        both.ours.send("leave")
