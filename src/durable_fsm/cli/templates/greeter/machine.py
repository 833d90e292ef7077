"""The chart of {{Name}}. Its outside work is in `activities`."""

from __future__ import annotations

from datetime import timedelta

from durable_fsm import Failure, Ids, activity, after, durable
from statemachine import State, StateChart

from activities import Greeting, notify, remind

PAUSE = timedelta(seconds=1)
"""A reminder follows the notification after this time."""


@durable(version="1", flow=True)
class {{Name}}(StateChart[Greeting]):
    """Greet a person: a notification, a pause, a reminder. It runs as a flow, from beginning to end, without a key."""

    notifying = State(initial=True, invoke=activity(notify))
    pausing = State()
    reminding = State(invoke=activity(remind))
    greeted = State(final=True)
    failed = State(final=True)

    done_invoke_notifying = notifying.to(pausing)
    pause_over = after(PAUSE, pausing.to(reminding))
    done_invoke_reminding = reminding.to(greeted)
    error_invoke_notifying = notifying.to(failed)
    error_invoke_reminding = reminding.to(failed)

    def on_enter_notifying(self, data: Greeting, ids: Ids) -> None:
        data.id = str(ids.uuid())

    def on_enter_greeted(self, data: Greeting) -> str:
        return f"You said hi to {data.name}!"

    def on_enter_failed(self, error: Failure) -> Failure:
        return error
