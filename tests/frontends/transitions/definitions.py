"""Definitions of transitions that several tests read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from durable_fsm import TransitionsConfig
from durable_fsm.testing import Rehearsal


class Checkout(BaseModel):
    cents: int


class OrderData(BaseModel):
    cents: int = 0
    receipt: str | None = None
    log: list[str] = []

    def is_cheap(self) -> bool:
        return self.cents < 1_000

    def keep(self, payload: Checkout) -> None:
        self.cents = payload.cents

    def file(self, result: str) -> None:
        self.receipt = result

    def on_enter_paid(self) -> None:
        self.log.append(f"paid, and {self.state}")  # type: ignore[attr-defined]


async def charge(data: OrderData) -> str:
    return f"receipt for {data.cents}"


def config(*, options: dict[str, Any] | None = None, **rest: Any) -> TransitionsConfig:
    """A configuration called Test that begins in A; *options* are the arguments that are the library's own."""
    return TransitionsConfig(**{"name": "Test", "initial": "A", **rest, **(options or {})})


@dataclass
class Noting:
    log: list[str] = field(default_factory=list)
    n: int = 0

    def note(self, **_: Any) -> None:
        self.log.append("note")

    def slot(self, name: str) -> None:
        self.log.append(name)

    def first(self) -> None:
        self.slot("prepare_event")

    def prepare(self) -> None:
        self.slot("prepare")

    def ask(self) -> bool:
        self.slot("ask")
        return True

    def before_all(self) -> None:
        self.slot("before_state_change")

    def before(self) -> None:
        self.slot(f"before in {self.state}")  # type: ignore[attr-defined]

    def on_exit_A(self) -> None:  # noqa: N802 - after the state
        self.slot("exit A")

    def on_enter_B(self) -> None:  # noqa: N802
        self.slot(f"enter B: {self.is_B()}, {self.is_A()}")  # type: ignore[attr-defined]

    def after(self) -> None:
        self.slot("after")

    def after_all(self) -> None:
        self.slot("after_state_change")

    def last(self) -> None:
        self.slot("finalize_event")


class Plain:
    """A class of the author's own, with triggers and functions from elsewhere."""

    limit = 3

    def __init__(self) -> None:
        self.n = 0
        self.ready = True

    @property
    def is_even(self) -> bool:
        return self.n % 2 == 0

    @staticmethod
    def shout(word: str) -> str:
        return word.upper()

    def chain(self, *, by: int = 0) -> None:
        self.n += by
        self.go()  # type: ignore[attr-defined]
        self.trigger("finish", by=2)  # type: ignore[attr-defined]

    def count(self, by: int) -> None:
        self.n += by

    def mix(self) -> None:
        self.go(1, by=2)  # type: ignore[attr-defined]


def plain(*transitions: Any, **rest: Any) -> Rehearsal:
    return Rehearsal(config(states=["A", "B", "C"], transitions=list(transitions), model=Plain, **rest))


REGIONS: dict[str, Any] = {
    "name": "P",
    "parallel": [{"name": side, "children": ["1", "2"], "initial": "1"} for side in ("l", "r")],
}


class Given:
    def __init__(self, n: int) -> None:
        self.n = n

    def count(self) -> None:
        self.n += 1
