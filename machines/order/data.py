"""What an order knows, and what its events bring."""

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
    """What the customer was told by their bank, and types in."""

    code: str = Field(min_length=1)


class Parcel(BaseModel):
    tracking: str = Field(min_length=1)


class Complaint(BaseModel):
    """Something is to be paid back: so much of it, or all that is left."""

    cents: int | None = Field(default=None, gt=0)


class Charge(TypedDict, total=False):
    """How the bank answers: with a receipt, or with a challenge to the customer."""

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
