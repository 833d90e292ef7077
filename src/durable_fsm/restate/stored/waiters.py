"""Those who wait for a machine. `machine.waiters` has their theory, and judges them."""

from __future__ import annotations

import msgspec

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical
from durable_fsm.core.condition import is_condition
from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import WireRecord

ENDED: dict[str, Json] = {"ended": True}
"""The condition of a workflow: the machine has ended in whatever way, or has answered. No other caller can ask for it."""


class Waiter(WireRecord, frozen=True):
    """One who waits.

    `event`, `outcome` and `reply` are of the event that came with the request. `token` is set while that is deferred.
    `signal` is the name under which it gets its answer, and empty for an awakeable.
    """

    until: dict[str, Json]
    event: str = "wait_for"
    outcome: str = "met"
    reply: Json = None
    token: str = ""
    signal: str = ""

    def __post_init__(self) -> None:
        if self.until != ENDED and not is_condition(self.until):
            raise ValueError(f"{canonical(self.until)} is not a condition")

    def in_vain(self, chart: Chart, status: str, configuration: tuple[str, ...] = ()) -> errors.WaitInVain:
        return errors.WaitInVain(
            chart=chart.name, condition=canonical(self.until), status=status, configuration=configuration
        )


read_waiters = msgspec.json.Decoder(dict[str, Waiter]).decode
