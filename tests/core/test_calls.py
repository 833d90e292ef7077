"""Arguments of our own calls are checked where they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import pytest

from durable_fsm.core.calls import checked, checked_type

if TYPE_CHECKING:
    from decimal import Decimal

T = TypeVar("T")


class Named(Protocol):
    """Has a name; type checkers only know."""

    name: str


@checked_type
@dataclass(frozen=True, slots=True)
class Times:
    """How often."""

    most: int | None = None


@checked
def call(
    wait: timedelta | Callable[..., object] = timedelta(0),
    *,
    times: Times = Times(),
    names: Iterable[str] = (),
    several: Iterable[Times] = (),
    pair: tuple[str, ...] = (),
    by_name: Mapping[str, timedelta | str] | None = None,
    kind: Literal["a", "b"] = "a",
    error: type[Exception] = Exception,
    model: type | None = None,
    factor: float = 1,
    flag: bool = False,
    text: str | None = None,
    nothing: None = None,
    anything: Any = None,
    own: T | None = None,  # type: ignore[valid-type]
    hidden: Decimal | None = None,
    protocol: Named | None = None,
) -> str:
    return "done"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"wait": timedelta(1)},
        {"wait": len},
        {"times": Times(3)},
        {"times": Times(None)},
        {"names": "one"},
        {"names": iter(["one"])},
        {"names": ["one", "two"]},
        {"pair": ["a"]},
        {"by_name": {"a": timedelta(1), "b": "c"}},
        {"kind": "b"},
        {"error": ValueError},
        {"model": int},
        {"factor": 2},
        {"flag": True},
        {"hidden": 3},
        {"own": 3},
        {"protocol": 3},
        {"anything": object()},
        {"nothing": None},
    ],
)
def test_what_an_annotation_allows_is_taken(given: dict[str, Any]) -> None:
    assert call(**given) == "done"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"wait": 15},
            "call(): wait must be a timedelta or a function, and is 15. Write timedelta(seconds=15).",
        ),
        ({"wait": "15"}, "call(): wait must be a timedelta or a function, and is '15'."),
        ({"wait": True}, "call(): wait must be a timedelta or a function, and is True."),
        ({"times": 5}, "call(): times must be a Times, and is 5. Write Times(most=5)."),
        ({"names": 5}, "call(): names must be a list, and is 5."),
        ({"several": "one"}, "call(): several must be a list, and is 'one'."),
        ({"names": ["one", 2]}, "call(): names[1] must be text, and is 2."),
        (
            {"by_name": {"a": 5}},
            "call(): by_name['a'] must be a timedelta or text, and is 5. Write timedelta(seconds=5).",
        ),
        ({"by_name": {5: "a"}}, "call(): a key of by_name must be text, and is 5."),
        ({"by_name": 5}, "call(): by_name must be a dict or None, and is 5."),
        ({"kind": "c"}, "call(): kind must be 'a' or 'b', and is 'c'."),
        ({"error": 5}, "call(): error must be a class, and is 5."),
        ({"error": int}, "call(): error must be a class, and is <class 'int'>."),
        ({"model": 5}, "call(): model must be a class or None, and is 5."),
        ({"factor": "2"}, "call(): factor must be a float, and is '2'."),
        ({"flag": 1}, "call(): flag must be True or False, and is 1."),
        ({"text": b"x" * 90}, "call(): text must be text or None, and is a bytes."),
        ({"nothing": 1}, "call(): nothing must be None, and is 1."),
    ],
)
def test_what_an_annotation_does_not_allow_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as refused:
        call(**given)

    assert str(refused.value) == message


def test_a_dataclass_names_itself_and_its_field() -> None:
    with pytest.raises(TypeError, match=r"^Times\(\): most must be an int or None, and is '5'\.$"):
        Times("5")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_an_argument_that_there_is_not_gives_the_message_of_python() -> None:
    with pytest.raises(TypeError, match=r"^call\(\) got an unexpected keyword argument 'tims'"):
        call(tims=3)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
