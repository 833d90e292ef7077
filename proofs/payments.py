"""What must hold of a payment: `durable-fsm explore proofs/payments.py`."""

from durable_fsm import Failure
from durable_fsm.explore import always, by_itself, can_always, domain, never, sometimes
from machines.payments.machine import Payment

ANSWERS = (True, False)

chart = Payment
domains = [
    domain(Payment.make, {"account": "a-1", "cents": 100}),
    domain("charging", *ANSWERS, errors=[Failure("TerminalError", "no such account")]),
]
properties = [
    always("a completed payment has an amount", lambda m: "completed" not in m.active or m.data.cents > 0),
    never("a payment fails", lambda m: m.status == "failed"),
    sometimes("a payment that was made is cancelled", lambda m: "cancelled" in m.active and m.data.cents > 0),
    can_always("be called off", lambda m: "cancelled" in m.active or m.status == "done"),
    by_itself("no charge hangs", when=lambda m: "charging" in m.active, then=lambda m: "charging" not in m.active),
]
