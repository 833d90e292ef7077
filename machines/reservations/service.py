"""The application to serve: `hypercorn machines.reservations.service:app`."""

import durable_fsm
from machines.reservations.machine import Product

app = durable_fsm.app(Product)
