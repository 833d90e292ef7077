"""The application to serve: `hypercorn machines.payments.service:app`."""

import durable_fsm
from machines.payments.machine import Account, Payment

app = durable_fsm.app(Payment, Account)
