"""The product's chart. It needs nobody outside."""

from __future__ import annotations

from statemachine import State, StateChart

from durable_fsm import durable


@durable(name="product", version="1")
class Product(StateChart):
    """A product that there is one of. Whoever comes first has it."""

    available = State(initial=True)
    reserved = State()

    reserve = available.to(reserved, on="give") | reserved.to.itself(internal=True, on="refuse")

    def give(self) -> bool:
        return True

    def refuse(self) -> bool:
        return False
