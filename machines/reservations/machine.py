"""The product's chart. It has no outside work."""

from __future__ import annotations

from statemachine import State, StateChart

from durable_fsm import durable


@durable(name="product", version="1")
class Product(StateChart):
    """A single product. The first reservation gets it."""

    available = State(initial=True)
    reserved = State()

    reserve = available.to(reserved, on="give") | reserved.to.itself(internal=True, on="refuse")

    def give(self) -> bool:
        return True

    def refuse(self) -> bool:
        return False
