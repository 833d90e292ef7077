"""A configuration or a machine of transitions as a chart: what it may say, what its callbacks get, what is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel
from transitions import Machine, State
from transitions.extensions import AsyncMachine, HierarchicalMachine
from transitions.extensions.states import Tags, Timeout, Volatile, add_state_features

from durable_fsm import DefinitionError, Retry, TransitionsConfig, activity, chart_from
from durable_fsm.core.model import Kind, Status
from durable_fsm.errors import ActionError, DefinitionWarning, EventRejected, Forbidden, InvalidPayload
from durable_fsm.testing import Rehearsal


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


def config(**rest: Any) -> TransitionsConfig:
    return TransitionsConfig(**{"name": "Test", "initial": "A", **rest})


def problems(definition: object) -> list[str]:
    with pytest.raises(DefinitionError) as refused:
        chart_from(definition)
    return [problem.what for problem in refused.value.problems]


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
