"""Which public keys are taken, and what is said of those that are not."""

from __future__ import annotations

import re

import pytest
from statemachine import State, StateChart

from durable_fsm import app
from durable_fsm.restate.identity import PREFIX, VARIABLE, identity_keys

KEY = "publickeyv1_w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f"


class Lamp(StateChart):
    """On or off."""

    off = State(initial=True)
    on = State()

    press = off.to(on) | on.to(off)


def test_keys_in_the_code_come_before_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "not looked at")

    assert identity_keys([KEY]) == [KEY]
    assert identity_keys(KEY) == [KEY]
    assert identity_keys([]) == []


def test_the_environment_may_name_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f" {KEY}, {KEY} ")

    assert identity_keys(None) == [KEY, KEY]


def test_without_any_everybody_may_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)

    assert identity_keys(None) == []


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f", f"does not begin with {PREFIX}"),
        (f"{KEY}0", "has a letter that base58 does not have"),
        (f"{KEY}A", "has 33 bytes; a public key has 32"),
        (PREFIX, "has 0 bytes; a public key has 32"),
        (f"{PREFIX}111", "has 3 bytes; a public key has 32"),
    ],
)
def test_what_is_no_key_stops_the_application_before_it_starts(key: str, problem: str) -> None:
    with pytest.raises(ValueError, match=rf"^identity_keys: key 2 {re.escape(problem)}") as refused:
        app(Lamp, identity_keys=[KEY, key])

    assert key == PREFIX or key not in str(refused.value)  # it may be a private one


def test_a_variable_that_should_name_keys_must_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, " , ")

    with pytest.raises(ValueError, match=f"{VARIABLE} is set and names no key"):
        app(Lamp)
