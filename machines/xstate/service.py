"""The application to serve: `hypercorn machines.xstate.service:app`. COUNTER says which versions of the counter it has."""

import os

import durable_fsm
from machines.xstate import by_hand, machine

COUNTERS = {
    "v1": (machine.CounterV1, by_hand.CounterV1),
    "v2 with v1": (machine.Counter, by_hand.Counter),
    "v2": (machine.CounterV2, by_hand.CounterV2),
}

app = durable_fsm.app(
    machine.Auth,
    machine.Payment,
    by_hand.Auth,
    by_hand.Payment,
    *COUNTERS[os.environ.get("COUNTER", "v2 with v1")],
)
