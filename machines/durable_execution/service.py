"""The application to serve: `hypercorn machines.durable_execution.service:app`."""

import durable_fsm
from machines.durable_execution.machine import Subscribe

app = durable_fsm.app(Subscribe)
