"""The application to serve: `hypercorn machines.reminders.service:app`."""

import durable_fsm
from machines.reminders.machine import PaymentTracker

app = durable_fsm.app(PaymentTracker)
