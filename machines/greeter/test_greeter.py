"""The greeter, rehearsed."""

from __future__ import annotations

import pytest

from durable_fsm.testing import Rehearsal
from machines.greeter.machine import Greeter, ordinal


def test_greetings_are_counted_and_taken_back_but_never_below_zero() -> None:
    mary = Rehearsal(Greeter, key="mary")

    assert [mary.send("greet", {"greeting": "Hi"}).reply for _ in range(2)] == [
        "Hi, for the 1st time!",
        "Hi, for the 2nd time!",
    ]
    assert [mary.send("ungreet").reply for _ in range(4)] == [1, 0, 0, 0]
    assert mary.configuration == ("stranger",)


@pytest.mark.parametrize(
    ("number", "word"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd"), (113, "113th")]
)
def test_a_number_has_its_english_ending(number: int, word: str) -> None:
    assert ordinal(number) == word
