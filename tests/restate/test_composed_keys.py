"""Keys that are composed of several names: each can be taken apart in one way only, whatever a client puts into its key.

Every line of the table has a function that takes a composed key apart. If it finds the parts again, no two sets of parts
make the same key.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_fsm.core.activity import stable_id
from durable_fsm.core.address import address, child_key, is_child_key, parted, relay_key
from durable_fsm.core.effects import StartActivity
from durable_fsm.core.snapshot import Undoable
from durable_fsm.restate.names import page_key
from durable_fsm.restate.sources.ingestion import LONGEST_ID, idempotency_key

HEX = "0123456789abcdef"
TOKEN = "0123456789ab.3.1"

pieces = st.sampled_from(
    [
        "/",
        "~",
        " > ",
        ">",
        ":",
        "%",
        "%2F",
        "sha256/",
        ".",
        "\n",
        "3",
        "12:a",
        "There/box",
        f"/{TOKEN}",
        "~1",
        "ü",
        "\x00",
    ]
)
anything = st.lists(pieces | st.text(max_size=3), max_size=6).map("".join)
keys = anything.filter(bool)
charts = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,8}", fullmatch=True)
lives = st.text(HEX, min_size=12, max_size=12)
numbers = st.integers(1, 1_000)
tokens = st.tuples(lives, st.lists(numbers, min_size=1, max_size=4)).map(
    lambda parts: ".".join([parts[0], *map(str, parts[1])])
)
ids = keys
webhooks = st.from_regex(r"[a-z]{1,5}", fullmatch=True)


def run_id(chart: str, key: str, life: str, id: str, entry: int) -> str:
    return stable_id(chart, key, life, StartActivity("t", id, entry, exclusive=False))


def undo_id(chart: str, key: str, life: str, id: str, entry: int) -> str:
    undone = Undoable("t", id, "s", entry)
    return stable_id(chart, key, life, StartActivity("t", id, entry, exclusive=False, undo=undone))


def child_of(parent: str, token: str) -> str:
    return child_key(parent, "a/child", token)


def parts_of_relay(key: str) -> tuple[str, str, str]:
    length, _, rest = key.partition(":")
    sender, rest = rest[: int(length)], rest[int(length) :]
    return sender, *parted(rest.removeprefix(" > "))


def parts_of_child(key: str) -> tuple[str, str]:
    parent, _, token = key.rsplit("/", 2)
    return parent, token


def parts_of_page(key: str) -> tuple[str, str, int]:
    stem, life, number = key.rsplit("~", 2)
    return stem, life, int(number)


def parts_of_run(id: str) -> tuple[str, str, str, str, int]:
    rest, life, activity, entry = id.removesuffix("/undo").rsplit("/", 3)
    return *parted(rest), life, activity.replace("%2F", "/").replace("%25", "%"), int(entry)


COMPOSED: list[tuple[Callable[..., str], Callable[[str], object], st.SearchStrategy[tuple[Any, ...]]]] = [
    (address, parted, st.tuples(charts, keys)),
    (relay_key, parts_of_relay, st.tuples(keys, charts, keys)),
    (child_of, parts_of_child, st.tuples(keys, tokens)),
    (page_key, parts_of_page, st.tuples(keys, lives, numbers)),
    (run_id, parts_of_run, st.tuples(charts, keys, lives, ids, numbers)),
    (undo_id, parts_of_run, st.tuples(charts, keys, lives, ids, numbers)),
]


@pytest.mark.parametrize(("compose", "apart", "parts"), COMPOSED, ids=lambda one: getattr(one, "__name__", ""))
@settings(max_examples=50)
@given(data=st.data())
def test_a_composed_key_can_be_taken_apart_in_one_way_only(
    compose: Callable[..., str], apart: Callable[[str], object], parts: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    drawn = data.draw(parts)

    assert apart(compose(*drawn)) == drawn


@given(parent=keys, id=ids, token=tokens)
def test_every_key_of_a_child_is_recognised_as_one(parent: str, id: str, token: str) -> None:
    """So no client can begin a machine under it."""
    assert is_child_key(child_key(parent, id, token))


@given(webhook=webhooks, id=anything | st.text("a/", min_size=LONGEST_ID - 1, max_size=LONGEST_ID + 1))
def test_an_id_of_a_provider_cannot_spell_the_digest_of_another(webhook: str, id: str) -> None:
    made = idempotency_key(webhook, id)

    assert made == f"{webhook}/{id}" or re.fullmatch(rf"{webhook}/sha256/[0-9a-f]{{64}}", made)
    assert (made == f"{webhook}/{id}") != made.startswith(f"{webhook}/sha256/")


def test_the_way_of_a_message_is_none_of_a_machine() -> None:
    """A client may call its machine as it likes: the ways of messages are keys of another object."""
    assert relay_key("victim", "There", "box") == "6:victim > There/box"
