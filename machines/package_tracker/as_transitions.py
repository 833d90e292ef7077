"""The same package as a configuration of transitions. A test compares the two."""

from __future__ import annotations

from datetime import datetime

from durable_fsm import Effects, Kafka, TransitionsConfig
from machines.package_tracker.machine import PackageData, Registration, Scan, scanned


class Tracked(PackageData):
    """The model: data and callbacks."""

    def address(self, destination: str) -> None:
        self.destination = destination

    def is_there(self, location: str) -> bool:
        return location == self.destination

    def note(self, timestamp: datetime, location: str, effects: Effects) -> None:
        self.locations.append(Scan(timestamp=timestamp, location=location))
        effects.reply(len(self.locations))


Package = TransitionsConfig(
    "package-tracker",
    states=["unregistered", "in_transit", {"name": "delivered", "final": True}],
    initial="unregistered",
    transitions=[
        {"trigger": "register", "source": "unregistered", "dest": "in_transit", "before": "address"},
        {
            "trigger": "update_location",
            "source": "in_transit",
            "dest": "delivered",
            "conditions": "is_there",
            "before": "note",
        },
        {"trigger": "update_location", "source": "in_transit", "dest": None, "before": "note"},
    ],
    model=Tracked,
    events={"register": Registration, "update_location": Scan},
    handlers={"registerPackage": "register", "updateLocation": "update_location"},
    sources=(Kafka("package-location-updates", decode=scanned, events=("update_location",)),),
    separator="/",
)
