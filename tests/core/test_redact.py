"""Members that are named are found wherever they stand, and taken out of texts that quote them."""

from __future__ import annotations

import json

import pytest

from durable_fsm.core.redact import REDACTED, Redaction, without
from durable_fsm.core.values import Json

NAMED = Redaction.of(["card_number", "customer.email"])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"card_number": "4111", "total": 5}, {"card_number": REDACTED, "total": 5}),
        ({"customer": {"email": "a@b.org", "name": "Ann"}}, {"customer": {"email": REDACTED, "name": "Ann"}}),
        ({"email": "a@b.org"}, {"email": "a@b.org"}),
        ({"order": {"customer": {"email": "a@b.org"}}}, {"order": {"customer": {"email": REDACTED}}}),
        ({"customer": [{"email": "a@b.org"}]}, {"customer": [{"email": REDACTED}]}),
        ({"card_number": {"first": "4111", "last": ["5"]}}, {"card_number": REDACTED}),
        ([{"card_number": None}], [{"card_number": REDACTED}]),
        ("4111", "4111"),
        (None, None),
    ],
)
def test_members_are_marked_at_any_depth(value: Json, shown: Json) -> None:
    assert NAMED.members(value) == shown


@pytest.mark.parametrize(
    ("path", "covered"),
    [
        ("$.card_number", True),
        ("$.cards[2].card_number", True),
        ("$.card_number.first", True),
        ("$.customer.email", True),
        ("$.customer.Person.email", True),  # pydantic names the member of a union in between
        ("$.customer", False),
        ("$.email", False),
        ("$", False),
    ],
)
def test_a_path_is_covered_if_it_leads_to_what_is_named(path: str, covered: bool) -> None:
    assert NAMED.covers(path) is covered


def test_values_are_found_in_every_form_in_which_they_are_quoted() -> None:
    secret = 'it\'s "ä"\n'
    value: Json = {"card_number": {"a": secret, "b": [12345.5, True, None, ""]}, "customer": {"name": "Ann"}}
    texts = NAMED.texts([value, None, [value]])

    for quoted in (secret, repr(secret), json.dumps(secret), json.dumps(secret, ensure_ascii=False), "12345.5"):
        assert secret[:4] not in without(quoted, texts).replace(REDACTED, "")
        assert REDACTED in without(quoted, texts)
    assert not {"", "True", "None", "Ann"} & set(texts)
    assert [len(text) for text in texts] == sorted((len(text) for text in texts), reverse=True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pin 123 is wrong", f"pin {REDACTED} is wrong"),
        ("order 91234 is gone", "order 91234 is gone"),
        ("card 41112222x", f"card {REDACTED}x"),
        ("nothing", "nothing"),
    ],
)
def test_short_values_are_taken_out_only_where_they_stand_alone(text: str, shown: str) -> None:
    assert without(text, ["41112222", "123"]) == shown


def test_nothing_is_named_where_nobody_names_anything() -> None:
    nothing = Redaction.of([])

    assert nothing.members({"a": 1}) == {"a": 1}
    assert nothing.texts([{"a": 1}]) == []
    assert not nothing.covers("$.a")
