"""The operator's chart. The work on a machine is in `activities`."""

from __future__ import annotations

from statemachine import State, StateChart

from durable_fsm import Failure, activity, durable
from machines.machine_operator.activities import bring_up, take_down


@durable(name="machineOperator", version="1", handlers={"setUp": "set_up", "tearDown": "tear_down"})
class MachineOperator(StateChart):
    """One machine of the hall. While it is set up or torn down, other requests wait in order."""

    down = State(initial=True)
    bringing_up = State(invoke=activity(bring_up, exclusive=True))
    up = State()
    tearing_down = State(invoke=activity(take_down, exclusive=True))

    set_up = down.to(bringing_up) | up.to.itself(internal=True, on="say_already_up")
    done_invoke_bringing_up = bringing_up.to(up)
    error_invoke_bringing_up = bringing_up.to(down)
    tear_down = up.to(tearing_down) | down.to.itself(internal=True, on="say_not_up")
    done_invoke_tearing_down = tearing_down.to(down)
    error_invoke_tearing_down = tearing_down.to(up)

    def say_already_up(self) -> str:
        return "already up"

    def say_not_up(self) -> str:
        return "not up, cannot be torn down"

    def on_done_invoke_bringing_up(self) -> str:
        return "now up"

    def on_error_invoke_bringing_up(self, error: Failure) -> str:
        return f"still down: {error.message}"

    def on_done_invoke_tearing_down(self) -> str:
        return "now down"

    def on_error_invoke_tearing_down(self, error: Failure) -> str:
        return f"still up: {error.message}"
