"""The application to serve: `hypercorn machines.signup.service:app`."""

import durable_fsm
from machines.signup.machine import Signup

app = durable_fsm.app(Signup)
