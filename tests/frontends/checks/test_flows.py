"""Charts that are to be flows, in both libraries."""

from __future__ import annotations

from typing import Any

import pytest
from statemachine import State, StateChart

from durable_fsm import TransitionsConfig, activity, chart_from, durable, event, machine
from durable_fsm.errors import DefinitionError


async def work(data: Any) -> None: ...


@durable(flow=True, work=[activity(work, id="mail")])
class Waiting(StateChart):
    working = State(initial=True, invoke=activity(work))
    asking = State()
    over = State(final=True)

    done_invoke_working = working.to(asking)
    error_invoke_working = working.to(over)
    answer = event(asking.to(over))


CONFIGURED = TransitionsConfig(
    "Waiting",
    states=["working", "asking", {"name": "over", "final": True}],
    transitions=[
        ["done_invoke_working", "working", "asking"],
        ["error_invoke_working", "working", "over"],
        ["answer", "asking", "over"],
    ],
    initial="working",
    activities={"working": activity(work)},
    work=(activity(work, id="mail"),),
    flow=True,
)


@pytest.mark.parametrize("definition", [Waiting, CONFIGURED], ids=["python-statemachine", "transitions"])
def test_a_flow_that_needs_somebody_outside_is_refused(definition: Any) -> None:
    with pytest.raises(DefinitionError) as caught:
        chart_from(definition)

    waits, starts = [str(problem) for problem in caught.value.problems]
    assert waits.startswith(
        "a flow would wait in state 'asking' for ever: only an event from outside leaves it."
        " Give it an activity, a timer or a transition without event; or run it as a workflow."
    )
    assert "a flow cannot start work 'mail' that no state waits for." in starts


def test_a_chart_that_goes_on_by_itself_is_a_flow_and_may_be_a_workflow_too() -> None:
    @durable(flow=True, workflow=True)
    class Going(StateChart):
        working = State(initial=True, invoke=activity(work))
        over = State(final=True)
        done_invoke_working = working.to(over)
        error_invoke_working = working.to(over)

    assert (chart_from(Going).hosting.flow, chart_from(Going).hosting.workflow) == (True, True)


def test_a_flow_that_runs_a_machine_is_refused() -> None:
    class Child(StateChart):
        working = State(initial=True, invoke=activity(work))
        over = State(final=True)
        done_invoke_working = working.to(over)
        error_invoke_working = working.to(over)

    @durable(flow=True)
    class Parent(StateChart):
        running = State(initial=True, invoke=machine(Child))
        over = State(final=True)
        done_invoke_running = running.to(over)
        error_invoke_running = running.to(over)

    with pytest.raises(DefinitionError) as caught:
        chart_from(Parent)

    (problem,) = map(str, caught.value.problems)
    assert problem.startswith("a flow cannot run machine 'Child': it has no key to which the child could answer.")
