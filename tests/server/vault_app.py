"""Another application, whose chart shares a limit with those of `fan_app`."""

from __future__ import annotations

from statemachine import State, StateChart

import durable_fsm
from durable_fsm import activity, event
from tests.server.fan_app import QUICKLY, VAULT, Task, Told, Work, go_through


class Inspector(Told, StateChart[Work]):
    """Work that is more urgent than that of others."""

    idle = State(initial=True)
    working = State(invoke=activity(go_through, limit=VAULT, priority=-1, retry=QUICKLY))
    done = State(final=True)
    failed = State(final=True)

    begin = event(idle.to(working), Task)
    done_invoke_working = working.to(done)
    error_invoke_working = working.to(failed)


app = durable_fsm.app(Inspector)
