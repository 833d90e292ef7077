"""What a server serves: `durable-fsm serve machines.machine_operator.service:app`."""

import durable_fsm
from machines.machine_operator.machine import MachineOperator

app = durable_fsm.app(MachineOperator)
