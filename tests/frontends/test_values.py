"""Types of data and payloads whose own code raises: where it does, and how that differs from a refusal."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from pydantic import BaseModel, Field, HttpUrl, field_validator, model_validator

from durable_fsm.core.values import Misfit, TypeRaised
from durable_fsm.frontends import values
from durable_fsm.frontends.values import Plain, Typed


class Inner(BaseModel):
    n: int = Field(default=0, alias="innerN")
    other: str = ""

    @field_validator("n")
    @classmethod
    def check(cls, n: int) -> int:
        return {7: 7}[n]


class Outer(BaseModel):
    name: str
    one: Inner = Inner()
    many: list[Inner] = []
    by_name: dict[str, Inner] = {}

    @model_validator(mode="after")
    def whole(self) -> Outer:
        if self.name == "exit":
            sys.exit("at once")
        return self


class Worded(ValueError):
    def __str__(self) -> str:
        return sys.exit(1)


class Wordless(BaseModel):
    n: int = 0

    @field_validator("n")
    @classmethod
    def check(cls, n: int) -> int:
        raise Worded


@pytest.mark.parametrize(
    ("stored", "problem", "path"),
    [
        ({"name": "x", "one": {"innerN": 1}}, "KeyError: 1", "$.one.innerN"),
        ({"one": {"innerN": 1}}, "KeyError: 1", "$.one.innerN"),  # although `name` is missing, too
        ({"name": "x", "many": [{"innerN": 7}, {"innerN": 2}]}, "KeyError: 2", "$.many[1].innerN"),
        ({"name": "x", "by_name": {"a": {"innerN": 7}, "b": {"other": "", "innerN": 3}}}, "KeyError: 3", "$.by_name.b.innerN"),
        ({"name": "exit"}, "SystemExit: at once", "$.name"),
    ],
)  # fmt: skip
def test_the_exception_of_a_validator_has_the_path_of_its_member(stored: Any, problem: str, path: str) -> None:
    with pytest.raises(TypeRaised) as raised:
        Typed(Outer).load(stored)

    assert (raised.value.problem, raised.value.path) == (problem, path)


def test_a_type_is_not_asked_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MOST_QUESTIONS", 3)

    with pytest.raises(TypeRaised) as raised:
        Typed(Outer).load({"name": "x", "many": [{"innerN": 7}] * 10 + [{"innerN": 2}]})

    assert raised.value.path == "$.many"


def test_a_refusal_without_words_is_the_types_mistake() -> None:
    with pytest.raises(TypeRaised, match=r"SystemExit: 1 at \$"):
        Typed(Wordless).load({"n": 1})


def test_attributes_that_are_nested_too_deeply_are_named() -> None:
    class Bag:
        kept: Any = None

    value = Bag()
    value.kept = []
    for _ in range(5_000):
        value.kept = [value.kept]

    with pytest.raises(Misfit, match=r"it is nested more than 100 levels deep at \$\.kept$"):
        Plain(Bag, "Bag").dump(value)


def test_a_class_that_cannot_be_made_any_more_has_failed() -> None:
    def make() -> object:
        sys.exit(2)

    with pytest.raises(TypeRaised, match="SystemExit: 2"):
        Plain(make, "Bag").load({})


def test_a_refusal_begins_in_lower_case_unless_it_begins_with_an_abbreviation() -> None:
    refusals: list[str] = []

    for type_, value in ((HttpUrl, "ftp://localhost/x"), (int, "x")):
        with pytest.raises(Misfit) as refused:
            Typed(type_).load(value)
        refusals.append(refused.value.problem)

    assert refusals[0] == "URL scheme should be 'http' or 'https'"
    assert refusals[1].startswith("input should be a valid integer")
