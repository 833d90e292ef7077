"""Fan-outs in a rehearsal: answered item by item, or run with the services they ask for, and joined as on a server."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import ActivityContext, Failure, TerminalError, activity
from durable_fsm.testing import Rehearsal


class Pot(BaseModel):
    beans: list[str] = ["red", "white", "black"]
    result: Any = None


async def cook(ctx: ActivityContext, bean: str, data: Pot, *, stove: list[str]) -> str:
    await ctx.run("cook", stove.append, f"{bean} of {len(data.beans)} as {ctx.stable_id}")
    return f"cooked {bean}"


def kitchen(**declared: Any) -> type[StateChart[Pot]]:
    class Kitchen(StateChart[Pot]):
        cooking = State(initial=True, invoke=activity(cook, each="beans", **declared))
        done = State(final=True)
        failed = State(final=True)
        done_invoke_cooking = cooking.to(done)
        error_invoke_cooking = cooking.to(failed)

        def on_done_invoke_cooking(self, data: Pot, result: Any) -> None:
            data.result = result

        def on_error_invoke_cooking(self, data: Pot, error: Failure) -> None:
            data.result = error.metadata

    return Kitchen


def cook_all_but_red(bean: str) -> str:
    if bean == "red":
        raise TerminalError("poisonous")
    return bean.upper()


@pytest.mark.parametrize(
    ("join", "result"),
    [("all", {"index": 0}), ("any", "WHITE"), ("majority", ["WHITE", "BLACK"]), (3, {"index": 0})],
)
def test_an_answer_receives_one_item_after_the_other_until_they_decide(join: Any, result: object) -> None:
    pot = Rehearsal(kitchen(join=join), answers={"cooking": cook_all_but_red})

    pot.create()

    assert pot.data.result == result


def test_each_item_settles_by_itself() -> None:
    pot = Rehearsal(kitchen(join="settle"), answers={"cooking": cook_all_but_red})

    pot.create()

    assert [one["status"] for one in pot.data.result] == ["failed", "done", "done"]
    assert pot.data.result[0]["error"]["message"] == "poisonous"


def test_items_are_run_with_their_services_and_stable_ids() -> None:
    stove: list[str] = []
    pot = Rehearsal(kitchen(), key="p-1", services={"stove": stove})

    pot.create()

    assert pot.data.result == ["cooked red", "cooked white", "cooked black"]
    ids = [f"Kitchen/p-1/rehearsed/cooking/1/{index}" for index in range(3)]
    assert stove == [f"{bean} of 3 as {id}" for bean, id in zip(("red", "white", "black"), ids, strict=True)]


def test_a_fan_out_may_be_ended_as_a_whole() -> None:
    pot = Rehearsal(kitchen(join="any"))

    pot.create()
    pot.finish("cooking", "soup")

    assert pot.data.result == "soup"
