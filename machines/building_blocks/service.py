"""The application to serve: `hypercorn machines.building_blocks.service:app`."""

import durable_fsm
from machines.building_blocks.machine import Blocks, Subscription

app = durable_fsm.app(Blocks, Subscription)
