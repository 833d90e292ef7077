"""Which public keys are taken, and what is said of those that are not."""

from __future__ import annotations

import re

import pytest
from statemachine import State, StateChart

from durable_fsm import app
from durable_fsm.restate.app import IDENTITY_KEYS, keys_of_servers

PREFIX = "publickeyv1_"
KEY = "publickeyv1_w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f"


class Lamp(StateChart):
    """On or off."""

    off = State(initial=True)
    on = State()

    press = off.to(on) | on.to(off)


def test_keys_in_the_code_come_before_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IDENTITY_KEYS, "not looked at")

    assert keys_of_servers([KEY]) == [KEY]
    assert keys_of_servers(KEY) == [KEY]
    assert keys_of_servers([]) == []


def test_the_environment_may_name_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IDENTITY_KEYS, f" {KEY}, {KEY} ")

    assert keys_of_servers(None) == [KEY, KEY]


def test_without_any_everybody_may_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(IDENTITY_KEYS, raising=False)

    assert keys_of_servers(None) == []


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (
            "w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f",
            f"identity v1 jwt public keys are expected to start with {PREFIX}",
        ),
        (
            f"{KEY}0",
            "cannot decode the public key with base58: provided string contained invalid character '0' at byte 43",
        ),
        (f"{KEY}A", "decoded key should have length of 32, was 33"),
        (PREFIX, "decoded key should have length of 32, was 0"),
        (f"{PREFIX}111", "decoded key should have length of 32, was 3"),
    ],
)
def test_what_is_no_key_stops_the_application_before_it_starts(key: str, problem: str) -> None:
    with pytest.raises(ValueError, match=rf"^identity_keys: key 2: {re.escape(problem)}") as refused:
        app(Lamp, identity_keys=[KEY, key])

    assert key == PREFIX or key not in str(refused.value)  # it may be a private one


def test_a_variable_that_should_name_keys_must_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IDENTITY_KEYS, " , ")

    with pytest.raises(ValueError, match=f"{IDENTITY_KEYS} is set and names no key"):
        app(Lamp)
