"""The data of the machines, the payloads of their events, and the times that they wait."""

from __future__ import annotations

import os
from datetime import timedelta

from pydantic import BaseModel, Field


class Login(BaseModel):
    user: str = Field(min_length=1)


class AuthData(BaseModel):
    user: str = ""
    token: str = ""


class AuthorityData(BaseModel):
    code: str = ""


class PaymentData(BaseModel):
    sender: str = Field(min_length=1)
    recipient: str = Field(min_length=1)
    cents: int = Field(gt=0)


class Count(BaseModel):
    """The data of version 1 of the counter."""

    count: int = 0


class Total(BaseModel):
    """The data of version 2 of the counter."""

    total: int = 0


def _seconds(name: str, otherwise: str) -> timedelta:
    return timedelta(seconds=float(os.environ.get(name, otherwise)))


CHECKING = _seconds("AUTH_CHECKING_SECONDS", "5")
"""How long the authority checks a code."""

ANSWERING = _seconds("AUTH_ANSWERING_SECONDS", "1")
"""How long the authority takes to send the token."""

PATIENCE = _seconds("PAYMENT_PATIENCE_SECONDS", "10")
"""How long a payment waits before a person of the staff must approve it."""

KEPT = _seconds("PAYMENT_KEPT_SECONDS", "86400")
"""How long a payment can be read after its end."""
