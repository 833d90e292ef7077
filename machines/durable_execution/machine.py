"""The chart of the subscriptions. Its outside work is in `activities`."""

from __future__ import annotations

from statemachine import State, StateChart

from durable_fsm import Failure, Ids, activity, durable
from machines.durable_execution.activities import SubscriptionData, create_payment, create_subscription


@durable(name="SubscriptionService", version="1", flow=True)
class Subscribe(StateChart[SubscriptionData]):
    """A user pays once, and is subscribed to a list of items, one by one. It runs as a flow, without a key."""

    paying = State(initial=True, invoke=activity(create_payment))
    subscribing = State(invoke=activity(create_subscription))
    done = State(final=True)
    failed = State(final=True)

    done_invoke_paying = paying.to(subscribing, cond="is_more") | paying.to(done)
    done_invoke_subscribing = subscribing.to.itself(cond="is_more") | subscribing.to(done)
    error_invoke_paying = paying.to(failed)
    error_invoke_subscribing = subscribing.to(failed)

    def on_enter_paying(self, data: SubscriptionData, ids: Ids) -> None:
        data.payment_id = str(ids.uuid())

    def on_done_invoke_paying(self, data: SubscriptionData, result: str) -> None:
        data.payment = result

    def on_enter_subscribing(self, data: SubscriptionData) -> None:
        data.begun += 1

    def is_more(self, data: SubscriptionData) -> bool:
        return data.begun < len(data.subscriptions)

    def on_enter_done(self, data: SubscriptionData) -> dict[str, object]:
        return {"payment": data.payment, "subscriptions": data.begun}

    def on_enter_failed(self, error: Failure) -> Failure:
        return error
