"""Fields of the data as texts, and the entries under which a machine is listed."""

from __future__ import annotations

import pytest

from durable_fsm.core.fields import LONGEST, entries_of, entry_of, field_of, text_at
from durable_fsm.core.values import Json

DATA: Json = {
    "customer": "ada",
    "cents": 5,
    "share": 0.5,
    "paid": True,
    "address": {"city": "Oslo", "lines": ["a"]},
    "none": None,
}


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("customer", "ada"),
        ("cents", "5"),
        ("share", "0.5"),
        ("paid", "true"),
        ("address.city", "Oslo"),
        ("address.lines", None),
        ("address", None),
        ("address.street", None),
        ("customer.name", None),
        ("none", None),
        ("missing", None),
    ],
)
def test_a_text_a_number_and_a_truth_value_have_a_text(field: str, text: str | None) -> None:
    assert text_at(field, DATA) == text


def test_a_machine_is_listed_for_each_field_that_has_a_text() -> None:
    assert entries_of(("customer", "address.city", "none"), DATA) == ("address.city=Oslo", "customer=ada")
    assert entries_of(("customer",), None) == ()


@pytest.mark.parametrize(
    "text", ["x" * LONGEST, "two\nlines", "half \ud83d a pair"], ids=["long", "control", "surrogate"]
)
def test_a_value_that_is_no_good_name_is_found_by_its_digest(text: str) -> None:
    entry = entry_of("customer", text)

    assert entry == entry_of("customer", text) != entry_of("customer", f"{text}.")
    assert (entry.startswith("customer#"), entry.isprintable()) == (True, True)


@pytest.mark.parametrize("text", ["Oslo", "a=b#c", "x" * 2 * LONGEST])
def test_an_entry_says_of_which_field_it_is(text: str) -> None:
    assert field_of(entry_of("address.city", text)) == "address.city"
