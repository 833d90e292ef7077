"""The application to serve: `hypercorn machines.trip_booking.service:app`."""

import durable_fsm
from machines.trip_booking.machine import Trip

app = durable_fsm.app(Trip)
