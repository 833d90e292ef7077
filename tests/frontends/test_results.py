"""The result of a step comes back in the type that its function names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

from durable_fsm.core.codec import plain
from durable_fsm.frontends.results import returned

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Receipt(BaseModel):
    number: int
    at: datetime = NOON


@dataclass
class Label:
    text: str


def receipt(number: int) -> Receipt:
    return Receipt(number=number)


async def receipts() -> list[Receipt]:
    return [Receipt(number=1)]


def label() -> Label | None:
    return Label("x")


def pair() -> tuple[int, datetime]:
    return 1, NOON


def count() -> int:
    return 1


def nothing() -> None:
    """Return None."""


def record() -> dict[str, Any]:
    return {"a": [1]}


class Bank:
    """Methods are functions, too."""

    def receipt(self) -> Receipt:
        return Receipt(number=2)


@pytest.mark.parametrize(
    ("step", "value"),
    [
        (partial(receipt, 1), Receipt(number=1)),
        (receipts, [Receipt(number=1)]),
        (label, Label("x")),
        (label, None),
        (pair, (1, NOON)),
        (count, 1),
        (nothing, None),
        (record, {"a": [1]}),
        (Bank().receipt, Receipt(number=2)),
    ],
)
def test_a_result_comes_back_as_its_function_says(step: Callable[..., object], value: object) -> None:
    assert returned(step, plain(value)) == value


def wrong() -> Receipt:
    return "no receipt"  # type: ignore[return-value] # pyright: ignore[reportReturnType]


def unknown() -> Nowhere:  # type: ignore[name-defined] # noqa: F821 # pyright: ignore[reportUndefinedVariable]
    """Name a type that there is not."""


@pytest.mark.parametrize("step", [wrong, unknown, lambda: 1, len], ids=("wrong", "unknown", "lambda", "builtin"))
def test_a_result_that_does_not_fit_is_the_json_that_was_stored(step: Callable[..., object]) -> None:
    assert returned(step, {"any": "thing"}) == {"any": "thing"}
