"""The application to serve: `hypercorn machines.promises.service:app`."""

import durable_fsm
from machines.promises.machine import Promise
from machines.promises.questions import Question

app = durable_fsm.app(Promise, Question)
