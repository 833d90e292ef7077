"""The application to serve: `hypercorn machines.tickets.service:app`."""

import durable_fsm
from machines.tickets.machine import Cart, Checkout, Ticket

app = durable_fsm.app(Cart, Ticket, Checkout)
