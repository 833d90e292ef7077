"""What payments and accounts know, and what their events bring."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, Field


class Order(BaseModel):
    account: str = Field(min_length=1)
    cents: int = Field(gt=0)


class Amount(BaseModel):
    cents: int = Field(gt=0)


class PaymentData(BaseModel):
    account: str = ""
    cents: int = 0


class AccountData(BaseModel):
    balance: int = 0


class Words(NamedTuple):
    """What people are told."""

    paid: str = "paid"
    already: str = "already paid"
    cancelled: str = "cancelled"
    insufficient: str = "insufficient funds"


SAY = Words()
