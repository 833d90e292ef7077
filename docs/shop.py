from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Retry, activity, after, durable, event

FIVE_TIMES = Retry(attempts=5)


class Data(BaseModel):
    cents: int = 0


async def charge(ctx, data: Data) -> None:
    key = ctx.stable_id  # the idempotency key
    await ctx.run("charge", bank.charge, data.cents, key)


@durable(version="1")
class Order(StateChart[Data]):
    cart = State(initial=True)
    charging = State(invoke=activity(charge, retry=FIVE_TIMES))
    on_hold = State()
    paid = State(final=True)
    expired = State(final=True)

    checkout = event(cart.to(charging), Data)
    done_invoke_charging = charging.to(paid)
    error_invoke_charging = charging.to(on_hold)
    pay_again = on_hold.to(charging)
    expire = after(timedelta(minutes=15), on_hold.to(expired))

    def on_checkout(self, data: Data, payload: Data) -> None:
        data.cents = payload.cents
