"""What a server serves: `hypercorn machines.signup.service:app`."""

import durable_fsm
from machines.signup.machine import Signup

app = durable_fsm.app(Signup)
