"""A configuration or a machine of transitions as a chart: what it may say, what its callbacks get, what is refused."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from transitions import Machine, State
from transitions.extensions import AsyncMachine, HierarchicalMachine, LockedHierarchicalMachine, LockedMachine
from transitions.extensions import states as features
from transitions.extensions.nesting import NestedState
from transitions.extensions.states import Error, Tags, Timeout, Volatile, add_state_features

from durable_fsm import DefinitionError, Retry, TransitionsConfig, activity, chart_from
from durable_fsm.core.chart import Kind
from durable_fsm.core.questions import acceptance_of
from durable_fsm.core.snapshot import Status
from durable_fsm.errors import ActionError, DefinitionWarning, EventRejected, Forbidden, InvalidPayload
from durable_fsm.testing import Rehearsal

pytestmark = pytest.mark.filterwarnings(
    "ignore::durable_fsm.errors.DefinitionWarning"
)  # rules are shown in a few states


class Checkout(BaseModel):
    cents: int


class OrderData(BaseModel):
    cents: int = 0
    receipt: str | None = None
    log: list[str] = []

    def is_cheap(self) -> bool:
        return self.cents < 1_000

    def keep(self, payload: Checkout) -> None:
        self.cents = payload.cents

    def file(self, result: str) -> None:
        self.receipt = result

    def on_enter_paid(self) -> None:
        self.log.append(f"paid, and {self.state}")  # type: ignore[attr-defined]


async def charge(data: OrderData) -> str:
    return f"receipt for {data.cents}"


ORDER = TransitionsConfig(
    name="Order",
    doc="An order.",
    version="3",
    states=["cart", "charging", "on_hold", "paid", {"name": "expired", "final": True}],
    initial="cart",
    transitions=[
        {"trigger": "checkout", "source": "cart", "dest": "charging", "before": "keep"},
        {"trigger": "done_invoke_charging", "source": "charging", "dest": "paid", "before": "file"},
        ["error_invoke_charging", "charging", "on_hold"],
        ["expire", "on_hold", "expired"],
        {"trigger": "discount", "source": "*", "dest": None, "conditions": "is_cheap"},
    ],
    model=OrderData,
    activities={"charging": activity(charge, retry=Retry(attempts=5))},
    timers={"on_hold": {"expire": timedelta(minutes=15)}},
    events={"checkout": Checkout},
)


def config(*, options: dict[str, Any] | None = None, **rest: Any) -> TransitionsConfig:
    """A configuration called Test that begins in A; *options* are the arguments that are the library's own."""
    return TransitionsConfig(**{"name": "Test", "initial": "A", **rest, **(options or {})})


def problems(definition: object) -> list[str]:
    """What is wrong with a definition; nothing, if it is a chart."""
    try:
        chart_from(definition)
    except DefinitionError as refused:
        return [problem.what for problem in refused.problems]
    return []


# ── the whole ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_from_cart_to_paid() -> None:
    order = Rehearsal(ORDER)

    order.send("checkout", {"cents": 500})
    assert order.running == ("charging",)
    order.finish("charging", "receipt-1")

    assert order.configuration == ("paid",)
    assert order.data == OrderData(cents=500, receipt="receipt-1", log=["paid, and paid"])


def test_what_a_configuration_says_is_in_the_chart() -> None:
    chart = chart_from(ORDER)

    assert (chart.name, chart.version, chart.doc) == ("Order", "3", "An order.")
    assert list(chart.states) == ["", "cart", "charging", "on_hold", "paid", "expired"]
    assert chart.public_events == ("checkout", "discount")
    assert chart.activities["charging"].retry == Retry(attempts=5)
    assert chart.states["expired"].kind is Kind.FINAL
    assert chart.transitions[0].key == "cart--checkout--1"


def test_timers_and_outcomes_are_private_and_payloads_typed() -> None:
    order = Rehearsal(ORDER)

    with pytest.raises(InvalidPayload, match="cents"):
        order.send("checkout", {"cents": "many"})
    with pytest.raises(Forbidden):
        order.send("expire")
    order.send("checkout", {"cents": 5_000})
    order.fail("charging")
    with pytest.raises(EventRejected, match="Guard 'is_cheap' says no"):
        order.send("discount")
    order.advance(timedelta(minutes=15))
    assert (order.configuration, order.status) == (("expired",), Status.DONE)


# ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_states_may_be_nested_parallel_and_tagged() -> None:
    nested = config(
        states=[
            {"name": "A", "tags": ["early", "shown"]},
            {"name": "B", "children": ["x", {"name": "y", "children": ["deep"], "initial": "deep"}], "initial": "y"},
            {"name": "C", "parallel": ["left", {"name": "right", "children": ["r1", "r2"], "initial": "r1"}]},
        ],
        transitions=[["b", "A", "B"], ["c", "B", "C"], ["step", "C_right_r1", "C_right_r2"], ["back", "C", "A"]],
    )
    chart = chart_from(nested)
    assert chart.states["A"].tags == {"early", "shown"}
    assert chart.states["C"].kind is Kind.PARALLEL

    machine = Rehearsal(nested)
    assert machine.send("b").configuration == ("B", "B_y", "B_y_deep")
    assert machine.send("c").configuration == ("C", "C_left", "C_right", "C_right_r1")
    assert machine.send("step").configuration == ("C", "C_left", "C_right", "C_right_r2")
    assert machine.send("back").configuration == ("A",)


def test_transitions_may_stand_inside_a_state() -> None:
    inner = {"name": "B", "children": ["x", "y"], "initial": "x", "transitions": [["step", "x", "y"]]}
    machine = Rehearsal(config(states=["A", inner], transitions=[["go", "A", "B_x"]]))

    machine.send("go")

    assert machine.send("step").configuration == ("B", "B_y")


def test_a_state_with_children_and_no_beginning_rests_in_itself() -> None:
    machine = Rehearsal(
        config(states=["A", {"name": "B", "children": ["x"]}], transitions=[["go", "A", "B"], ["in", "B", "B_x"]])
    )

    assert machine.send("go").configuration == ("B", "B_itself")
    assert machine.send("in").configuration == ("B", "B_x")


class Colour(Enum):
    RED = "red"
    GREEN = "green"


def test_states_may_be_an_enumeration() -> None:
    machine = Rehearsal(config(states=Colour, transitions=[["go", Colour.RED, Colour.GREEN]], initial=Colour.RED))

    assert machine.send("go").configuration == ("GREEN",)


def test_a_timeout_is_a_durable_timer_whose_callbacks_may_be_events() -> None:
    machine = Rehearsal(
        config(
            states=["A", {"name": "B", "timeout": 5, "on_timeout": ["note", "back"]}],
            transitions=[["go", "A", "B"], ["back", "B", "A"]],
            model=Noting,
        )
    )
    machine.send("go")
    assert machine.timers == {"timeout_B": timedelta(seconds=5)}

    machine.advance(timedelta(seconds=5))

    assert machine.configuration == ("A",)
    assert machine.data.log == ["exit A", "enter B: True, False", "note"]


# ── transitions ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Noting:
    log: list[str] = field(default_factory=list)
    n: int = 0

    def note(self, **_: Any) -> None:
        self.log.append("note")

    def slot(self, name: str) -> None:
        self.log.append(name)

    def first(self) -> None:
        self.slot("prepare_event")

    def prepare(self) -> None:
        self.slot("prepare")

    def ask(self) -> bool:
        self.slot("ask")
        return True

    def before_all(self) -> None:
        self.slot("before_state_change")

    def before(self) -> None:
        self.slot(f"before in {self.state}")  # type: ignore[attr-defined]

    def on_exit_A(self) -> None:  # noqa: N802 - after the state
        self.slot("exit A")

    def on_enter_B(self) -> None:  # noqa: N802
        self.slot(f"enter B: {self.is_B()}, {self.is_A()}")  # type: ignore[attr-defined]

    def after(self) -> None:
        self.slot("after")

    def after_all(self) -> None:
        self.slot("after_state_change")

    def last(self) -> None:
        self.slot("finalize_event")


def test_callbacks_run_in_the_order_that_the_library_documents() -> None:
    machine = Rehearsal(
        config(
            states=["A", "B"],
            transitions=[
                {
                    "trigger": "go",
                    "source": "A",
                    "dest": "B",
                    "prepare": "prepare",
                    "conditions": "ask",
                    "before": "before",
                    "after": "after",
                }
            ],
            model=Noting,
            options={
                "prepare_event": "first",
                "before_state_change": "before_all",
                "after_state_change": "after_all",
                "finalize_event": "last",
            },
        )
    )
    machine.send("go")

    assert machine.data.log == [
        "prepare_event",
        "prepare",
        "ask",
        "before_state_change",
        "before in A",
        "exit A",
        "enter B: True, False",
        "after",
        "after_state_change",
        "finalize_event",
    ]


def test_the_event_is_prepared_once_and_each_transition_for_itself() -> None:
    machine = Rehearsal(
        config(
            states=["A", "B"],
            transitions=[
                {"trigger": "go", "source": "A", "dest": "B", "prepare": "prepare", "unless": "ask"},
                {"trigger": "go", "source": "A", "dest": "B", "prepare": "prepare"},
            ],
            model=Noting,
            options={"prepare_event": "first"},
        )
    )
    machine.send("go")

    assert machine.data.log[:4] == ["prepare_event", "prepare", "ask", "prepare"]


def test_reflexive_leaves_and_enters_internal_does_not() -> None:
    machine = Rehearsal(
        config(
            states=["A"],
            transitions=[["again", "A", "="], {"trigger": "stay", "source": "A", "dest": None, "after": "note"}],
            model=Noting,
        )
    )
    machine.send("again")
    machine.send("stay")

    assert machine.data.log == ["exit A", "note"]


def test_ordered_transitions_and_names_in_lists() -> None:
    machine = Rehearsal(config(states=["A", "B", "C"], options={"ordered_transitions": True}))

    assert [machine.send("next_state").configuration for _ in range(3)] == [("B",), ("C",), ("A",)]


def test_a_machine_that_ignores_invalid_triggers_does_so_here() -> None:
    machine = Rehearsal(
        config(states=["A", "B"], transitions=[["go", "A", "B"]], options={"ignore_invalid_triggers": True})
    )
    machine.send("go")

    assert machine.send("go").outcome == "ignored"


# ── callbacks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Plain:
    """A class of the author's own, with triggers and functions from elsewhere."""

    limit = 3

    def __init__(self) -> None:
        self.n = 0
        self.ready = True

    @property
    def is_even(self) -> bool:
        return self.n % 2 == 0

    @staticmethod
    def shout(word: str) -> str:
        return word.upper()

    def chain(self, *, by: int = 0) -> None:
        self.n += by
        self.go()  # type: ignore[attr-defined]
        self.trigger("finish", by=2)  # type: ignore[attr-defined]

    def count(self, by: int) -> None:
        self.n += by

    def mix(self) -> None:
        self.go(1, by=2)  # type: ignore[attr-defined]


def outside(model: Plain) -> None:
    model.n += 100


def plain(*transitions: Any, **rest: Any) -> Rehearsal:
    return Rehearsal(config(states=["A", "B", "C"], transitions=list(transitions), model=Plain, **rest))


def test_attributes_properties_and_class_attributes_are_conditions() -> None:
    machine = plain({"trigger": "go", "source": "A", "dest": "B", "conditions": ["ready", "is_even", "limit"]})

    assert machine.send("go").configuration == ("B",)
    assert machine.snapshot.data == {"n": 0, "ready": True}


def test_a_callback_may_trigger_what_comes_next() -> None:
    machine = plain(
        {"trigger": "begin", "source": "A", "dest": None, "after": "chain"},
        ["go", "A", "B"],
        {"trigger": "finish", "source": "B", "dest": "C", "after": "count"},
    )
    machine.send("begin", {"by": 1})

    assert machine.configuration == ("C",)
    assert machine.data.n == 3
    assert [step.event for step in machine.trace] == [None, "begin", "go", "finish"]


def test_arguments_of_a_trigger_are_named_or_a_list() -> None:
    machine = plain({"trigger": "go", "source": "A", "dest": "B", "after": "mix"})

    with pytest.raises(ActionError, match="name them all"):
        machine.send("go")


def test_functions_and_dotted_paths_are_callbacks() -> None:
    machine = plain({"trigger": "go", "source": "A", "dest": "B", "after": [outside, f"{__name__}.outside", "shout"]})
    machine.send("go", {"word": "hello"})

    assert machine.data.n == 200


def test_with_send_event_callbacks_get_one_object() -> None:
    seen: list[Any] = []

    class Model(Plain):
        def look(self, event: Any) -> None:
            seen.append((event.event.name, event.model is self, event.kwargs, event.args, event.error))

    machine = Rehearsal(
        config(
            states=["A", "B"],
            transitions=[
                {"trigger": "go", "source": "A", "dest": None, "after": ["look", lambda event: seen.append(event.args)]}
            ],
            model=Model,
            options={"send_event": True},
        )
    )
    machine.send("go", {"n": 1})
    machine.send("go", [1, 2])

    assert seen == [("go", True, {"n": 1}, (), None), (), ("go", True, {}, (1, 2), None), (1, 2)]


def test_a_configuration_needs_no_model() -> None:
    seen: list[int] = []
    machine = Rehearsal(
        config(
            states=["A", "B"],
            transitions=[
                {
                    "trigger": "go",
                    "source": "A",
                    "dest": "B",
                    "after": lambda data, n: seen.append(n) or data.update(n=n),
                }
            ],
        )
    )
    machine.send("go", {"n": 7})

    assert (seen, machine.snapshot.data) == ([7], {"n": 7})


def test_an_exception_leaves_the_machine_where_it_was() -> None:
    def fail(model: Plain) -> None:
        model.n = 9
        raise ValueError("no")

    machine = plain({"trigger": "go", "source": "A", "dest": "B", "after": fail})
    machine.create()

    with pytest.raises(ActionError, match="fail failed while 'go' was taken: ValueError: no"):
        machine.send("go")
    assert (machine.configuration, machine.data.n) == (("A",), 0)


# ── live machines ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_live_machine_is_read_and_never_driven() -> None:
    model = Plain()
    machine = Machine(model, states=["A", State("B")], initial="A", auto_transitions=False, name="lamp")
    machine.add_transition("go", "A", "B", after="count")

    rehearsed = Rehearsal(machine)
    rehearsed.send("go", {"by": 2})

    assert rehearsed.chart.name == "lamp"
    assert (rehearsed.configuration, rehearsed.data.n) == (("B",), 2)
    assert (model.state, model.n) == ("A", 0)  # type: ignore[attr-defined]


def test_automatic_transitions_are_kept_as_private_events_with_a_warning() -> None:
    machine = HierarchicalMachine(Plain(), states=["A", {"name": "B", "children": ["x"]}], initial="A", name="auto")

    with pytest.warns(DefinitionWarning, match="kept as a private event"):
        chart = chart_from(machine)

    assert chart.public_events == ()
    assert "to_B_x" in chart.events


# ── what is refused ───────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def refused(pattern: str) -> Iterator[None]:
    with pytest.raises(DefinitionError, match=pattern):
        yield


def test_every_problem_is_told_at_once() -> None:
    async def slow(model: Plain) -> None: ...

    found = problems(
        config(
            states=["A", "B"],
            transitions=[
                {"trigger": "go", "source": "A", "dest": "B", "after": ["nobody", slow]},
                ["done_invoke_A", "A", "B"],
            ],
            model=Plain,
            activities={"Z": charge},
            timers={"Y": {"x": timedelta(1)}, "A": {"late": timedelta(1)}},
            events={"gone": Checkout},
            options={"on_exception": "outside"},
        )
    )
    assert [re.sub(r"test_\w+\.<locals>\.", "", problem) for problem in found] == [
        "activity of 'Z', which is no state.",
        "timers x of 'Y', which is no state.",
        "on_exception would carry on after half a transition.",
        "callback 'nobody' is not on Plain.",
        "slow is a coroutine; a guard or action decides at once and does no outside work.",
        "event 'done_invoke_A' waits for activity 'A', and there is none.",
        "event 'gone' has a payload type, and no transition.",
        "timer 'late' has no transition.",
    ]


def test_what_the_library_refuses_is_told_in_its_words() -> None:
    with refused("transitions refuses it: "):
        chart_from(config(states=["A"], transitions=[["go"]]))


def test_names_that_lead_nowhere() -> None:
    nested: dict[str, Any] = {"name": "A", "children": ["x"], "initial": "x"}
    assert problems(config(states=[nested], transitions=[["go", "A", "Z"]])) == [
        "transition 'go' names state 'Z', and there is none."
    ]


def test_coroutine_machines_and_volatile_states_are_refused() -> None:
    @add_state_features(Volatile, Tags, Timeout)
    class Custom(Machine):
        pass

    assert problems(AsyncMachine(Plain(), states=["A"], initial="A", auto_transitions=False, name="x")) == [
        "an AsyncMachine works with coroutines."
    ]
    volatile = Custom(Plain(), states=[{"name": "A", "volatile": dict}], initial="A", auto_transitions=False, name="x")
    assert problems(volatile) == ["state 'A' has a volatile object."]


class Unstorable:
    def __init__(self, wanted: int) -> None: ...


def test_a_model_that_cannot_be_stored_is_refused() -> None:
    (problem,) = problems(config(states=["A"], model=Unstorable))
    assert problem.startswith("Unstorable cannot be stored as JSON: ")


def test_two_activities_of_one_id_are_refused() -> None:
    both = {"A": [activity(charge, id="x"), activity(charge, id="x")]}
    assert problems(config(states=["A"], model=Plain, activities=both)) == ["two activities have the id 'x'."]


def test_a_beginning_in_some_regions_only_is_refused() -> None:
    partly = {"name": "A", "children": ["x", "y", "z"], "initial": ["x", "y"]}
    assert problems(config(states=[partly])) == ["state 'A' begins in some of its children, and not in all."]


# ── more ways to write states ─────────────────────────────────────────────────────────────────────────────────────────


def test_one_configuration_is_one_chart_and_its_lists_stay_as_they_are() -> None:
    states: list[Any] = [{"name": "A"}, {"name": "B", "children": [{"name": "x"}], "initial": "x"}]
    written = config(states=states, transitions=(("go", "A", "B"),))

    assert chart_from(written) is chart_from(written)
    assert states == [{"name": "A"}, {"name": "B", "children": [{"name": "x"}], "initial": "x"}]


def test_state_objects_of_both_kinds_are_states() -> None:
    flat = Rehearsal(config(states=[State("A"), State("on_hold")], transitions=[["go", "A", "on_hold"]]))
    nested = Rehearsal(config(states=[NestedState("A"), "B_x"], transitions=[["go", "A", "B_x"]]))

    assert flat.send("go").configuration == ("on_hold",)
    assert nested.send("go").configuration == ("B", "B_x")


def test_an_enumeration_in_an_enumeration_is_a_nested_state() -> None:
    class Lit(Enum):
        BRIGHT = 1
        DIM = 2

    class Lamp(Enum):
        OFF = 0
        LIT = Lit

    seen: list[object] = []
    lamp = Rehearsal(
        config(
            states=Lamp,
            initial=Lamp.OFF,
            transitions=[
                ["dim", Lamp.OFF, Lit.DIM],
                {"trigger": "look", "source": "LIT", "dest": None, "after": "look"},
            ],
            model=type("Model", (), {"look": lambda self: seen.append(self.state)}),
        )
    )

    assert lamp.send("dim").configuration == ("LIT", "LIT_DIM")
    lamp.send("look")
    assert seen == [Lit.DIM]


def test_with_another_separator_names_may_have_underscores() -> None:
    parcel = Rehearsal(
        config(
            states=["on_shelf", {"name": "on_way", "children": ["by_train", "by_car"], "initial": "by_train"}],
            transitions=[["send_off", "on_shelf", "on_way"], ["unload", "on_way.by_train", "on_way.by_car"]],
            initial="on_shelf",
            separator=".",
        )
    )
    parcel.send("send_off")

    assert parcel.send("unload").configuration == ("on_way", "on_way.by_car")


REGIONS: dict[str, Any] = {
    "name": "P",
    "parallel": [{"name": side, "children": ["1", "2"], "initial": "1"} for side in ("l", "r")],
}


def test_a_machine_may_begin_in_several_regions() -> None:
    machine = Rehearsal(config(states=["A", REGIONS], transitions=[["go", "A", "P"]], initial=["P_l_2", "P_r_1"]))
    machine.create()

    assert machine.configuration == ("P", "P_l", "P_l_2", "P_r", "P_r_1")


def test_the_machine_of_the_library_s_documentation_rests_in_its_parent() -> None:
    machine = Rehearsal(
        config(
            states=["standing", "walking", {"name": "caffeinated", "children": ["dithering", "running"]}],
            transitions=[
                ["walk", "standing", "walking"],
                ["stop", "walking", "standing"],
                ["drink", "*", "caffeinated"],
                ["walk", ["caffeinated", "caffeinated_dithering"], "caffeinated_running"],
                ["relax", "caffeinated", "standing"],
            ],
            initial="standing",
            options={"ignore_invalid_triggers": True},
        )
    )

    assert [machine.send(event).configuration[-1] for event in ("walk", "stop", "drink", "walk", "stop", "relax")] == [
        "walking", "standing", "caffeinated_itself", "caffeinated_running", "caffeinated_running", "standing",
    ]  # fmt: skip


def test_transitions_inside_of_regions_and_around_them_are_taken_together() -> None:
    states = [
        "A",
        "B",
        {
            "name": "C",
            "parallel": [
                {"name": "1", "children": ["a", "b"], "initial": "a", "transitions": [["go", "a", "b"]]},
                {"name": "2", "children": ["x", "z"], "initial": "z"},
            ],
            "transitions": [["go", "2_z", "2_x"]],
        },
    ]
    machine = Rehearsal(config(states=states, transitions=[["c", "A", "C"], ["reset", "C_1_b", "B"]]))
    machine.send("c")

    assert machine.send("go").configuration == ("C", "C_1", "C_1_b", "C_2", "C_2_x")
    assert machine.send("reset").configuration == ("B",)


def counting(**rest: Any) -> Rehearsal:
    """A machine inside of a machine, as in the library's documentation."""
    counter = HierarchicalMachine(
        states=["1", "2", "done"],
        transitions=[["increase", "1", "2"], ["done", "2", "done"], ["reset", "*", "1"]],
        initial="1",
        auto_transitions=False,
    )
    states = ["waiting", {"name": "counting", "children": counter, **rest}]
    return Rehearsal(config(states=states, transitions=[["count", "waiting", "counting"]], initial="waiting"))


def test_a_machine_may_be_the_inside_of_a_state() -> None:
    machine = counting()
    machine.send("count")
    machine.send("increase")

    assert machine.send("done").configuration == ("counting", "counting_done")
    assert machine.send("reset").configuration == ("counting", "counting_1")


def test_a_state_of_a_machine_inside_may_stand_for_one_outside() -> None:
    machine = counting(remap={"done": "waiting"})
    machine.send("count")
    machine.send("increase")

    assert machine.send("done").configuration == ("waiting",)


# ── ends ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── what models know ──────────────────────────────────────────────────────────────────────────────────────────────────


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


def test_events_may_be_kept_to_the_machine_itself() -> None:
    machine = plain({"trigger": "begin", "source": "A", "dest": "B", "after": "go"}, ["go", "B", "C"], private=("go",))

    with pytest.raises(Forbidden):
        machine.send("go")
    assert machine.send("begin").configuration == ("C",)


def test_all_callbacks_of_an_event_share_one_object() -> None:
    seen: list[Any] = []

    def prepare(event: Any) -> None:
        event.kwargs["cents"] = 5

    def look(event: Any) -> None:
        seen.append((event.kwargs, event.state.name, event.transition.source, event.transition.dest, event.result))

    edge = {"trigger": "go", "source": "A", "dest": "B", "prepare": prepare, "before": look, "after": look}
    states = ["A", {"name": "B", "children": ["x"], "initial": "x"}]
    Rehearsal(config(states=states, transitions=[edge], options={"send_event": True, "finalize_event": look})).send(
        "go"
    )

    assert seen == [
        ({"cents": 5}, "A", "A", "B", False),
        ({"cents": 5}, "B_x", "A", "B", False),
        ({"cents": 5}, "B_x", "A", "B", True),
    ]


def test_what_would_be_accepted_is_asked_for_each_event_anew() -> None:
    class Preparing(Plain):
        def prepare(self) -> None:
            self.n += 1

        def is_first(self) -> bool:
            return self.n == 1

    edges = [
        {"trigger": name, "source": "A", "dest": "B", "prepare": "prepare", "conditions": "is_first"} for name in "xyz"
    ]
    machine = Rehearsal(config(states=["A", "B"], transitions=edges, model=Preparing))
    machine.create()

    assert set(acceptance_of(machine.chart, machine.snapshot).values()) == {"yes"}
    assert machine.data.n == 0


def test_what_depends_on_the_payload_is_said_to() -> None:
    def is_large(event: Any) -> bool:
        return bool(event.kwargs["n"] > 3)

    edge = {"trigger": "go", "source": "A", "dest": "B", "conditions": is_large}
    machine = Rehearsal(config(states=["A", "B"], transitions=[edge], options={"send_event": True}))
    machine.create()

    assert acceptance_of(machine.chart, machine.snapshot) == {"go": "depends on payload"}


def test_what_the_model_does_when_a_timeout_is_over_needs_no_name() -> None:
    class Model(Plain):
        def on_timeout_B(self) -> None:  # noqa: N802 - after the state
            self.n += 1

    states = ["A", {"name": "B", "timeout": 1, "on_timeout": []}]
    machine = Rehearsal(config(states=states, transitions=[["go", "A", "B"]], model=Model))
    machine.send("go")

    machine.advance(timedelta(seconds=1))

    assert machine.data.n == 1


# ── more about live machines ──────────────────────────────────────────────────────────────────────────────────────────


class Matter(Machine):
    """Machine and model in one, as the library's documentation has it."""

    def __init__(self, degrees: int) -> None:
        self.degrees = degrees
        super().__init__(states=["solid", "liquid"], initial="solid", auto_transitions=False)
        self.add_transition("melt", "solid", "liquid", conditions=self.is_hot, after="cool")

    def is_hot(self) -> bool:
        return self.degrees > 0

    def cool(self) -> None:
        self.degrees -= 1


def test_a_machine_may_be_its_own_model() -> None:
    matter = Matter(5)
    rehearsed = Rehearsal(matter)

    rehearsed.send("melt")

    assert rehearsed.chart.name == "Matter"
    assert (rehearsed.configuration, rehearsed.snapshot.data) == (("liquid",), {"degrees": 4})
    assert (matter.state, matter.degrees) == ("solid", 5)  # type: ignore[attr-defined]


class Given:
    def __init__(self, n: int) -> None:
        self.n = n

    def count(self) -> None:
        self.n += 1


@pytest.mark.parametrize("cls", [Machine, HierarchicalMachine, LockedMachine, LockedHierarchicalMachine])
def test_a_live_model_is_what_machines_begin_with_and_stays_as_it_is(cls: Any) -> None:
    model = Given(7)
    machine = cls(model, states=["A", "B"], initial="A", auto_transitions=False)
    machine.add_transition("go", "A", "B", after=model.count)

    rehearsed = Rehearsal(machine)
    rehearsed.send("go")

    assert rehearsed.chart.name == "Given"
    assert (rehearsed.snapshot.data, model.n) == ({"n": 8}, 7)


def test_a_live_model_may_be_a_dataclass_with_a_field_of_its_own() -> None:
    machine = Machine(
        Noting(n=3), states=["A", "B"], initial="A", auto_transitions=False, transitions=[["go", "A", "B"]]
    )

    assert Rehearsal(machine).send("go").configuration == ("B",)


def test_a_live_machine_may_have_no_model() -> None:
    machine = Machine(
        model=None, states=["A", "B"], initial="A", transitions=[["go", "A", "B"]], auto_transitions=False
    )

    assert Rehearsal(machine).send("go").configuration == ("B",)


# ── more that is refused, or suspicious ───────────────────────────────────────────────────────────────────────────────


class HasState(BaseModel):
    state: str = ""
    go: int = 0


def test_fields_with_the_names_of_the_library_are_refused() -> None:
    assert problems(config(states=["A"], transitions=[["go", "A", "="]], model=HasState)) == [
        "event 'go' and a field of HasState have one name.",
        "field 'state' of HasState has the name of the library's attribute for the state.",
    ]


def test_states_that_ignore_what_others_reject_are_refused_where_they_are_nested() -> None:
    partly = ["A", {"name": "B", "ignore_invalid_triggers": True, "children": ["C"]}]
    assert problems(config(states=partly)) == ["only some states ignore what they do not take: 'B'."]
    assert problems(config(states=["A", State("B")], options={"ignore_invalid_triggers": True})) == []


def test_retries_that_the_library_counts_are_refused() -> None:
    retry: Any = getattr(features, "Retry")  # noqa: B009 - the library's type stubs do not know it

    @add_state_features(retry)
    class Retrying(Machine):
        pass

    states = ["A", {"name": "B", "retries": 2, "on_failure": "fail"}]
    assert problems(Retrying(states=states, initial="A", auto_transitions=False)) == [
        "state 'B' counts its retries in the library's own objects."
    ]


def test_a_part_of_the_engine_that_was_replaced_is_refused() -> None:
    class Loud(State):
        def enter(self, event_data: Any) -> None: ...

    class Odd(Machine):
        state_cls = Loud

        def callback(self, func: Any, event_data: Any) -> None: ...

    assert problems(Odd(states=["A"], initial="A", auto_transitions=False)) == [
        "Odd has its own callback(), and the library's engine never runs.",
        "Loud has its own enter(), and the library's engine never runs.",
    ]


def test_models_of_several_classes_are_refused() -> None:
    machine = Machine([Plain(), Given(1)], states=["A"], initial="A", auto_transitions=False)

    assert problems(machine) == ["it drives models of several classes: Plain, Given."]


def test_a_live_model_that_cannot_be_stored_is_refused() -> None:
    machine = Machine(Given(object()), states=["A"], initial="A", auto_transitions=False)  # type: ignore[arg-type]

    (problem,) = problems(machine)
    assert problem.startswith("Given cannot be stored as JSON: a object would not come back as it was")


def test_a_clock_in_a_callback_is_seen_with_send_event_too() -> None:
    def late(event: Any) -> bool:
        return time.time() > 0

    edge = {"trigger": "go", "source": "A", "dest": "B", "conditions": late}
    (problem,) = problems(config(states=["A", "B"], transitions=[edge], options={"send_event": True}))
    assert problem.endswith("late reads the clock: time.time.")


def test_beginnings_that_lead_nowhere_or_side_by_side_are_refused() -> None:
    several = config(states=["A", "B"], initial=["A", "B"], transitions=[["go", "A", "B"]])
    elsewhere = config(states=[{"name": "A", "children": ["x"], "initial": "y"}])

    assert problems(several) == ["the machine begins in 'A' and in 'B', which are no regions of a parallel state."]
    assert problems(elsewhere) == ["state 'A' begins in 'A_y', which is none of its children."]


def test_a_child_with_the_name_of_rest_is_refused() -> None:
    assert problems(config(states=[{"name": "A", "children": ["itself"]}])) == [
        "state 'A_itself' has the name of the rest in 'A'."
    ]


def test_timers_activities_payloads_and_private_events_that_cannot_be() -> None:
    class Opaque: ...

    found = problems(
        config(
            states=["A"],
            transitions=[["go", "A", "="]],
            timers={"A": {"go": -timedelta(seconds=1)}},
            activities={"A": "charge"},
            events={"go": Opaque},
            private=("gone",),
        )
    )

    assert [problem.partition(": ")[0] for problem in found] == [
        "activity of 'A' is no function",
        "timer 'go' of 'A' would be over before it starts",
        "the payload of 'go' cannot be stored as JSON",
        "event 'gone' is private, and has no transition.",
    ]


class Lonely:
    def __init_subclass__(cls, *, wanted: int) -> None: ...


def test_a_model_without_subclasses_is_refused() -> None:
    (problem,) = problems(config(states=["A"], model=Lonely))
    assert problem.startswith("Lonely can have no subclass: ")


def test_problems_say_where_the_configuration_is_written() -> None:
    written = TransitionsConfig("Test", ["A"], [["go", "A", "Z"]], "A")
    (line,) = (
        n for n, text in enumerate(Path(__file__).read_text().splitlines(), 1) if 'Config("Test", ["A"]' in text[:60]
    )

    with refused(rf"test_transitions\.py:{line}"):
        chart_from(written)


@pytest.mark.parametrize(
    ("rest", "suspicion"),
    [
        ({"transitions": [["go", "A", "E"]]}, "no transition leads to state 'B'"),
        ({"transitions": [["go", "A", "E"], ["b", "A", "B"]]}, "nothing leaves state 'B', and it is not final"),
        (
            {"transitions": [["b", "A", "B"], ["e", "B", "E"], ["back", "E", "A"]]},
            "state 'E' is final, and the machine is over there: nothing takes 'back' any more",
        ),
    ],
)
def test_what_is_suspicious_is_warned_of(rest: dict[str, Any], suspicion: str) -> None:
    with pytest.warns(DefinitionWarning, match=suspicion):
        chart_from(config(states=["A", "B", {"name": "E", "final": True}], **rest))


def test_a_wildcard_that_would_leave_a_final_state_is_nothing_to_warn_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chart_from(config(states=["A", {"name": "E", "final": True}], transitions=[["e", "*", "E"]]))


def test_events_whose_names_would_mean_more_are_refused() -> None:
    edges = [["pay", "A", "="], ["pay.twice", "A", "="], ["*", "A", "="]]

    assert problems(config(states=["A"], transitions=edges)) == [
        "event 'pay.twice' would be taken for others, too.",
        "event '*' would be taken for others, too.",
    ]


def test_a_machine_that_begins_nowhere_is_refused() -> None:
    machine = Machine(model=None, states=["A"], initial=None, auto_transitions=False)

    assert problems(machine) == ["the machine begins nowhere."]


def test_a_dotted_path_that_leads_nowhere_is_refused() -> None:
    edge = {"trigger": "go", "source": "A", "dest": "=", "after": "durable_fsm.nothing.at_all"}

    assert problems(config(states=["A"], transitions=[edge], model=Plain)) == [
        "callback 'durable_fsm.nothing.at_all' is not on Plain."
    ]


def test_that_events_of_callbacks_wait_cannot_be_switched_off() -> None:
    with pytest.warns(DefinitionWarning, match="queued=False cannot be"):
        chart_from(config(states=["A"], options={"queued": False}))


def test_a_model_asks_its_machine_while_a_step_runs_and_not_later() -> None:
    kept: list[Any] = []

    def keep(model: Any) -> None:
        kept.append(model.go)

    plain({"trigger": "begin", "source": "A", "dest": None, "after": keep}, ["go", "A", "B"]).send("begin")

    with pytest.raises(RuntimeError, match="only exists while a step runs"):
        kept[0]()


def test_a_machine_without_anything_of_its_own_is_a_machine_without_a_model() -> None:
    machine = Machine(
        states=["A", "B"], initial="A", auto_transitions=False, transitions=[["go", "A", "B"]], name="bare"
    )

    assert Rehearsal(machine).send("go").chart == "bare"
