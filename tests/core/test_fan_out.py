"""Items of a fan-out: found when the activity begins, and carried by its order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from durable_fsm.core.chart import Activity, Each, Join
from durable_fsm.core.effects import Send, StartActivity
from durable_fsm.core.events import Failure
from durable_fsm.core.fan_out import MOST_CHARACTERS, MOST_ITEMS, Joining, excess, items_in, settled
from durable_fsm.core.snapshot import Running, Status
from durable_fsm.core.values import Json
from durable_fsm.errors import ActionError
from tests.building import Driven, action, chart, edge

HALL = """
    idle
    serving
    tired
    over final
"""


def work() -> None: ...


def hall(find: Callable[[Any], object], *edges: Any, join: Join = "all", **rest: Any) -> Driven:
    serve = Activity("serve", "work", work, deadline=None, each=Each("guests", find, join=join))
    begin = edge("idle", "open", "serving")
    return Driven(chart(HALL, begin, *edges, activities={"serving": [serve]}, **rest))


def test_items_are_found_in_the_data_as_it_is_when_the_state_has_been_entered() -> None:
    arrive = action(lambda scope: scope.data["log"].append("ann"), "arrive")
    machine = hall(lambda data: data["log"], entry={"serving": [arrive]})

    step = machine.take("open")

    assert step.effects == (StartActivity("life.2.1", "serve", 2, exclusive=False, items=("ann",)),)
    assert step.snapshot.activities == (Running("life.2.1", "serve", "serving", 2),)


@pytest.mark.parametrize(
    ("found", "items"),
    [
        ([1, {"n": 2}], (1, {"n": 2})),
        ((1, 2), (1, 2)),
        ({3, 1, 2}, (1, 2, 3)),
        ({"a": 1}.values(), (1,)),
        ((n for n in (1, 2)), (1, 2)),
    ],
)
def test_whatever_can_be_listed_has_items(found: object, items: tuple[object, ...]) -> None:
    assert items_in(found) == items


@pytest.mark.parametrize("found", ["abc", b"bytes", {"a": 1}, 3, None])
def test_what_cannot_be_listed_has_none(found: object) -> None:
    with pytest.raises(TypeError, match=f"expected a list of items, got {type(found).__name__}"):
        items_in(found)


def test_without_items_the_activity_is_done_in_the_same_step() -> None:
    machine = hall(lambda _: [], edge("serving", "done.invoke.serve", "over"))

    step = machine.take("open")

    assert (step.snapshot.configuration, step.snapshot.status, step.effects) == (("over",), Status.DONE, ())


def test_without_items_nothing_is_begun_that_would_have_a_deadline() -> None:
    serve = Activity("serve", "work", work, each=Each("guests", lambda _: []))
    machine = Driven(chart(HALL, edge("idle", "open", "serving"), activities={"serving": [serve]}))

    step = machine.take("open")

    assert (step.snapshot.activities, step.effects) == ((), ())


def test_an_activity_with_items_keeps_its_deadline() -> None:
    serve = Activity("serve", "work", work, each=Each("guests", lambda _: [1]))
    machine = Driven(chart(HALL, edge("idle", "open", "serving"), activities={"serving": [serve]}))

    assert [type(effect) for effect in machine.take("open").effects] == [StartActivity, Send]


def test_too_many_items_are_an_error_of_the_activity() -> None:
    seen: list[object] = []
    see = action(lambda scope: seen.append(scope.event.payload), "see")
    edges = edge("serving", "error.invoke.serve", "tired", actions=[see])
    machine = hall(lambda _: range(MOST_ITEMS + 1), edges)

    step = machine.take("open")

    assert (step.snapshot.configuration, step.effects) == (("tired",), ())
    message = "activity 'serve' was not started: it has 10,001 items; at most 10,000 are allowed."
    assert seen == [Failure("TooManyItems", message, source="serve")]


def test_too_many_items_that_nothing_takes_fail_the_machine() -> None:
    machine = hall(lambda _: range(MOST_ITEMS + 1))

    snapshot = machine.take("open").snapshot

    assert snapshot.status is Status.FAILED
    assert snapshot.failure is not None
    assert snapshot.failure.type == "TooManyItems"


def test_items_must_not_be_too_long_together() -> None:
    long = "x" * (MOST_CHARACTERS // 2)

    assert excess((long,)) is None
    problem = "its items are 2,097,159 characters long; at most 2,097,152 are allowed. Use references instead."
    assert excess((long, long)) == problem


def test_a_failure_to_find_items_is_one_of_a_callback() -> None:
    machine = hall(lambda data: data["guests"], edge("serving", "error.execution", "tired"))

    assert machine.take("open").snapshot.configuration == ("tired",)


def test_a_failure_to_find_items_that_nothing_takes_moves_nothing() -> None:
    machine = hall(lambda _: 3)

    with pytest.raises(ActionError) as raised:
        machine.take("open")

    assert "guests failed while processing 'open': TypeError: expected a list of items, got int." in str(raised.value)


# ── how their outcomes are joined ─────────────────────────────────────────────────────────────────────────────────────

NO = Failure("No", "it said no")


def joined(join: Join, count: int, *ends: tuple[int, Json | Failure]) -> Joining | None:
    """What became of a fan-out whose items ended in this order; None if it has not ended with the last of them."""
    joining = Joining(join, count)
    decisions = [joining.ends(index, outcome) for index, outcome in ends]
    assert not any(decisions[:-1])
    return joining if decisions[-1] else None


@pytest.mark.parametrize(
    ("join", "count", "ends", "result"),
    [
        ("all", 3, [(2, "c"), (0, "a"), (1, "b")], ["a", "b", "c"]),
        ("any", 3, [(1, "b")], "b"),
        ("any", 3, [(0, NO), (2, NO), (1, None)], None),
        ("majority", 3, [(2, "c"), (1, NO), (0, "a")], ["a", "c"]),
        ("majority", 4, [(3, "d"), (2, "c"), (0, "a")], ["a", "c", "d"]),
        (1, 3, [(2, "c")], ["c"]),
        (2, 4, [(3, NO), (2, "c"), (1, NO), (0, "a")], ["a", "c"]),
        ("settle", 2, [(1, "b"), (0, NO)], [settled(NO), settled("b")]),
    ],
)
def test_a_fan_out_is_done_as_soon_as_enough_items_have_succeeded(
    join: Join, count: int, ends: list[tuple[int, Json | Failure]], result: Json
) -> None:
    assert joined(join, count, *ends[:-1]) is None if ends[:-1] else True

    done = joined(join, count, *ends)

    assert done is not None
    assert (done.failure, done.result) == (None, result)


@pytest.mark.parametrize(
    ("join", "count", "ends"),
    [
        ("all", 3, [(2, "c"), (1, NO)]),
        ("any", 3, [(0, NO), (2, NO), (1, NO)]),
        ("majority", 4, [(0, "a"), (2, NO), (1, NO)]),
        (3, 4, [(0, NO), (2, "c"), (3, "d"), (1, NO)]),
    ],
)
def test_a_fan_out_has_failed_as_soon_as_too_few_items_can_succeed(
    join: Join, count: int, ends: list[tuple[int, Json | Failure]]
) -> None:
    assert joined(join, count, *ends[:-1]) is None

    failed = joined(join, count, *ends)

    assert failed is not None
    assert failed.failure == Failure("No", "it said no", metadata={"index": 1})


@pytest.mark.parametrize(
    ("join", "guests", "message"),
    [
        ("any", [], "it has 0 items; at least 1 must succeed."),
        ("majority", [], "it has 0 items; at least 1 must succeed."),
        (3, ["ann", "bob"], "it has 2 items; at least 3 must succeed."),
    ],
)
def test_fewer_items_than_must_succeed_are_an_error_of_the_activity(
    join: Join, guests: list[Json], message: str
) -> None:
    seen: list[object] = []
    see = action(lambda scope: seen.append(scope.event.payload), "see")
    machine = hall(lambda _: guests, edge("serving", "error.invoke.serve", "tired", actions=[see]), join=join)

    step = machine.take("open")

    assert (step.snapshot.configuration, step.effects) == (("tired",), ())
    assert seen == [Failure("TooFewItems", f"activity 'serve' was not started: {message}", source="serve")]


def test_a_fan_out_that_is_to_settle_needs_no_items() -> None:
    machine = hall(lambda _: [], edge("serving", "done.invoke.serve", "over"), join="settle")

    assert machine.take("open").snapshot.configuration == ("over",)
