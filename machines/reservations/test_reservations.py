"""A product, rehearsed."""

from __future__ import annotations

from durable_fsm.testing import Rehearsal
from machines.reservations.machine import Product


def test_the_first_reservation_gets_the_product() -> None:
    product = Rehearsal(Product, key="lamp")

    assert [product.send("reserve").reply for _ in range(3)] == [True, False, False]
    assert product.configuration == ("reserved",)
