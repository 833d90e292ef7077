"""What must hold of an order: `durable-fsm explore proofs/order.py`."""

from durable_fsm.explore import always, by_itself, can_always, domain, never, sometimes
from machines.order import Order

chart = Order
domains = [
    domain(Order.add_item, {"name": "lamp", "cents": 100}),
    domain(Order.refund, {}, {"cents": 50}),
    domain("charging", {"receipt": "c-1"}, {"challenge": "q-1"}),
    domain("confirming", {"receipt": "c-1"}),
    domain("invoicing", "i-1"),
]
view = {"items": lambda items: min(len(items), 1), "refunded_cents": lambda cents: min(cents, 100)}
properties = [
    never("an order is shipped and paid back", lambda m: m.data.tracking is not None and "cancelled" in m.active),
    always("an invoice has a receipt", lambda m: m.data.invoice is None or m.data.receipt is not None),
    sometimes("money is paid back", lambda m: "refunded" in m.active),
    can_always("end", lambda m: m.status == "done"),
    by_itself("no card hangs", when=lambda m: "charging" in m.active, then=lambda m: "charging" not in m.active),
]
