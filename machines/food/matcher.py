"""The matcher: which driver makes which delivery."""

from __future__ import annotations

from typing import Any

from statemachine import State, StateChart

from durable_fsm import Effects, durable, event
from machines.food.data import MatcherData


@durable(name="driver-delivery-matcher", version="1")
class Matcher(StateChart[MatcherData]):
    """Brings the first delivery and the first driver together. Its key is the region."""

    class matching(State.Compound):
        balanced = State(initial=True)
        drivers_waiting = State()
        deliveries_waiting = State()

        balanced.to(drivers_waiting, cond="has_drivers")
        balanced.to(deliveries_waiting, cond="has_deliveries")
        drivers_waiting.to(balanced, cond="has_both", on="match")
        deliveries_waiting.to(balanced, cond="has_both", on="match")

    offer_driver = event(matching.to(matching, internal=True))
    request_driver = event(matching.to(matching, internal=True))
    error_communication = matching.to(matching, internal=True)

    def has_drivers(self, data: MatcherData) -> bool:
        return bool(data.drivers)

    def has_deliveries(self, data: MatcherData) -> bool:
        return bool(data.deliveries)

    def has_both(self, data: MatcherData) -> bool:
        return bool(data.drivers and data.deliveries)

    def on_offer_driver(self, data: MatcherData, event: Any) -> None:
        data.drivers.append(event.sender)

    def on_request_driver(self, data: MatcherData, event: Any) -> None:
        data.deliveries.append(event.sender)

    def match(self, data: MatcherData, effects: Effects) -> None:
        driver, delivery = data.drivers.pop(0), data.deliveries.pop(0)
        effects.send("find_driver", driver, to=delivery, id=driver)

    def on_error_communication(self, data: MatcherData, error: Any) -> None:
        """A delivery is gone: its driver is the next one again."""
        data.drivers.insert(0, error.metadata["sendid"])
