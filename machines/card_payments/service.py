"""The application to serve: `hypercorn machines.card_payments.service:app`."""

import durable_fsm
from machines.card_payments.machine import CardPayment

app = durable_fsm.app(CardPayment)
