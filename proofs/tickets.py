"""What must hold of a cart: `durable-fsm explore proofs/tickets.py`."""

from durable_fsm.explore import always, by_itself, can_always, domain
from machines.tickets.machine import Cart

ANSWERS = (True, False)

chart = Cart
domains = [
    domain(Cart.add, {"seat": "A-1"}, {"seat": "A-2"}),
    domain(Cart.remove, {"seat": "A-1"}, {"seat": "A-2"}),
    domain("reserving", *ANSWERS),
    domain("checking_out", *ANSWERS),
]
properties = [
    always("an empty cart has no seats", lambda m: "empty" not in m.active or not m.data.tickets),
    always("each seat has its own timer", lambda m: m.timers.count("expire") == len(m.data.tickets)),
    can_always("be emptied", lambda m: "empty" in m.active),
    by_itself(
        "no seat is kept for ever",
        when=lambda m: bool(m.data.tickets),
        then=lambda m: not m.data.tickets,
    ),
]
