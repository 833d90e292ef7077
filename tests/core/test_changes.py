"""Changes lead from one JSON value to the next."""

from __future__ import annotations

import json
from typing import Any

import pytest

from durable_fsm.core.changes import changes, patched


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": True}, [["/a", True]]),
        ({"a": 1}, {"a": 1.0}, [["/a", 1.0]]),
        ({"a": [1, 2, 3]}, {"a": [1, 2]}, [["/a/2"]]),
        ({"a": [1]}, {"a": [1, 2, 3]}, [["/a/1", 2], ["/a/2", 3]]),
        ({"a": [1, 2, 3]}, {"a": [2, 3]}, [["/a", [2, 3]]]),
        ({"a": [1]}, {"a": []}, [["/a/0"]]),
        ({"a": {"b": 1}}, {"a": {"c": None}}, [["/a/b"], ["/a/c", None]]),
        ({"a": [{"b": 1}, "x"]}, {"a": [{"b": 2}, "x"]}, [["/a/0/b", 2]]),
        ({"a/b~": {"c": 1, "d": 2}}, {"a/b~": {}}, [["/a~1b~0/c"], ["/a~1b~0/d"]]),
        (None, {"a": 1}, [["", {"a": 1}]]),
        ({}, {}, []),
    ],
)
def test_changes_lead_from_one_value_to_the_next(before: Any, after: Any, expected: Any) -> None:
    kept = json.loads(json.dumps(before))

    assert changes(before, after) == expected
    assert json.dumps(patched(before, expected)) == json.dumps(after)
    assert before == kept


@pytest.mark.parametrize("change", [["/b"], ["/a/0"], ["/l/7"], ["/l/x", 1], ["/b/c", 1]])
def test_a_change_of_another_value_is_refused(change: Any) -> None:
    with pytest.raises(ValueError, match="of another value"):
        patched({"a": 1, "l": []}, [change])


def test_a_change_leaves_the_value_that_an_earlier_one_has_set_as_it_was() -> None:
    given: dict[str, Any] = {"b": 1}

    made = patched({}, [["/a", given], ["/a/b", 2], ["/a/c", 3]])

    assert (made, given) == ({"a": {"b": 2, "c": 3}}, {"b": 1})
