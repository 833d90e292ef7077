"""Helpers for tests with the trips of `sagas_app.py`: book one, let a step of it fail, read what was done for it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.server.conftest import Host

PATIENCE = timedelta(seconds=120)
STEPS = ("flight", "car", "payment")
REFUSED = 402


def book(host: Host, chart: str = "Booking", event: str = "book") -> str:
    trip = host.key("trip")
    host.server.send(chart, trip, event, {"effect": trip})
    return trip


def refuse(host: Host, trip: str, step: str) -> None:
    """Let a step of a trip that is not booked yet fail for good."""
    host.effects.fail_next(f"{trip}-{step}", status=REFUSED)


def keys_of(host: Host, name: str) -> list[str]:
    return [entry.key for entry in host.effects.entries(name)]


def order_of(host: Host, trip: str) -> list[str]:
    """The effects of a trip, in order: `["flight", "car", "flight-undo"]`."""
    wanted = {f"{trip}-{step}{undo}" for step in STEPS for undo in ("", "-undo")}
    return [entry.name.removeprefix(f"{trip}-") for entry in host.effects.entries() if entry.name in wanted]
