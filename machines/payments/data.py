"""The data of payments and accounts, and the payloads of their events."""

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
    """The words of the replies."""

    paid: str = "paid"
    already: str = "already paid"
    cancelled: str = "cancelled"
    insufficient: str = "insufficient funds"


SAY = Words()
