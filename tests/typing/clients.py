"""Uses of the client, as a user's type checker sees them. Checked by pyright and mypy, never executed."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_type

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Client, SyncClient, TransitionsConfig, event
from durable_fsm.client import Receipt, Sent, SyncSent, View


class Checkout(BaseModel):
    total_cents: int


class OrderData(BaseModel):
    total_cents: int = 0


class Order(StateChart[OrderData]):
    cart = State(initial=True)
    paid = State(final=True)

    checkout = event(cart.to(paid), Checkout)
    give_up = event(cart.to(paid))
    plain = cart.to(paid)


async def with_asyncio(client: Client) -> None:
    order = client.machine(Order, "o-17")

    assert_type(await order.send(Order.checkout, Checkout(total_cents=500)), Receipt)
    assert_type(await order.send(Order.give_up), Receipt)
    assert_type(await order.send(Order.plain, {"any": "thing"}), Receipt)
    assert_type(await order.tell(Order.give_up, delay=timedelta(minutes=1)), Sent)
    assert_type(await order.snapshot(), View[OrderData])
    assert_type((await order.snapshot()).data, OrderData)
    await order.wait_for(state=Order.paid, event=Order.checkout, payload=Checkout(total_cents=500))
    await client.machine("Order", "o-17").send("checkout", {"total_cents": 500})
    await client.machine(TransitionsConfig("Order", ["cart"]), "o-17").send("checkout")

    await order.send(Order.chekout)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
    await order.send("checkout")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await order.send(Order.checkout)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await order.send(Order.checkout, 500)  # type: ignore[misc]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await order.send(Order.checkout, OrderData())  # type: ignore[misc]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await order.send(Order.give_up, Checkout(total_cents=500))  # type: ignore[misc]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await order.tell(Order.checkout)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await order.tell(Order.give_up, delay=60)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    client.machine(5, "o-17")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def without_asyncio(client: SyncClient) -> None:
    order = client.machine(Order, "o-17")

    assert_type(order.send(Order.checkout, Checkout(total_cents=500)), Receipt)
    assert_type(order.send(Order.give_up), Receipt)
    assert_type(order.tell(Order.give_up), SyncSent)
    assert_type(order.snapshot().data, OrderData)
    client.machine("Order", "o-17").send("checkout", {"total_cents": 500})

    order.send(Order.chekout)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
    order.send("checkout")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    order.send(Order.checkout)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    order.send(Order.checkout, 500)  # type: ignore[misc]  # pyright: ignore[reportCallIssue, reportArgumentType]
    order.send(Order.give_up, Checkout(total_cents=500))  # type: ignore[misc]  # pyright: ignore[reportCallIssue, reportArgumentType]
    order.tell(Order.checkout)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
