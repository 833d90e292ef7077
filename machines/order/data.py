"""What an order knows, and what its events bring."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Item(BaseModel):
    name: str = Field(min_length=1)
    cents: int = Field(gt=0)
    quantity: int = Field(default=1, gt=0)


class Payment(BaseModel):
    card: str = Field(min_length=4)


class Checkout(Payment):
    address: str = Field(min_length=1)


class Parcel(BaseModel):
    tracking: str = Field(min_length=1)


class OrderData(BaseModel):
    items: list[Item] = []
    card: str | None = None
    address: str | None = None
    receipt: str | None = None
    trouble: str | None = None
    tracking: str | None = None

    @property
    def total_cents(self) -> int:
        return sum(item.cents * item.quantity for item in self.items)
