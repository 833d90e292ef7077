"""The data of an order, and the payloads of its events."""

from __future__ import annotations

from typing import TypedDict

from pydantic import BaseModel, Field


class Item(BaseModel):
    name: str = Field(min_length=1)
    cents: int = Field(gt=0)
    quantity: int = Field(default=1, gt=0)


class Payment(BaseModel):
    card: str = Field(min_length=4)


class Checkout(Payment):
    address: str = Field(min_length=1)


class Proof(BaseModel):
    """The code that the customer got from their bank."""

    code: str = Field(min_length=1)


class Parcel(BaseModel):
    tracking: str = Field(min_length=1)


class Complaint(BaseModel):
    """A request for a refund: an amount, or all that is left."""

    cents: int | None = Field(default=None, gt=0)


class Charge(TypedDict, total=False):
    """The bank's answer: a receipt, or a challenge to the customer."""

    receipt: str
    challenge: str


class OrderData(BaseModel):
    items: list[Item] = []
    card: str | None = None
    address: str | None = None
    challenge: str | None = None
    code: str | None = None
    receipt: str | None = None
    invoice: str | None = None
    trouble: str | None = None
    tracking: str | None = None
    unpaid: bool = False
    refund_cents: int = 0
    refunded_cents: int = 0

    @property
    def total_cents(self) -> int:
        return sum(item.cents * item.quantity for item in self.items)

    @property
    def kept_cents(self) -> int:
        return self.total_cents - self.refunded_cents
