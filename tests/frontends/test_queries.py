"""Queries: handlers that answer from a machine's data, in both libraries."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import DefinitionError, TransitionsConfig, chart_from, durable, event
from durable_fsm.errors import ActionError, SnapshotUnreadable
from durable_fsm.restate.app import services
from durable_fsm.restate.http.openapi import openapi
from durable_fsm.testing import Rehearsal


class Walk(BaseModel):
    steps: int = 0


def far(data: Walk | None) -> dict[str, int]:
    """How far it is."""
    return {"steps": 0 if data is None else data.steps}


def broken(data: Walk | None) -> float:
    return 1 / (0 if data is None else data.steps)


@durable(queries={"howFar": far, "share": broken}, workflow=True)
class Walker(StateChart[Walk]):
    standing = State(initial=True)
    step = event(standing.to.itself(internal=True))

    def on_step(self, data: Walk) -> None:
        data.steps += 1


Runner = TransitionsConfig(
    "Runner", ["still"], [["step", "still", "="]], initial="still", model=Walk, queries={"howFar": far}
)


def test_a_query_answers_from_the_data_also_before_there_is_a_machine() -> None:
    walker = Rehearsal(Walker)

    before = walker.ask("howFar")
    walker.send("step")

    assert (before, walker.ask("howFar")) == ({"steps": 0}, {"steps": 1})
    assert Rehearsal(Runner).ask("howFar") == {"steps": 0}


def test_a_query_that_fails_is_the_author_s_mistake() -> None:
    with pytest.raises(
        ActionError, match=r"broken failed while processing 'share': ZeroDivisionError: division by zero"
    ):
        Rehearsal(Walker).ask("share")


def test_data_that_do_not_fit_their_type_are_told() -> None:
    walker = Rehearsal(Walker)
    walker.send("step")
    assert walker.stored is not None

    with pytest.raises(SnapshotUnreadable, match=r"its data does not fit Walk: .* at \$\.steps"):
        Rehearsal(Walker, snapshot=walker.stored.replace('"steps":1', '"steps":"far"')).ask("howFar")


def test_a_query_is_a_handler_of_the_machine_and_of_its_workflow() -> None:
    handlers = {service.name: service.handlers for service in services(Walker)}

    assert {"howFar", "share"} <= handlers["Walker"].keys() & handlers["Walker.workflow"].keys()
    assert handlers["Walker"]["howFar"].kind == "shared"
    described = openapi(chart_from(Walker))["paths"]["/Walker/{key}/howFar"]["post"]
    assert described["description"] == "How far it is."


async def later(data: Walk | None) -> int:
    return 0


@pytest.mark.parametrize(
    ("queries", "problem"),
    [
        ({"snapshot": far}, "queries= names 'snapshot', which is a handler already. Give the query another name."),
        ({"step": far}, "queries= names 'step', which is a handler already."),
        ({"how-far": far}, "queries= names 'how-far', which is not a name that Restate accepts."),
        ({"howFar": later}, "query 'howFar' is a coroutine function. A query only reads the data"),
    ],
    ids=["built-in", "event", "name", "coroutine"],
)
def test_a_query_that_cannot_be_is_refused(queries: dict[str, Any], problem: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        chart_from(TransitionsConfig("W", ["a"], [["step", "a", "="]], initial="a", model=Walk, queries=queries))

    assert problem in str(refused.value)
