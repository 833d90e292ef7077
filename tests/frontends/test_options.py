"""Options of hosting: `durable` and a configuration take the same, and treat them alike."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest
from statemachine import State, StateChart

from durable_fsm import TransitionsConfig, chart_from, durable, free
from durable_fsm.core.retention import History
from durable_fsm.frontends.options import ChartOptions, ClassChartOptions, ClassOptions, HostingOptions

SAID: dict[str, Any] = {
    "version": "2",
    "handlers": {"goNow": "go"},
    "create_first": True,
    "cancel_timers_over": timedelta(hours=1),
    "history": History(entries=7),
    "after_end": free(timedelta(days=1)),
    "operators_only": ["repair"],
    "index": ["customer"],
    "workflow": True,
}


class Order(StateChart):
    cart = State(initial=True)
    paid = State(final=True)
    go = cart.to(paid)


def configured(**options: Any) -> TransitionsConfig:
    states = ["cart", {"name": "paid", "final": True}]
    return TransitionsConfig("Order", states, [["go", "cart", "paid"]], "cart", **options)


@pytest.mark.parametrize(("known", "kept"), [(HostingOptions, ChartOptions), (ClassOptions, ClassChartOptions)])
def test_type_checkers_know_every_option_and_no_other(known: Any, kept: Any) -> None:
    assert set(known.__annotations__) == {spec.name for spec in fields(kept)}


def test_every_front_end_makes_the_same_hosting_of_the_same_options() -> None:
    of_a_class = chart_from(durable(**SAID)(type(StateChart)("Order", (Order,), {})))
    of_a_configuration = chart_from(configured(**SAID))

    assert of_a_class.version == of_a_configuration.version == "2"
    assert [getattr(of_a_class.hosting, spec.name) for spec in fields(of_a_class.hosting)] == [
        getattr(of_a_configuration.hosting, spec.name) for spec in fields(of_a_class.hosting)
    ]


def test_a_list_that_the_author_changes_later_changes_no_option() -> None:
    closed = ["repair"]
    config = configured(operators_only=closed)

    closed.append("delete")

    assert config.operators_only == ("repair",)


def test_two_configurations_that_say_the_same_are_two() -> None:
    assert configured() != configured()
    assert chart_from(configured()) == chart_from(configured())


def test_an_option_that_does_not_exist_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(TypeError, match=r"^durable\(\) has no option 'versoin'\. Did you mean 'version'\?$"):
        durable(versoin="1")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^durable\(\) has no option 'x'\.$"):
        durable(x=1)  # type: ignore[call-arg]
