"""The chart of {{Name}}. Its outside work is in `activities`."""

from __future__ import annotations

from datetime import timedelta

from durable_fsm import Failure, Ids, TransitionsConfig, activity

from activities import Greeting, notify, remind

PAUSE = timedelta(seconds=1)
"""A reminder follows the notification after this time."""


def choose_id(data: Greeting, ids: Ids) -> None:
    data.id = str(ids.uuid())


def answer(data: Greeting) -> str:
    return f"You said hi to {data.name}!"


def give_up(error: Failure) -> Failure:
    return error


{{Name}} = TransitionsConfig(
    "{{Name}}",
    states=[
        {"name": "notifying", "on_enter": choose_id},
        "pausing",
        "reminding",
        {"name": "greeted", "final": True, "on_enter": answer},
        {"name": "failed", "final": True, "on_enter": give_up},
    ],
    transitions=[
        {"trigger": "done_invoke_notifying", "source": "notifying", "dest": "pausing"},
        {"trigger": "pause_over", "source": "pausing", "dest": "reminding"},
        {"trigger": "done_invoke_reminding", "source": "reminding", "dest": "greeted"},
        {"trigger": "error_invoke_notifying", "source": "notifying", "dest": "failed"},
        {"trigger": "error_invoke_reminding", "source": "reminding", "dest": "failed"},
    ],
    initial="notifying",
    model=Greeting,
    activities={"notifying": activity(notify), "reminding": activity(remind)},
    timers={"pausing": {"pause_over": PAUSE}},
    flow=True,
)
