"""Callbacks of transitions: their order, and what they are given."""

from __future__ import annotations

from typing import Any

import pytest

from durable_fsm.core.questions import acceptance_of
from durable_fsm.errors import ActionError
from durable_fsm.testing import Rehearsal
from tests.frontends.transitions.definitions import Noting, Plain, config, plain

pytestmark = pytest.mark.filterwarnings(
    "ignore::durable_fsm.errors.DefinitionWarning"
)  # rules are shown in a few states


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


def outside(model: Plain) -> None:
    model.n += 100


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

    with pytest.raises(ActionError, match="fail failed while processing 'go': ValueError: no"):
        machine.send("go")
    assert (machine.configuration, machine.data.n) == (("A",), 0)


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


def test_accepted_events_are_computed_again_after_each_event() -> None:
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


def test_an_acceptance_that_depends_on_the_payload_says_so() -> None:
    def is_large(event: Any) -> bool:
        return bool(event.kwargs["n"] > 3)

    edge = {"trigger": "go", "source": "A", "dest": "B", "conditions": is_large}
    machine = Rehearsal(config(states=["A", "B"], transitions=[edge], options={"send_event": True}))
    machine.create()

    assert acceptance_of(machine.chart, machine.snapshot) == {"go": "depends on payload"}
