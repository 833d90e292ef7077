"""What must hold of a seat: `durable-fsm explore proofs/tickets_ticket.py`."""

from durable_fsm.explore import always, domain, sometimes
from machines.tickets.machine import Ticket

chart = Ticket
domains = [
    domain(Ticket.reserve, {"number": "1", "user": "ada"}, {"number": "2", "user": "ben"}),
    domain(Ticket.unreserve, "1", "2"),
    domain(Ticket.sell, "1", "2"),
]
properties = [
    always("a seat that is taken has a user", lambda m: "available" in m.active or m.data.held.user),
    sometimes("a seat is sold", lambda m: "sold" in m.active),
]
