"""The application to serve: `hypercorn machines.parallel_work.service:app`."""

import durable_fsm
from machines.parallel_work.machine import Worker

app = durable_fsm.app(Worker)
