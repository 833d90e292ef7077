"""Charts whose names Restate just accepts."""

from __future__ import annotations

import durable_fsm
from durable_fsm import TransitionsConfig

NAMES = ("_O", "A..b", "a-", "A_9", "dev.restate.X", "openapi.x", "restaurant", "deployments")

app = durable_fsm.app(
    *(TransitionsConfig(name, ["open", "shut"], [["close", "open", "shut"]], "open") for name in NAMES)
)
