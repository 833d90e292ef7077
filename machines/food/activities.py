"""The outside work: the payment service, the restaurant, and what a driver's phone sends and asks."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cache
from typing import Any

import httpx
from confluent_kafka import Producer

from durable_fsm import ActivityContext, Client, Retry, TerminalError
from durable_fsm.errors import EventError, MachineError
from machines.food.city import TICK, TOPIC, Place, way
from machines.food.data import AppData, OrderData, Work
from machines.world import ask

QUICKLY = Retry(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=10))
UNLESS_REFUSED = Retry(initial=timedelta(milliseconds=100), give_up_on=(EventError, MachineError))
REFUSALS = {400, 404, 409, 422}

# ── an order ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def charge(ctx: ActivityContext, data: OrderData) -> str:
    """Take the money, once; return the receipt. A card that is declined is a terminal error."""
    payment = {"order": ctx.key, "cents": data.cents, "card": data.card}
    answer = await ctx.run("charge", ask, "/charges", payment, key=ctx.stable_id)
    return str(answer["receipt"])


async def refund(ctx: ActivityContext, result: str) -> None:
    """Give the money back."""
    await ctx.run("refund", ask, "/refunds", {"order": ctx.key, "receipt": result}, key=ctx.stable_id)


async def request_preparation(ctx: ActivityContext, data: OrderData) -> None:
    """Send the order to the restaurant, which knows a repeated one by its number and calls us back."""
    meals = [item.model_dump() for item in data.items]
    await ctx.run("prepare", prepare, {"order": ctx.key, "items": meals})


async def prepare(order: dict[str, Any]) -> None:
    async with httpx.AsyncClient(base_url=os.environ["RESTAURANT_URL"], trust_env=False, verify=False) as restaurant:
        answer = await restaurant.post("/prepare", json=order)
    if answer.status_code in REFUSALS:
        raise TerminalError(answer.json()["reason"], code=answer.status_code)
    answer.raise_for_status()


# ── a driver's phone ──────────────────────────────────────────────────────────────────────────────────────────────────


async def sign_on(ctx: ActivityContext, data: AppData) -> None:
    """Tell the system where the driver is, and that they are free."""
    assert data.location is not None
    await ctx.run("publish", publish, ctx.key, data.location)
    await ctx.run("sign on", tell, ctx.key, "set_available", ctx.stable_id)


async def look_for_work(ctx: ActivityContext) -> Work:
    """Ask for the driver's job."""
    return await ctx.run("look", job_of, ctx.key)


async def drive_to_restaurant(ctx: ActivityContext, data: AppData) -> Place:
    """Drive there and pick the meal up; return where that is."""
    assert data.job is not None
    assert data.location is not None
    await drive(ctx, data.location, data.job.restaurant)
    await ctx.run("pick up", tell, ctx.key, "pick_up", ctx.stable_id)
    return data.job.restaurant


async def drive_to_customer(ctx: ActivityContext, data: AppData) -> Place:
    """Drive there and hand the meal over; return where that is."""
    assert data.job is not None
    assert data.location is not None
    await drive(ctx, data.location, data.job.customer)
    await ctx.run("hand over", tell, ctx.key, "hand_over", ctx.stable_id)
    return data.job.customer


async def drive(ctx: ActivityContext, start: Place, end: Place) -> None:
    """Drive a step in each tick, and publish where the driver is then."""
    for place in way(start, end):
        await ctx.sleep(TICK)
        await ctx.run("publish", publish, ctx.key, place)


def publish(driver: str, place: Place) -> None:
    """Write a location to Kafka, and wait until the broker has it."""
    producer = kafka()
    producer.produce(TOPIC, place.model_dump_json(), driver)
    if producer.flush(10):
        raise TimeoutError("the broker does not answer")


@cache
def kafka() -> Producer:
    return Producer({"bootstrap.servers": os.environ["KAFKA_BROKERS"], "linger.ms": 1, "log_level": 0})


async def tell(driver: str, event: str, key: str) -> None:
    async with restate() as client:
        await client.machine("driver-digital-twin", driver).send(event, idempotency_key=key)


async def job_of(driver: str) -> Work:
    async with restate() as client:
        known = await client.machine("driver-digital-twin", driver).snapshot()
    return Work(job=known.data["job"])


def restate() -> Client:
    return Client(os.environ.get("RESTATE_INGRESS_URL", "http://localhost:8080"))
