"""The fields of the data by which operators find machines."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from durable_fsm import TransitionsConfig, chart_from
from durable_fsm.errors import DefinitionError


class Address(BaseModel):
    city: str = ""


class Purchase(BaseModel):
    customer: str = ""
    card: str = ""
    status: str = ""
    address: Address = Address()


def config(*index: str, **options: Any) -> TransitionsConfig:
    states = ["cart", {"name": "paid", "final": True}]
    return TransitionsConfig("Order", states, [["go", "cart", "paid"]], "cart", index=index, **options)


def test_members_of_the_data_may_be_indexed_at_any_depth() -> None:
    chart = chart_from(config("customer", "address.city", model=Purchase))

    assert chart.hosting.index == ("customer", "address.city")
    assert chart.digest == chart_from(config(model=Purchase)).digest


def test_data_without_a_type_may_have_any_member() -> None:
    assert chart_from(config("whatever")).hosting.index == ("whatever",)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("custmer", "index= names 'custmer', and the data has no 'custmer'. Did you mean 'customer'?"),
        ("address.colour", "index= names 'address.colour', and the data has no 'colour'. Declare it, or remove it."),
        ("a..b", "index= names 'a..b', which is not a member. Write 'customer', or 'address.city' for one inside."),
        ("a=b", "index= names 'a=b', which is not a member. Write 'customer', or 'address.city' for one inside."),
        ("status", "index= names 'status', and --where status=… does not ask for data."),
        ("card", "index= names 'card', which redact= hides: the index would show its values."),
    ],
)
def test_a_field_that_cannot_be_found_is_refused(name: str, message: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        chart_from(config(name, model=Purchase, redact=["card"]))

    assert message in str(refused.value)
