"""The lifecycle of an order: cart, payment, hold, shipping, refund."""

from machines.order.machine import Order

__all__ = ["Order"]
