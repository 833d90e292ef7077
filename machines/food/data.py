"""The data of the machines, and the messages between them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from machines.food.city import Place

Status = Literal[
    "CREATED",
    "SCHEDULED",
    "IN_PREPARATION",
    "SCHEDULING_DELIVERY",
    "WAITING_FOR_DRIVER",
    "IN_DELIVERY",
    "DELIVERED",
    "REJECTED",
    "CANCELLED",
]
"""An order's status, as its customer sees it."""


class Item(BaseModel):
    product: str
    quantity: int = Field(default=1, gt=0)
    cents: int = Field(gt=0)


class OrderData(BaseModel):
    """An order, as the shop's page sends it. Its id is the key of its machine."""

    model_config = ConfigDict(populate_by_name=True)

    id: str = Field(min_length=1)
    customer: str = ""
    items: list[Item] = Field(min_length=1)
    card: str = "5555 1111"
    delay_ms: int = Field(default=0, ge=0, alias="deliveryDelay")
    problem: str = ""

    @property
    def cents(self) -> int:
        return sum(item.cents * item.quantity for item in self.items)


class Progress(BaseModel):
    """Where a delivery is, and how many seconds it will still take."""

    eta: float = Field(ge=0)
    driver: Place
    restaurant: Place
    customer: Place


class StatusData(BaseModel):
    """An order as its customer sees it: the current status, all so far, and the delivery."""

    current: Status = "CREATED"
    statuses: list[Status] = []
    progress: Progress | None = None


class Job(BaseModel):
    """A drive: from the restaurant to the customer."""

    restaurant: Place
    customer: Place


class Work(BaseModel):
    """The answer to a driver who looks for work."""

    job: Job | None = None


class DeliveryData(BaseModel):
    order: str
    job: Job | None = None
    driver: str = ""
    loaded: bool = False


class MatcherData(BaseModel):
    """Addresses of the machines that wait, in the order in which they came."""

    drivers: list[str] = []
    deliveries: list[str] = []


class DriverData(BaseModel):
    """A driver as the system knows them. `delivery` is the address of the delivery that they are on."""

    job: Job | None = None
    delivery: str = ""
    location: Place | None = None
    locations: int = 0
    delivered: int = 0


class AppData(BaseModel):
    """The knowledge of the driver's phone: where it is, and where to go."""

    location: Place | None = None
    job: Job | None = None
