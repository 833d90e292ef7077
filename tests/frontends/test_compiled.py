"""Charts that a function compiles, one for each machine."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from pydantic import BaseModel, Field
from statemachine import State, StateChart

from durable_fsm import (
    DefinitionError,
    TransitionsConfig,
    activity,
    app,
    chart_from,
    compiled,
    cron,
    machine,
    migration,
)
from durable_fsm.core.upgrade import upgrade
from durable_fsm.diagram import graph_of
from durable_fsm.errors import ActionError, InvalidPayload, VersionError
from durable_fsm.frontends import compiled as module
from durable_fsm.frontends.contents import charts_of
from durable_fsm.restate.app import part_of, services
from durable_fsm.testing import Rehearsal


class Degrees(BaseModel):
    by: int = 0


class Turning(StateChart[Degrees]):
    turning = State(initial=True)
    turned = State(final=True)
    done = turning.to(turned)

    def on_enter_turned(self, data: Degrees) -> str:
        return f"turned by {data.by}"


class Other(StateChart):
    begun = State(initial=True)
    ended = State(final=True)
    end = begun.to(ended)


class Turns(BaseModel):
    steps: list[int] = Field(min_length=1, default=[90])
    said: list[str] = []

    def note(self, result: str) -> None:
        self.said.append(result)

    def spoil(self) -> None:
        self.steps.append(1)


def sequence(steps: list[int], **changed: Any) -> TransitionsConfig:
    """A state for each turn, in order; 13 is refused, and 0 is a mistake of this function's."""
    if 13 in steps:
        raise ValueError("13 is unlucky")
    names = [f"turn_{place}" for place, by in enumerate(steps) if 360 / by]
    parts: dict[str, Any] = {
        "states": [*names, {"name": "finished", "final": True}, {"name": "failed", "final": True}],
        "transitions": [
            *(
                {"trigger": f"done_invoke_{here}", "source": here, "dest": there, "before": "note"}
                for here, there in pairwise([*names, "finished"])
            ),
            ["error_execution", "*", "failed"],
            {"trigger": "begin_again", "source": names[0], "dest": "=", "after": "spoil"},
        ],
        "initial": names[0],
        "machines": {
            name: machine(Turning, input=lambda data, by=by: {"by": by}) for name, by in zip(names, steps, strict=True)
        },
        "model": Turns,
    }
    return TransitionsConfig("Turns", **{**parts, **changed})


@compiled("steps", example=[90], machines=[Turning])
def turns(steps: list[int]) -> TransitionsConfig:
    return sequence(steps)


def test_each_machine_runs_the_chart_of_its_own_data() -> None:
    quarter, two = Rehearsal(turns, key="quarter"), Rehearsal(turns, key="two")
    quarter.create({"steps": [90]})
    two.create({"steps": [45, 180]})

    quarter.machines["turn_0"].send("done")
    two.machines["turn_0"].send("done")
    assert (quarter.configuration, two.configuration) == (("finished",), ("turn_1",))
    two.machines["turn_1"].send("done")

    assert (quarter.data.said, two.data.said) == (["turned by 90"], ["turned by 45", "turned by 180"])
    assert sorted(two.chart.states) == ["", "failed", "finished", "turn_0", "turn_1"]


def test_a_machine_whose_data_have_defaults_begins_with_its_first_event() -> None:
    begun = Rehearsal(turns)

    with pytest.raises(ActionError, match="changed 'steps', from which the chart of this machine was compiled"):
        begun.send("begin_again")


def test_charts_of_one_shape_are_still_different_charts() -> None:
    half = Rehearsal(turns)
    half.create({"steps": [180]})
    [stored] = [half.snapshot]
    assert stored.digest == chart_from(turns).digest

    found = upgrade(chart_from(turns), stored)
    half.machines["turn_0"].send("done")

    assert found.chart is half.chart is not chart_from(turns)
    assert half.data.said == ["turned by 180"]


def test_a_stored_machine_goes_on_with_the_chart_of_its_data() -> None:
    before = Rehearsal(turns)
    before.create({"steps": [45, 180]})
    before.machines["turn_0"].send("done")

    after = Rehearsal(turns, snapshot=before.stored)

    assert after.configuration == ("turn_1",)
    assert sorted(after.chart.states) == ["", "failed", "finished", "turn_0", "turn_1"]


def test_a_stored_machine_whose_chart_is_not_compiled_any_more_stays_as_it_is() -> None:
    before = Rehearsal(turns)
    before.create({"steps": [45]})

    assert before.stored is not None
    with pytest.raises(VersionError, match=r"Its chart cannot be compiled any more: .*13 is unlucky at \$\.steps"):
        Rehearsal(turns, snapshot=before.stored.replace("45", "13"))


def test_data_without_a_chart_are_refused() -> None:
    with pytest.raises(InvalidPayload, match=r"13 is unlucky at \$\.steps"):
        Rehearsal(turns).create({"steps": [13]})
    with pytest.raises(InvalidPayload, match=r"at least 1 item .* at \$\.steps"):
        Rehearsal(turns).create({"steps": []})


def test_a_mistake_of_the_function_is_the_author_s() -> None:
    with pytest.raises(
        ActionError,
        match=r"turns failed while processing 'create': ZeroDivisionError: .* a ValueError there refuses the data",
    ):
        Rehearsal(turns).create({"steps": [0]})


def test_the_example_is_what_is_drawn_and_to_call_the_definition_is_to_call_the_function() -> None:
    assert [node.id for node in graph_of(chart_from(turns)).nodes] == ["turn_0", "finished", "failed"]
    assert turns([45, 180]).states[:2] == ["turn_0", "turn_1"]
    assert turns.name == "Turns"


def test_the_machines_that_the_charts_may_run_are_served() -> None:
    assert {service.name for service in services(turns)} >= {"Turns", "Turning"}


def test_the_charts_of_a_function_are_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    asked: list[list[int]] = []

    @compiled("steps", example=[90], machines=[Turning])
    def counted(steps: list[int]) -> TransitionsConfig:
        asked.append(steps)
        return sequence(steps)

    compiler = chart_from(counted).compiler
    assert compiler is not None
    asked.clear()
    for by in (1, 1, 2, 1, 3, 1):
        compiler.compile(Turns(steps=[by]))

    assert asked == [[1], [2], [3], [1]]


def test_data_may_be_a_plain_object() -> None:
    class Plain:
        def __init__(self) -> None:
            self.steps = [90]

    @compiled("steps", example=[90])
    def plain(steps: list[int]) -> TransitionsConfig:
        names = [f"turn_{place}" for place, _ in enumerate(steps)]
        return TransitionsConfig("Plain", names, [["rest", "*", names[-1]]], initial=names[0], model=Plain)

    begun = Rehearsal(plain)
    begun.create({"steps": [1, 2, 3]})

    begun.send("rest")

    assert begun.configuration == ("turn_2",)


async def work() -> None: ...


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"version": "2"}, "it has another version than"),
        ({"model": Degrees}, "it has another type of data than"),
        ({"after_end": None, "create_first": True}, "it has another value of 'create_first' than"),
        ({"activities": {"turn_0": activity(work)}, "machines": {}}, "activities 'turn_0' would need a service"),
        ({"machines": {"turn_0": Other}}, "it runs 'Other'. Name in machines="),
        ({"ignores": {"*": ["ping"]}}, "events 'ping' would need handlers"),
        ({"timers": {"turn_0": {"begin_again": cron("0 9 * * *")}}}, "it follows a calendar"),
    ],
    ids=["version", "data", "option", "activity", "machine", "event", "calendar"],
)
def test_what_has_to_be_known_beforehand_is_that_of_the_example(changed: dict[str, Any], problem: str) -> None:
    @compiled("steps", example=[90], machines=[Turning])
    def differing(steps: list[int]) -> TransitionsConfig:
        unread = {"transitions": []} if "model" in changed else {}
        return sequence(steps, **({} if steps == [90] else {**unread, **changed}))

    with pytest.raises(DefinitionError) as refused:
        Rehearsal(differing).create({"steps": [45]})

    assert problem in str(refused.value)
    assert __file__ in str(refused.value)


def test_another_name_than_that_of_the_example_is_refused() -> None:
    @compiled("steps", example=[90], machines=[Turning])
    def named(steps: list[int]) -> TransitionsConfig:
        config = sequence(steps)
        return config if steps == [90] else TransitionsConfig("Other", ["turn_0"], initial="turn_0", model=Turns)

    with pytest.raises(DefinitionError, match="another name than"):
        Rehearsal(named).create({"steps": [45]})


@pytest.mark.parametrize(
    ("field", "options", "problem"),
    [
        ("step", {}, "@compiled names 'step', which is not a stored field of the data. Name one of 'said', 'steps'."),
        ("steps", {"version": "2", "versions": [Other]}, "versions= of charts that are compiled"),
        ("steps", {"version": "2", "migrations": [migration("1", to="2")]}, "migrations= of charts that are compiled"),
    ],
    ids=["field", "versions", "migrations"],
)
def test_a_wrong_example_is_refused_at_once(field: str, options: dict[str, Any], problem: str) -> None:
    make: Callable[..., Any] = compiled(field, example=[90], machines=[Turning])

    with pytest.raises(DefinitionError) as refused:
        chart_from(make(lambda steps: sequence(steps, **options)))

    assert problem in str(refused.value)


def test_another_application_may_serve_the_machines_that_the_charts_run() -> None:
    apart = app(turns, elsewhere=[Turning])

    here = {service.name for service in services(turns, elsewhere=[Turning])}
    runners = {chart.name for chart in charts_of(apart)}

    assert ("Turns" in here, "Turning" in here, runners) == (True, False, {"Turns"})
    assert part_of(apart, "machines")
    with pytest.raises(ValueError, match="elsewhere= names 'Other', which no chart of this application runs"):
        app(turns, elsewhere=[Other])
