"""What a configuration or a machine may not say, and what it is warned of."""

from __future__ import annotations

import re
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from transitions import Machine, State
from transitions.extensions import AsyncMachine
from transitions.extensions import states as features
from transitions.extensions.states import Tags, Timeout, Volatile, add_state_features

from durable_fsm import DefinitionError, TransitionsConfig, activity, chart_from
from durable_fsm.errors import DefinitionWarning
from tests.frontends.transitions.definitions import Checkout, Given, Plain, charge, config

pytestmark = pytest.mark.filterwarnings(
    "ignore::durable_fsm.errors.DefinitionWarning"
)  # rules are shown in a few states


def problems(definition: object) -> list[str]:
    """What is wrong with a definition; nothing, if it is a chart."""
    try:
        chart_from(definition)
    except DefinitionError as refused:
        return [problem.what for problem in refused.problems]
    return []


@contextmanager
def refused(pattern: str) -> Iterator[None]:
    with pytest.raises(DefinitionError, match=pattern):
        yield


def test_every_problem_is_reported_at_once() -> None:
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
        "activity of 'Z', which is not a state.",
        "timers x of 'Y', which is not a state.",
        "on_exception would carry on after half a transition.",
        "callback 'nobody' is not on Plain.",
        "slow is a coroutine; a guard or action decides at once and does no outside work.",
        "event 'done_invoke_A' waits for activity 'A', and there is none.",
        "event 'gone' has a payload type, and no transition.",
        "timer 'late' has no transition.",
    ]


def test_a_refusal_by_the_library_is_reported_in_its_own_words() -> None:
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
    assert problem == "Unstorable() fails: Unstorable.__init__() missing 1 required positional argument: 'wanted'."


def test_each_attribute_of_a_model_that_cannot_be_stored_is_named() -> None:
    class Busy:
        def __init__(self) -> None:
            self.lock, self.lines, self.count = threading.Lock(), (line for line in "ab"), 0

    lock, lines = problems(config(states=["A"], model=Busy))
    assert lock.startswith("attribute 'lock' cannot be stored as JSON: a lock would not come back as it was")
    assert lines.startswith("attribute 'lines' cannot be stored as JSON: a generator would not come back")
    assert problems(config(states=["A"], model=range))[0].startswith("range")


def test_two_activities_of_one_id_are_refused() -> None:
    both = {"A": [activity(charge, id="x"), activity(charge, id="x")]}
    assert problems(config(states=["A"], model=Plain, activities=both)) == ["two activities have the id 'x'."]


def test_a_beginning_in_some_regions_only_is_refused() -> None:
    partly = {"name": "A", "children": ["x", "y", "z"], "initial": ["x", "y"]}
    assert problems(config(states=[partly])) == ["state 'A' begins in some of its children, and not in all."]


class HasState(BaseModel):
    state: str = ""
    go: int = 0


def test_fields_with_the_names_of_the_library_are_refused() -> None:
    assert problems(config(states=["A"], transitions=[["go", "A", "="]], model=HasState)) == [
        "event 'go' and a field of HasState have the same name.",
        "field 'state' of HasState has the name of the library's attribute for the state.",
    ]


def test_states_that_ignore_what_others_reject_are_refused_where_they_are_nested() -> None:
    partly = ["A", {"name": "B", "ignore_invalid_triggers": True, "children": ["C"]}]
    assert problems(config(states=partly)) == ["only some states ignore events that they do not accept: 'B'."]
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
    assert problem.startswith("attribute 'n' cannot be stored as JSON: a object would not come back as it was")


def test_a_clock_in_a_callback_is_seen_with_send_event_too() -> None:
    def late(event: Any) -> bool:
        return time.time() > 0

    edge = {"trigger": "go", "source": "A", "dest": "B", "conditions": late}
    (problem,) = problems(config(states=["A", "B"], transitions=[edge], options={"send_event": True}))
    assert problem.endswith("late reads the clock: time.time.")


def test_beginnings_that_lead_nowhere_or_side_by_side_are_refused() -> None:
    several = config(states=["A", "B"], initial=["A", "B"], transitions=[["go", "A", "B"]])
    elsewhere = config(states=[{"name": "A", "children": ["x"], "initial": "y"}])

    assert problems(several) == ["the machine begins in 'A' and in 'B', which are not regions of one parallel state."]
    assert problems(elsewhere) == ["state 'A' begins in 'A_y', which is not one of its children."]


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
        "activity of 'A' is not a function",
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

    with refused(rf"test_refusals\.py:{line}"):
        chart_from(written)


@pytest.mark.parametrize(
    ("rest", "suspicion"),
    [
        ({"transitions": [["go", "A", "E"]]}, "no transition leads to state 'B'"),
        ({"transitions": [["go", "A", "E"], ["b", "A", "B"]]}, "nothing leaves state 'B', and it is not final"),
        (
            {"transitions": [["b", "A", "B"], ["e", "B", "E"], ["back", "E", "A"]]},
            "state 'E' is final, and the machine ends there: it no longer accepts 'back'",
        ),
    ],
)
def test_a_suspicious_definition_causes_a_warning(rest: dict[str, Any], suspicion: str) -> None:
    with pytest.warns(DefinitionWarning, match=suspicion):
        chart_from(config(states=["A", "B", {"name": "E", "final": True}], **rest))


def test_a_wildcard_that_would_leave_a_final_state_is_nothing_to_warn_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chart_from(config(states=["A", {"name": "E", "final": True}], transitions=[["e", "*", "E"]]))


def test_events_whose_names_would_mean_more_are_refused() -> None:
    edges = [["pay", "A", "="], ["pay.twice", "A", "="], ["*", "A", "="]]

    assert problems(config(states=["A"], transitions=edges)) == [
        "event 'pay.twice' has a dot or a star in its name and would match other events.",
        "event '*' has a dot or a star in its name and would match other events.",
    ]


def test_a_machine_that_begins_nowhere_is_refused() -> None:
    machine = Machine(model=None, states=["A"], initial=None, auto_transitions=False)

    assert problems(machine) == ["the machine has no initial state."]


def test_a_dotted_path_that_leads_nowhere_is_refused() -> None:
    edge = {"trigger": "go", "source": "A", "dest": "=", "after": "durable_fsm.nothing.at_all"}

    assert problems(config(states=["A"], transitions=[edge], model=Plain)) == [
        "callback 'durable_fsm.nothing.at_all' is not on Plain."
    ]


def test_that_events_of_callbacks_wait_cannot_be_switched_off() -> None:
    with pytest.warns(DefinitionWarning, match="queued=False is not possible"):
        chart_from(config(states=["A"], options={"queued": False}))
