"""The sample values of types."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from durable_fsm.explore.samples import Samples
from durable_fsm.frontends.values import Typed


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Seat(BaseModel):
    row: Annotated[int, Field(ge=1, le=20)]
    note: str | None = None
    window: bool = False


class Tree(BaseModel):
    below: list[Tree] = []


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        pytest.param(bool, [False, True], id="bool"),
        pytest.param(Colour, ["red", "blue"], id="enum"),
        pytest.param(Literal["a", 1], ["a", 1], id="literal"),
        pytest.param(None, [None], id="nothing"),
        pytest.param(int, [0, 1], id="int"),
        pytest.param(Annotated[int, Field(gt=0)], [1], id="positive"),
        pytest.param(Annotated[int, Field(ge=5, le=9)], [5, 6, 8, 9], id="bounds"),
        pytest.param(Annotated[float, Field(lt=0)], [-1], id="below zero"),
        pytest.param(str, ["", "x 1"], id="text"),
        pytest.param(Annotated[str, Field(min_length=1)], ["x 1", "x 2"], id="text with a length"),
        pytest.param(Annotated[str, Field(min_length=6)], ["x 1---", "x 2---"], id="long text"),
        pytest.param(Annotated[str, Field(max_length=1)], ["", "1"], id="short text"),
        pytest.param(int | None, [0, 1, None], id="optional"),
        pytest.param(list[bool], [[], [False], [False, True]], id="list"),
        pytest.param(Annotated[list[bool], Field(min_length=1, max_length=1)], [[False]], id="list of one"),
        pytest.param(Annotated[list[bool], Field(min_length=3)], [[False, False, False]], id="list of three"),
        pytest.param(set[Literal[1]], [[], [1]], id="set"),
        pytest.param(tuple[bool, int], [[False, 0], [True, 0], [False, 1]], id="tuple"),
        pytest.param(dict[str, int], [{}, {"key": 0}], id="mapping"),
        pytest.param(Any, [None], id="anything"),
        pytest.param(
            Seat,
            [
                {"row": 1},
                {"row": 2},
                {"row": 19},
                {"row": 20},
                {"row": 1, "note": ""},
                {"row": 1, "note": "note 1"},
                {"row": 1, "window": True},
            ],
            id="object",
        ),
    ],
)
def test_a_type_has_few_samples_at_its_bounds(declared: Any, expected: list[object]) -> None:
    assert Samples().of(Typed(declared).schema(), "x") == expected


def test_a_type_that_contains_itself_has_samples() -> None:
    assert {"below": [{}]} in Samples().of(Typed(Tree).schema(), "x")


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"format": "date"}, ["2000-01-01"]),
        ({"format": "ipv4"}, []),
        ({"pattern": r"^[^@\s]+@[^@\s]+$"}, ["ada@example.com"]),
        ({"pattern": "^[A-Z]{4}[0-9]{9}$"}, []),
        ({"pattern": r"^\p{L}$"}, []),
    ],
    ids=["format", "another format", "pattern", "a pattern that no guess matches", "a pattern of another language"],
)
def test_a_text_of_a_format_or_a_pattern_has_a_sample_if_one_is_known(
    schema: dict[str, str], expected: list[str]
) -> None:
    assert Samples().of({"type": "string", **schema}, "x") == expected


def test_full_samples_leave_nothing_out() -> None:
    assert Samples().full(Typed(Seat).schema(), "x")[0] == {"row": 1, "note": "", "window": True}


def test_texts_that_were_made_up_are_remembered() -> None:
    samples = Samples()

    samples.of(Typed(Seat).schema(), "x")

    assert samples.made == {"note 1", "note 2"}
