"""Callbacks that change a list or a dictionary of their class: all machines of the process would share it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import DefinitionError, TransitionsConfig, chart_from
from durable_fsm.frontends.checks.purity import SHARED, faults


class Ledger:
    prices: ClassVar[dict[str, int]] = {"tea": 2}
    lines: ClassVar[list[str]] = []
    seen: ClassVar[set[str]] = set()
    last: ClassVar[deque[str]] = deque()
    count = 0
    own: list[str] = []  # noqa: RUF012 - instances have one of their own

    def __init__(self) -> None:
        self.own = []

    def appends(self) -> None:
        self.lines.append("x")

    def sets_an_item(self) -> None:
        self.prices["milk"] = 1

    def deletes_an_item(self) -> None:
        del self.prices["tea"]

    def adds_in_place(self) -> None:
        self.seen |= {"x"}

    def counts_in_place(self) -> None:
        self.prices["tea"] += 1

    def pops_in_a_condition(self) -> bool:
        return bool(self.last.popleft())

    def by_its_class(self) -> None:
        Ledger.lines.append("x")

    def by_a_helper(self) -> None:
        self.appends()
        helper()

    def reads(self) -> int:
        return self.prices["tea"] + len(self.lines)

    def changes_its_own(self) -> None:
        self.own.append("x")

    def changes_a_local(self) -> None:
        lines = [*self.lines]
        lines.append("x")

    def changes_the_data(self, data: Any) -> None:
        data.lines.append("x")


def helper() -> None:
    Ledger.seen.add("x")


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (Ledger.appends, "self.lines"),
        (Ledger.sets_an_item, "self.prices"),
        (Ledger.deletes_an_item, "self.prices"),
        (Ledger.adds_in_place, "self.seen"),
        (Ledger.counts_in_place, "self.prices"),
        (Ledger.pops_in_a_condition, "self.last"),
        (Ledger.by_its_class, "Ledger.lines"),
        (Ledger.by_a_helper, "Ledger.seen in helper"),
    ],
)
def test_a_change_of_a_class_attribute_is_found(function: Callable[..., object], told: str) -> None:
    assert (SHARED, told) in faults(function)


@pytest.mark.parametrize(
    "function", [Ledger.reads, Ledger.changes_its_own, Ledger.changes_a_local, Ledger.changes_the_data]
)
def test_reading_and_changing_something_else_is_no_fault(function: Callable[..., object]) -> None:
    assert faults(function) == []


class Data(BaseModel):
    lines: list[str] = []

    def note(self) -> None:
        self.lines.append("x")


def test_such_a_callback_is_refused_in_both_libraries() -> None:
    class Shop(StateChart[Data]):
        visits: ClassVar[list[str]] = []
        a = State(initial=True)
        go = a.to.itself(internal=True)

        def on_go(self, data: Data) -> None:
            data.note()
            Ledger.lines.append("x")

    class Model:
        visits: ClassVar[list[str]] = []

        def note(self) -> None:
            Ledger.lines.append("x")

    config = TransitionsConfig("Shop", ["a"], [["go", "a", None, None, None, None, "note"]], initial="a", model=Model)
    for definition in (Shop, config):
        with pytest.raises(
            DefinitionError, match=r"changes an attribute of its class: Ledger\.lines\. Make it a field"
        ):
            chart_from(definition)


def test_a_field_of_the_data_is_changed_freely() -> None:
    config = TransitionsConfig("Shop", ["a"], [["go", "a", None, None, None, None, "note"]], initial="a", model=Data)

    assert chart_from(config).name == "Shop"
