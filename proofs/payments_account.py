"""What must hold of an account: `durable-fsm explore proofs/payments_account.py`."""

from durable_fsm.explore import always, sometimes
from machines.payments.machine import Account

chart = Account
properties = [
    always("an account is never overdrawn", lambda m: m.data.balance >= 0),
    sometimes("there is something on it", lambda m: m.data.balance > 0),
]
