"""The outside work of a booking, and the activities that undo it."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, Field

from durable_fsm import ActivityContext
from machines.world import ask


class Flight(BaseModel):
    flight_id: str = Field(min_length=1)
    passenger_name: str = Field(min_length=1)


class Car(BaseModel):
    pickup_location: str = Field(min_length=1)
    rental_date: date


class Payment(BaseModel):
    card_number: str = Field(min_length=1)
    amount: int = Field(gt=0)


class TripData(BaseModel):
    """The wanted trip, and its bookings so far."""

    flight: Flight
    car: Car
    payment: Payment
    flight_number: str = ""
    car_number: str = ""
    charge: str = ""
    problem: str = "the trip was cancelled"
    code: int = 409


async def reserve_flight(ctx: ActivityContext, data: TripData) -> str:
    """Reserve a seat; return the number of the reservation."""
    answer = await ctx.run("reserve", ask, "/flights/reserve", data.flight.model_dump(), key=ctx.stable_id)
    return str(answer["flight"])


async def cancel_flight(ctx: ActivityContext, result: str) -> None:
    await ctx.run("cancel", ask, "/flights/cancel", {"flight": result}, key=ctx.stable_id)


async def reserve_car(ctx: ActivityContext, data: TripData) -> str:
    """Reserve a car; return the number of the reservation."""
    answer = await ctx.run("reserve", ask, "/cars/reserve", data.car.model_dump(mode="json"), key=ctx.stable_id)
    return str(answer["car"])


async def cancel_car(ctx: ActivityContext, result: str) -> None:
    await ctx.run("cancel", ask, "/cars/cancel", {"car": result}, key=ctx.stable_id)


async def charge(ctx: ActivityContext, data: TripData) -> str:
    """Charge the card once, under our id."""
    answer = await ctx.run("charge", ask, "/payments/charge", data.payment.model_dump(), key=ctx.stable_id)
    return str(answer["charge"])


async def refund(ctx: ActivityContext, original: str) -> None:
    """Refund the charge with that id, if there was one."""
    await ctx.run("refund", ask, "/payments/refund", {"charged_as": original}, key=ctx.stable_id)


async def confirm(ctx: ActivityContext, data: TripData) -> None:
    """Confirm both reservations."""
    await ctx.run("flight", ask, "/flights/confirm", {"flight": data.flight_number}, key=f"{ctx.stable_id}/flight")
    await ctx.run("car", ask, "/cars/confirm", {"car": data.car_number}, key=f"{ctx.stable_id}/car")
