"""The data of carts, tickets and checkouts, and the payloads of their events."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Seat(BaseModel):
    seat: str = Field(min_length=1)


class Reservation(BaseModel):
    """A seat that one user has reserved. The same user gets another number for the next one."""

    number: str = ""
    user: str = ""


class TicketData(BaseModel):
    held: Reservation = Reservation()


class Wish(BaseModel):
    """A seat to reserve, and the number that its reservation is to have."""

    seat: str = ""
    number: str = ""


class CartData(BaseModel):
    tickets: dict[str, str] = {}
    """The number of the reservation of each seat."""
    wish: Wish = Wish()


class CheckoutData(BaseModel):
    user: str
    seats: list[str]
    price: int = 0
