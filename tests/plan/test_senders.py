"""How a payload's schema admits less than before, in words that a sender understands."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from durable_fsm.plan.senders import narrowed


class Kind(Enum):
    POST = "post"
    SHIP = "ship"


class Place(BaseModel):
    city: str
    code: str | None = None


class StrictPlace(BaseModel):
    model_config = ConfigDict(extra="forbid")
    city: str


class Coded(BaseModel):
    city: str
    code: str


class Tree(BaseModel):
    name: str = ""
    below: list[Tree] = []


class NamedTree(BaseModel):
    name: str
    below: list[NamedTree] = []


def schema(type_: Any) -> dict[str, Any] | None:  # Any: whatever pydantic validates
    return None if type_ is None else TypeAdapter(type_).json_schema()


TABLE: list[tuple[Any, Any, list[str]]] = [
    (int, int, []),
    (int, float, []),
    (int, int | str, []),
    (int, Any, []),
    (None, Any, []),
    (float, int, ["no longer accepts number at $"]),
    (str, int, ["expects integer at $, and not string"]),
    (int | str, int, ["no longer accepts string at $"]),
    (int | None, int, ["no longer accepts null at $"]),
    (None, int, ["expects integer at $"]),
    (Literal["a", "b"], Literal["a", "b", "c"], []),
    (Literal["a", "b"], Literal["a"], ["no longer accepts 'b' at $"]),
    (str, Kind, ["accepts only 'post', 'ship' at $"]),
    (Annotated[int, Field(ge=1)], Annotated[int, Field(ge=0)], []),
    (Annotated[int, Field(ge=1)], Annotated[int, Field(ge=2)], ["needs at least 2 at $"]),
    (int, Annotated[int, Field(lt=5)], ["needs less than 5 at $"]),
    (str, Annotated[str, Field(min_length=2)], ["needs at least 2 characters at $"]),
    (str, Annotated[str, Field(pattern="^a")], ["needs the pattern ^a at $"]),
    (list[int], Annotated[list[int], Field(max_length=3)], ["needs at most 3 items at $"]),
    (list[int | str], list[int], ["no longer accepts string at $[*]"]),
    (Place, Coded, ["needs $.code", "no longer accepts null at $.code"]),
    (Coded, Place, []),
    (Place, StrictPlace, ["refuses $.code"]),
    (dict[str, int], StrictPlace, ["needs $.city", "refuses unknown members at $"]),
    (list[Place], list[Coded], ["needs $[*].code", "no longer accepts null at $[*].code"]),
    (Place | None, Coded | None, ["needs $.code", "no longer accepts null at $.code"]),
    (Tree, Tree, []),
]


@pytest.mark.parametrize("case", range(len(TABLE)))
def test_less_is_told_by_its_place(case: int) -> None:
    old, new, words = TABLE[case]

    assert narrowed(schema(old), schema(new)) == words


def test_a_schema_that_contains_itself_is_compared_to_some_depth() -> None:
    found = narrowed(schema(Tree), schema(NamedTree))

    assert found[:2] == ["needs $.name", "needs $.below[*].name"]
    assert len(found) < 10
