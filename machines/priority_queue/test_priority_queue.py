"""Additions, rehearsed: machines beside each other share the ten slots."""

from __future__ import annotations

import pytest

from durable_fsm.errors import InvalidPayload
from durable_fsm.testing import Rehearsal
from machines.priority_queue.machine import CALCULATOR, ExpensiveMethod

Additions = list[Rehearsal]


def begun(beside: Rehearsal, key: str, priority: int = 2) -> Rehearsal:
    addition = Rehearsal(ExpensiveMethod, key=key, beside=beside)
    addition.create({"left": 1, "right": 2, "priority": priority})
    return addition


@pytest.fixture
def running() -> Additions:
    """As many additions as may run at once."""
    first = Rehearsal(ExpensiveMethod, key="a-0")
    first.create({"left": 1, "right": 2, "priority": 2})
    return [first, *(begun(first, f"a-{number}") for number in range(1, CALCULATOR.slots))]


def test_ten_additions_run_and_the_others_wait(running: Additions) -> None:
    eleventh = begun(running[0], "b")

    assert {addition.leaves for addition in running} == {("running",)}
    assert (eleventh.leaves, eleventh.waiting) == (("enqueued",), ("working",))


def test_the_most_urgent_addition_comes_next_and_among_equals_the_first(running: Additions) -> None:
    first, second, urgent = (begun(running[0], key, priority) for key, priority in (("b", 2), ("c", 2), ("d", 1)))

    order = []
    for addition in running[:3]:
        addition.finish("working", 3)
        order.append([one.key for one in (first, second, urgent) if one.leaves == ("running",)])

    assert order == [["d"], ["b", "d"], ["b", "c", "d"]]
    assert (running[0].leaves, running[0].output) == (("released",), 3)


def test_an_addition_called_off_while_it_waits_gives_up_its_place(running: Additions) -> None:
    waiting, next_ = begun(running[0], "b"), begun(running[0], "c")

    waiting.send("call_off")
    running[0].finish("working", 3)

    assert (waiting.leaves, next_.leaves) == (("dropped",), ("running",))


@pytest.mark.parametrize("end", ["called off", "failed"])
def test_an_addition_that_ends_early_frees_its_slot(running: Additions, end: str) -> None:
    waiting = begun(running[0], "b")

    if end == "failed":
        running[0].fail("working", "the numbers are too large")
    else:
        running[0].send("call_off")

    assert (running[0].leaves, waiting.leaves) == (("released",), ("running",))
    assert running[0].failure is not None


def test_a_priority_is_a_whole_number() -> None:
    with pytest.raises(InvalidPayload, match="priority"):
        Rehearsal(ExpensiveMethod).create({"left": 1, "right": 2, "priority": "high"})
