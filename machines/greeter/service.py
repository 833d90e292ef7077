"""The application to serve: `hypercorn machines.greeter.service:app`."""

import durable_fsm
from machines.greeter.machine import Greeter

app = durable_fsm.app(Greeter)
