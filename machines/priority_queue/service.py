"""The application to serve: `hypercorn machines.priority_queue.service:app`."""

import durable_fsm
from machines.priority_queue.machine import ExpensiveMethod

app = durable_fsm.app(ExpensiveMethod)
