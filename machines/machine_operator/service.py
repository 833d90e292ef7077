"""The application to serve: `hypercorn machines.machine_operator.service:app`."""

import durable_fsm
from machines.machine_operator.machine import MachineOperator

app = durable_fsm.app(MachineOperator)
