"""Configurations of transitions, as a user's type checker sees them. Checked by pyright and mypy, never executed."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import assert_type

from pydantic import BaseModel
from transitions import Machine

from durable_fsm import Chart, TransitionsConfig, activity, chart_from, compiled


class OrderData(BaseModel):
    total_cents: int = 0


class Order(Enum):
    CART = 1
    CHARGING = 2


async def charge(data: OrderData) -> str:
    return f"receipt for {data.total_cents}"


by_name = TransitionsConfig(
    "Order",
    ["cart", {"name": "charging", "tags": ["busy"]}],
    [["checkout", "cart", "charging"], {"trigger": "give_up", "source": "charging", "dest": "cart"}],
    initial="cart",
    model=OrderData,
    activities={"charging": activity(charge)},
    timers={"charging": {"give_up": timedelta(minutes=5)}},
    auto_transitions=False,
    version="2",
    workflow=True,
    operators_only=("repair",),
)
by_member = TransitionsConfig("Order", Order, [["checkout", Order.CART, Order.CHARGING]], Order.CART, send_event=True)

assert_type(chart_from(by_name), Chart)
assert_type(chart_from(Machine(states=["cart"], initial="cart")), Chart)

TransitionsConfig("Order")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
TransitionsConfig("Order", [], versoin="1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
TransitionsConfig("Order", [], version=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
TransitionsConfig("Order", [], timers={"cart": {"x": 15}})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
by_name.version = "2"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


class Cuts(BaseModel):
    cuts: list[int] = [1]


@compiled("cuts", example=[80, 40])
def saw(cuts: list[int]) -> TransitionsConfig:
    return TransitionsConfig("Saw", [f"cut_{cut}" for cut in cuts], initial=f"cut_{cuts[0]}", model=Cuts)


def a_compiled_chart_is_called_with_a_value_of_its_field() -> str:
    saw("80")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return saw([80, 40]).name


@compiled("cuts", example="80")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
def other(cuts: list[int]) -> TransitionsConfig:
    return TransitionsConfig("Other", ["cut"], initial="cut", model=Cuts)
