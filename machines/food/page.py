"""The pages: a customer orders and follows the order; operations see where all orders are.

`uvicorn machines.food.page:app` serves them. They only talk to Restate's ingress, RESTATE_INGRESS_URL.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, get_args

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from durable_fsm import Client
from durable_fsm.errors import EventError, NotStarted
from machines.food import activities
from machines.food.city import DRIVERS, Place, on_map
from machines.food.data import Item, OrderData, Status, StatusData
from machines.food.delivery import OrderStatus
from machines.food.driver import Driver
from machines.food.machine import Order
from machines.food.menu import MENU, PRODUCTS
from machines.pages import Pages, changes

HERE = Path(__file__).parent
STEPS: dict[Status, str] = {
    "CREATED": "Ordered",
    "SCHEDULED": "Paid",
    "IN_PREPARATION": "In the oven",
    "SCHEDULING_DELIVERY": "Looking for a driver",
    "WAITING_FOR_DRIVER": "Driver on the way to us",
    "IN_DELIVERY": "On the way to you",
    "DELIVERED": "Delivered",
}
ENDED = ("DELIVERED", "REJECTED", "CANCELLED")
MOST = 20


def euros(cents: int) -> str:
    return f"€{cents / 100:.2f}"


def minutes(seconds: float) -> str:
    """A time that a person would say."""
    if seconds < 1:
        return "a moment"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def point(place: Place) -> dict[str, float]:
    """Where a place is on the map."""
    return dict(zip("xy", on_map(place, width=320, height=210), strict=True))


pages = Pages(
    "Forno",
    folder=HERE / "templates",
    assets=HERE / "assets",
    menu={"/": "Menu", "/operations": "Operations"},
    charts=[Order, Driver],
    euros=euros,
    minutes=minutes,
    point=point,
    steps=STEPS,
)


@cache
def restate() -> Client:
    return activities.restate()


# ── the cart: a cookie, so that it needs neither an account nor JavaScript ────────────────────────────────────────────


def cart_of(request: Request) -> dict[str, int]:
    """How many of each product; whatever else a cookie says is dropped."""
    pairs = [line.partition(":") for line in request.cookies.get("cart", "").split("|")]
    return {id: min(int(count), MOST) for id, _, count in pairs if id in PRODUCTS and count.isdecimal() and int(count)}


async def menu(request: Request) -> Response:
    cart = cart_of(request)
    total = sum(PRODUCTS[id].cents * count for id, count in cart.items())
    return pages.show("menu.html", products=MENU, cart={PRODUCTS[id]: cart[id] for id in cart}, total=total)


async def change_cart(request: Request) -> Response:
    """Take one more of a product, or one less."""
    async with request.form() as form:
        id, more = str(form.get("product")), form.get("change") != "less"
    cart = cart_of(request)
    if id in PRODUCTS:
        cart[id] = cart.get(id, 0) + (1 if more else -1)
    answer = RedirectResponse("/", 303)
    lines = "|".join(f"{id}:{count}" for id, count in cart.items() if count > 0)
    answer.set_cookie("cart", lines, httponly=True, samesite="lax")
    return answer


async def check_out(request: Request) -> Response:
    """Place the order, and go to its page as soon as there is something to see."""
    async with request.form() as form:
        fields = {name: str(form.get(name, "")) for name in ("customer", "card", "delay")}
    items = [Item(product=id, quantity=count, cents=PRODUCTS[id].cents) for id, count in cart_of(request).items()]
    if not items or not fields["delay"].isdecimal():
        return RedirectResponse("/", 303)
    id = secrets.token_hex(3)
    order = OrderData(
        id=id, customer=fields["customer"], items=items, card=fields["card"], deliveryDelay=int(fields["delay"])
    )
    await restate().machine(Order, id).submit(order)
    async for _ in changes(lambda: status_of(id), last=lambda status: status is not None):
        pass
    answer = RedirectResponse(f"/orders/{id}", 303)
    answer.delete_cookie("cart")
    return answer


# ── an order ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def status_of(id: str) -> StatusData | None:
    """An order as its customer sees it; None if there is no such order."""
    try:
        return (await restate().machine(OrderStatus, id).snapshot()).data
    except NotStarted:
        return None


async def seen(id: str) -> dict[str, Any]:
    return {"id": id, "seen": await status_of(id) or StatusData()}


def has_ended(values: Mapping[str, Any]) -> bool:
    return values["seen"].current in ENDED


async def order(request: Request) -> Response:
    id = request.path_params["order"]
    if await status_of(id) is None:
        return pages.show("not_found.html", status=404, path=request.url.path)
    data = (await restate().machine(Order, id).snapshot()).data
    lines = [(item.quantity, PRODUCTS[item.product].name, item.cents * item.quantity) for item in data.items]
    return pages.show("order.html", lines=lines, total=data.cents, customer=data.customer, **await seen(id))


async def follow_order(request: Request) -> Response:
    id = request.path_params["order"]
    return pages.live("progress.html", changes(lambda: seen(id), last=has_ended))


async def call_off(request: Request) -> Response:
    """Cancel the order, unless the kitchen has begun: then the page says so itself."""
    id = request.path_params["order"]
    with suppress(EventError):
        await restate().machine(Order, id).send(Order.call_off)
    return RedirectResponse(f"/orders/{id}", 303)


# ── operations ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def overview(id: str) -> dict[str, Any]:
    """All orders by status, the drivers, and the states of one order."""
    statuses: tuple[Status, ...] = get_args(Status)
    found = await asyncio.gather(*(restate().find(OrderStatus, {"current": status}) for status in statuses))
    orders = dict(zip(statuses, found, strict=True))
    drivers = await asyncio.gather(*(states_of(Driver, name) for name in DRIVERS))
    return {
        "orders": orders,
        "drivers": dict(zip(DRIVERS, drivers, strict=True)),
        "id": id,
        "states": await states_of(Order, id) if id else (),
    }


async def states_of(chart: type, key: str) -> tuple[str, ...]:
    try:
        return (await restate().machine(chart, key).snapshot()).configuration
    except NotStarted:
        return ()


async def operations(request: Request) -> Response:
    values = await overview(request.path_params.get("order", ""))
    if values["id"] and not values["states"]:
        return pages.show("not_found.html", status=404, path=request.url.path)
    return pages.show("operations.html", **values)


async def follow_operations(request: Request) -> Response:
    id = request.path_params.get("order", "")
    return pages.live("overview.html", changes(lambda: overview(id), every=timedelta(seconds=1)))


app = pages.app(
    [
        Route("/", menu),
        Route("/cart", change_cart, methods=["POST"]),
        Route("/orders", check_out, methods=["POST"]),
        Route("/orders/{order}", order),
        Route("/orders/{order}/live", follow_order),
        Route("/orders/{order}/call_off", call_off, methods=["POST"]),
        Route("/operations", operations),
        Route("/operations/live", follow_operations),
        Route("/operations/{order}", operations),
        Route("/operations/{order}/live", follow_operations),
    ]
)
