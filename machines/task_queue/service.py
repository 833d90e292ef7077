"""The application to serve: `hypercorn machines.task_queue.service:app`."""

import durable_fsm
from machines.task_queue.machine import Task

app = durable_fsm.app(Task)
