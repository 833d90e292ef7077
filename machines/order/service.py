"""The application to serve: `hypercorn machines.order.service:app`."""

import durable_fsm
from machines.order import Order

app = durable_fsm.app(Order)
