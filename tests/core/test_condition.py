"""What can be waited for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from durable_fsm.core.chart import Chart
from durable_fsm.core.condition import fault_in, is_condition, meets
from durable_fsm.core.durations import duration_of
from durable_fsm.core.snapshot import Deferred, Running, Snapshot
from durable_fsm.core.step import start
from durable_fsm.core.values import Json, changed
from tests.building import chart

MADE = chart("inside\n    a\n    b\nend final")
TAGGED = replace(MADE, states={**MADE.states, "a": replace(MADE.states["a"], tags=frozenset({"open", "calm"}))})
MACHINE = start(MADE, life="life").snapshot


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ({"state": "a"}, True),
        ({"state": "inside"}, True),
        ({"state": "b"}, False),
        ({"tag": "calm"}, True),
        ({"tag": "loud"}, False),
        ({"status": "running"}, True),
        ({"status": "done"}, False),
        ({"settled": True}, True),
        ({"taken": True}, True),
        ({"any": [{"state": "b"}, {"status": "running"}]}, True),
        ({"any": [{"state": "b"}, {"status": "done"}]}, False),
    ],
)
def test_a_condition_is_met_or_not(condition: dict[str, Json], met: bool) -> None:
    assert meets(TAGGED, MACHINE, condition) is met


@pytest.mark.parametrize(
    ("machine", "met"),
    [
        (changed(MACHINE, activities=(Running("t", "charge", "a", 1),)), False),
        (changed(MACHINE, activities=(Running("t", "charge", "a", 1, failed=True),)), True),
        (changed(MACHINE, deferred=(Deferred("t", "go", None),)), False),
    ],
)
def test_a_machine_is_settled_when_nothing_is_under_way(machine: Snapshot, met: bool) -> None:
    assert meets(MADE, machine, {"settled": True}) is met


def test_an_event_is_taken_once_it_is_deferred_no_longer() -> None:
    machine = changed(MACHINE, deferred=(Deferred("mine", "go", None),))

    assert not meets(MADE, machine, {"taken": True}, "mine")
    assert not meets(MADE, machine, {"any": [{"state": "b"}, {"taken": True}]}, "mine")
    assert meets(MADE, machine, {"taken": True}, "another")


@pytest.mark.parametrize(
    ("made", "condition", "fault"),
    [
        (MADE, {"state": "a"}, None),
        (TAGGED, {"tag": "open"}, None),
        (MADE, {"status": "failed"}, None),
        (MADE, {"settled": True}, None),
        (MADE, {"any": [{"state": "a"}, {"settled": True}]}, None),
        (MADE, {}, "expected one of 'state', 'tag', 'status', 'settled', 'taken', 'any' to wait for."),
        (MADE, {"colour": "red"}, "expected one of 'state', 'tag', 'status', 'settled', 'taken', 'any' to wait for."),
        (MADE, {"state": ""}, "there is no state ''. There is 'inside', 'a', 'b', 'end'."),
        (MADE, {"state": ["a"]}, "there is no state ['a']. There is 'inside', 'a', 'b', 'end'."),
        (MADE, {"tag": "open"}, "no state has the tag 'open'."),
        (TAGGED, {"tag": 1}, "no state has the tag 1. There is 'calm', 'open'."),
        (MADE, {"status": "gone"}, "there is no status 'gone'. There is 'running', 'done', 'failed'."),
        (MADE, {"settled": 1}, "'settled' is true or left out."),
        (MADE, {"taken": True}, "'taken' needs an event in the same request."),
        (MADE, {"any": "a"}, "'any' is a list of 1 to 20 conditions, and none of them is an 'any'."),
        (MADE, {"any": ["a"]}, "a condition is an object."),
        (MADE, {"any": [{"state": "a"}, {"state": "x"}]}, "there is no state 'x'. There is 'inside', 'a', 'b', 'end'."),
    ],
)
def test_what_is_wrong_with_a_condition_is_said(made: Chart, condition: dict[str, Json], fault: str | None) -> None:
    assert fault_in(made, condition, with_event=False) == fault


def test_an_event_of_ones_own_can_be_waited_for() -> None:
    assert fault_in(MADE, {"taken": True}, with_event=True) is None
    assert fault_in(MADE, {"taken": False}, with_event=True) == "'taken' is true or left out."


def test_durations_are_written_with_their_unit() -> None:
    assert duration_of("1h30m") == timedelta(minutes=90)
    assert duration_of("100ms") == timedelta(milliseconds=100)
    assert duration_of("2min") == duration_of("2M") == timedelta(minutes=2)
    assert duration_of(".5s") == duration_of("0.5s") == timedelta(seconds=0.5)
    assert duration_of("15", unit="ms") == timedelta(milliseconds=15)


@pytest.mark.parametrize("text", ["15", "", "soon", "1h 30m", "999999999999d"])
def test_a_text_that_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration|is longer than any timer can be"):
        duration_of(text)


@pytest.mark.parametrize(
    ("value", "may_be"),
    [
        ({"state": "gone"}, True),
        ({"settled": True}, True),
        ({"any": [{"state": "a"}, {"taken": True}]}, True),
        ({"any": []}, True),
        ({"any": [{"any": []}]}, False),
        ({"any": {"state": "a"}}, False),
        ({"any": ["a"]}, False),
        ({"state": ["a"]}, False),
        ({"tag": None}, False),
        ({"colour": "blue"}, False),
        ({"state": "a", "tag": "b"}, False),
        ({}, False),
        ("state", False),
    ],
)
def test_a_stored_condition_has_a_form_whatever_the_chart_is(value: Json, may_be: bool) -> None:
    assert is_condition(value) is may_be
