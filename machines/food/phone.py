"""The app on a driver's phone, simulated. Its requests are in `activities`."""

from __future__ import annotations

from statemachine import State, StateChart

from durable_fsm import Ids, activity, after, durable, event
from machines.food.activities import UNLESS_REFUSED, drive_to_customer, drive_to_restaurant, look_for_work, sign_on
from machines.food.city import TICK, Place, anywhere
from machines.food.data import AppData, Work


@durable(
    name="driver-mobile-app", version="1", handlers={"startDriver": "start", "stopDriver": "stop"}, ignores=["start"]
)
class DriverApp(StateChart[AppData]):
    """The app on a driver's phone, simulated: it looks for work, drives a step in each tick, and rests for two."""

    off = State(initial=True)
    signing_on = State(invoke=activity(sign_on, retry=UNLESS_REFUSED))

    class polling(State.Compound):
        looking = State(initial=True, invoke=activity(look_for_work, retry=UNLESS_REFUSED))
        pausing = State()

    class driving(State.Compound):
        to_restaurant = State(initial=True, invoke=activity(drive_to_restaurant, retry=UNLESS_REFUSED))
        to_customer = State(invoke=activity(drive_to_customer, retry=UNLESS_REFUSED))

    resting = State()

    start = event(off.to(signing_on))
    stop = off.from_(signing_on, polling, driving, resting)
    done_invoke_signing_on = signing_on.to(polling)
    done_invoke_looking = event(
        polling.looking.to(driving, cond="has_work") | polling.looking.to(polling.pausing), Work
    )
    look_again = after(TICK, polling.pausing.to(polling.looking))
    done_invoke_to_restaurant = event(driving.to_restaurant.to(driving.to_customer), Place)
    done_invoke_to_customer = event(driving.to_customer.to(resting), Place)
    get_up = after(2 * TICK, resting.to(signing_on))
    error_execution = off.from_(signing_on, polling, driving)

    def has_work(self, result: Work) -> bool:
        return result.job is not None

    def on_start(self, data: AppData, ids: Ids) -> None:
        data.location = data.location or anywhere(ids.random)

    def on_done_invoke_looking(self, data: AppData, result: Work) -> None:
        data.job = result.job

    def on_done_invoke_to_restaurant(self, data: AppData, result: Place) -> None:
        data.location = result

    def on_done_invoke_to_customer(self, data: AppData, result: Place) -> None:
        data.location, data.job = result, None
