"""What must hold of a checkout: `durable-fsm explore proofs/tickets_checkout.py`."""

from durable_fsm.explore import always, by_itself, domain
from machines.tickets.machine import Checkout

chart = Checkout
domains = [domain("create", {"user": "ada", "seats": ["A-1", "A-2"]})]
properties = [
    always("the price is that of the seats", lambda m: m.data.price == 40 * len(m.data.seats)),
    always("only a paid checkout is done", lambda m: m.output is not True or "done" in m.active),
    by_itself("it comes to an end", when=lambda m: m.status == "running", then=lambda m: m.status == "done"),
]
