"""The package's chart, and the decoder of the scanners' records."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field
from statemachine import State, StateChart

from durable_fsm import Incoming, Kafka, Record, durable, event


class Registration(BaseModel):
    destination: str = Field(min_length=1)


class Scan(BaseModel):
    timestamp: datetime
    location: str = Field(min_length=1)


class PackageData(BaseModel):
    destination: str | None = None
    locations: list[Scan] = []


def scanned(record: Record) -> Incoming:
    """Turn a scan into an event; the record's key is the package's number."""
    return Incoming("update_location", Scan.model_validate_json(record.value).model_dump(mode="json"))


@durable(
    name="package-tracker",
    version="1",
    handlers={"registerPackage": "register", "updateLocation": "update_location"},
    sources=[Kafka("package-location-updates", decode=scanned, events=("update_location",))],
)
class Package(StateChart[PackageData]):
    """A package on its way. It must be registered first, and only once."""

    unregistered = State(initial=True)
    in_transit = State()
    delivered = State(final=True)

    register = event(unregistered.to(in_transit), Registration)
    update_location = event(
        in_transit.to(delivered, cond="is_there") | in_transit.to.itself(internal=True),
        Scan,
    )

    def is_there(self, data: PackageData, payload: Scan) -> bool:
        return payload.location == data.destination

    def on_register(self, data: PackageData, destination: str) -> None:
        data.destination = destination

    def on_update_location(self, data: PackageData, payload: Scan) -> int:
        data.locations.append(payload)
        return len(data.locations)
