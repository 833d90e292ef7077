"""`activity(..., limit=, each=, at_once=, join=)` and `work=`: how both front-ends read them, and what they refuse."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Chart, DefinitionError, TransitionsConfig, activity, chart_from, durable

pytestmark = pytest.mark.filterwarnings("ignore:.*the failure of activity:durable_fsm.errors.DefinitionWarning")

Read = Callable[..., Chart]


class Basket(BaseModel):
    lines: list[int] = []
    owner: str = ""


async def pack(item: object) -> object:
    return item


async def mail(letter: object) -> None: ...


def odd(data: Basket) -> list[int]:
    return [line for line in data.lines if line % 2]


async def asked(data: Basket) -> list[int]:
    return data.lines


def timed(data: Basket) -> list[float]:
    return [time.time()]


def diced(data: Basket) -> list[int]:
    return [random.randrange(6)]


def statemachine(declared: Any = pack, work: Any = (), data: Any = Basket) -> Chart:
    class Shop(StateChart[data]):  # type: ignore[valid-type]
        packing = State(initial=True, invoke=declared)
        over = State(final=True)
        done_invoke_packing = packing.to(over)

    return chart_from(durable(work=work)(Shop))


def transitions(declared: Any = pack, work: Any = (), data: Any = Basket) -> Chart:
    return chart_from(
        TransitionsConfig(
            name="Shop",
            states=["packing", {"name": "over", "final": True}],
            initial="packing",
            transitions=[["done_invoke_packing", "packing", "over"]],
            model=data,
            activities={"packing": declared},
            work=tuple(work),
        )
    )


both = pytest.mark.parametrize("read", [statemachine, transitions])


def problem_of(read: Read, *declared: object, **options: object) -> str:
    with pytest.raises(DefinitionError) as refused:
        read(*declared, **options)
    [problem] = refused.value.problems
    return f"{problem.what} {problem.remedy}"


# ── one for each of many ──────────────────────────────────────────────────────────────────────────────────────────────


@both
def test_an_activity_is_one_run_without_a_limit_unless_it_says_more(read: Read) -> None:
    packing = read(activity(pack)).activities["packing"]

    assert (packing.each, packing.limit) == (None, None)


@both
def test_the_chart_knows_how_many_at_once(read: Read) -> None:
    packing = read(activity(pack, limit=3, each="lines", at_once=7, join=2)).activities["packing"]

    assert packing.limit == 3
    assert packing.each is not None
    assert (packing.each.name, packing.each.at_once, packing.each.join) == ("lines", 7, 2)


@both
@pytest.mark.parametrize(
    ("declared", "name", "received", "items"),
    [
        ({"each": "lines"}, "lines", Basket(lines=[1, 2]), [1, 2]),
        ({"each": odd}, "odd", Basket(lines=[1, 2, 3]), [1, 3]),
        ({"each": "lines", "input": ("lines", "owner")}, "lines", {"lines": [4], "owner": "Ada"}, [4]),
        ({"each": "anything", "input": "owner"}, "anything", {"anything": [5]}, [5]),
        ({"each": "anything", "input": lambda data: data}, "anything", {"anything": [6]}, [6]),
    ],
    ids=["field", "function", "several fields", "field of a field", "field of what a function makes"],
)
def test_items_are_found_in_what_the_activity_receives(
    read: Read, declared: dict[str, Any], name: str, received: object, items: object
) -> None:
    each = read(activity(pack, **declared)).activities["packing"].each

    assert each is not None
    assert (each.name, each.items(received)) == (name, items)


@both
@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        (
            {"each": "lime"},
            "activity 'packing' takes its items from 'lime', which is not a field of its input. It has: lines, owner.",
        ),
        (
            {"each": "lines", "input": ("owner",)},
            "activity 'packing' takes its items from 'lines', which is not a field of its input. It has: owner.",
        ),
        (
            {"each": asked},
            (
                "activity 'packing' computes its items in a coroutine; they must be computed at once, in the step."
                " Make it a plain function of the data."
            ),
        ),
        (
            {"each": timed},
            (
                "activity 'packing' reads the clock to find its items: time.time."
                " Declare clock=True and read event.at, or use a timer: after(...)."
            ),
        ),
        (
            {"each": diced},
            (
                "activity 'packing' draws random numbers to find its items: random.randrange."
                " Use ids.random or ids.uuid(), which are the same whenever the step is run again."
            ),
        ),
    ],
    ids=["no field", "no field of the input", "coroutine", "clock", "randomness"],
)
def test_an_each_that_cannot_find_items_is_refused(read: Read, declared: dict[str, Any], problem: str) -> None:
    assert problem_of(read, activity(pack, **declared)) == problem


@both
def test_data_that_does_not_say_its_fields_may_have_any(read: Read) -> None:
    each = read(activity(pack, each="lime"), data=dict).activities["packing"].each

    assert each is not None
    assert each.items({"lime": [1]}) == [1]


@pytest.mark.parametrize("name", ["limit", "at_once"])
@pytest.mark.parametrize("most", [0, -1])
def test_a_number_that_would_let_nothing_run_is_refused(name: str, most: int) -> None:
    with pytest.raises(ValueError, match=f"^{name}={most} would let nothing run; use 1 or more$"):
        activity(pack, **{name: most})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"join": "any"}, "join='any' needs each="),
        ({"join": 2}, "join=2 needs each="),
        ({"each": "lines", "join": 0}, "join=0 would be done before any item; use 1 or more"),
    ],
)
def test_a_join_without_items_is_refused(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        activity(pack, **declared)


def test_an_unknown_join_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        TypeError, match="join must be 'all' or 'any' or 'majority' or 'settle' or an int, and is 'first'"
    ):
        activity(pack, each="lines", join="first")  # type: ignore[arg-type]


# ── detached ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@both
def test_work_that_no_state_waits_for_has_no_deadline_unless_it_says_so(read: Read) -> None:
    chart = read(work=[mail, activity(pack, id="wrap", deadline=timedelta(hours=1))])

    assert [one.id for one in chart.work] == ["mail", "wrap"]
    assert [chart.activities[id].deadline for id in ("mail", "wrap")] == [None, timedelta(hours=1)]


@both
@pytest.mark.parametrize(
    ("work", "problem"),
    [
        (7, "work=7 is not a function. Write activity(f)."),
        (activity(mail, id="packing"), "two activities have the id 'packing'. Give one of them activity(..., id=...)."),
        (
            activity(lambda letter: letter),
            "work '<lambda>' cannot be started by this name. Give it activity(..., id=...).",
        ),
        (
            activity(mail, input="owner"),
            "work 'mail' has an input, but it receives the payload that it is started with. Pass it: effects.start(id, payload).",
        ),
        (
            activity(mail, exclusive=True),
            (
                "work 'mail' is exclusive, and no state waits for it."
                " Leave exclusive=True out, or make it the activity of a state."
            ),
        ),
        (
            activity(mail, each=asked),
            (
                "activity 'mail' computes its items in a coroutine; they must be computed at once, in the step."
                " Make it a plain function of the data."
            ),
        ),
    ],
    ids=["number", "id taken", "no name", "input", "exclusive", "coroutine"],
)
def test_work_that_cannot_be_started_is_refused(read: Read, work: object, problem: str) -> None:
    assert problem_of(read, work=[work]) == problem
