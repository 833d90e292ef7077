"""What is redacted and what is closed, declared for both libraries, and refused where it is mistaken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field
from statemachine import State, StateChart

from durable_fsm import DefinitionError, Kafka, TransitionsConfig, chart_from, durable, event
from durable_fsm.core.chart import Chart
from durable_fsm.core.events import Event
from durable_fsm.core.step import start, step
from durable_fsm.core.values import Misfit
from durable_fsm.errors import InvalidPayload


class Customer(BaseModel):
    email: str = Field(default="", alias="mail")


class Data(BaseModel):
    card_number: int = 0
    customer: Customer = Customer()


class Payment(BaseModel):
    pin: int = Field(gt=0)


def a_class(**options: Any) -> Chart:
    @durable(**options)
    class Shop(StateChart[Data]):
        """Sells."""

        open = State(initial=True)
        pay = event(open.to.itself(internal=True), Payment)

    return chart_from(Shop)


def a_configuration(**options: Any) -> Chart:
    return chart_from(
        TransitionsConfig(
            "Shop",
            states=["open"],
            transitions=[["pay", "open", None]],
            initial="open",
            model=Data,
            events={"pay": Payment},
            **options,
        )
    )


def without_a_type(**options: Any) -> Chart:
    class Model:
        def __init__(self) -> None:
            self.secret = ""

    return chart_from(
        TransitionsConfig("Shop", ["open"], [["pay", "open", None]], initial="open", model=Model, **options)
    )


both = pytest.mark.parametrize("made", [a_class, a_configuration])


@both
def test_both_are_part_of_the_chart_and_not_of_its_digest(made: Callable[..., Chart]) -> None:
    chart = made(redact=["card_number", "customer.email", "customer.mail", "pin"], operators_only=("repair", "delete"))

    assert chart.hosting.redact == ("card_number", "customer.email", "customer.mail", "pin")
    assert chart.hosting.operators_only == ("repair", "delete")
    assert chart.redaction.covers("$.customer.email")
    assert chart.digest == made().digest
    assert chart.to_json() == made().to_json()
    assert chart.data.schema() == made().data.schema()
    assert chart.data.name == "Data"


def test_a_single_name_is_not_taken_for_its_letters() -> None:
    chart = a_class(redact="pin", operators_only="repair")

    assert (chart.hosting.redact, chart.hosting.operators_only) == (("pin",), ("repair",))


@both
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"redact": ["card_numer"]}, "neither the data nor a payload has 'card_numer'. Did you mean 'card_number'?"),
        ({"redact": ["customer.phone"]}, "has 'phone'. Declare the type that has it, or remove it."),
        ({"redact": ["customer."]}, "redact= names 'customer.', which is not a member."),
        ({"operators_only": ["pay"]}, "operators_only= names 'pay', which is not a handler of every machine."),
    ],
)
def test_a_wrong_redaction_is_refused(made: Callable[..., Chart], options: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        made(**options)

    assert message in str(refused.value)
    assert "test_redaction.py:" in str(refused.value)


@both
def test_names_in_records_of_topics_are_their_producers_own(made: Callable[..., Chart]) -> None:
    chart = made(redact=["cardNumber"], sources=(Kafka("orders", decode=lambda record: None),))

    assert chart.hosting.redact == ("cardNumber",)


def test_data_without_a_type_may_hold_anything() -> None:
    assert without_a_type(redact=("secret", "another")).hosting.redact == ("secret", "another")


@both
def test_the_reason_is_hidden_if_a_redacted_member_does_not_fit(made: Callable[..., Chart]) -> None:
    chart = made(redact=["pin"])
    machine = start(chart).snapshot

    with pytest.raises(InvalidPayload, match="the value, which is redacted, does not fit"):
        step(chart, machine, Event("pay", {"pin": -739104}))
    with pytest.raises(Misfit, match="valid integer"):
        chart.data.load({"card_number": "x"})
    with pytest.raises(Misfit):
        chart.data.dump("no such data")
