"""An order lifecycle: cart, payment, hold, shipping, refund."""

from machines.order.machine import Order

__all__ = ["Order"]
