"""Which snapshots a chart can go on with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from durable_fsm.core.chart import Activity
from durable_fsm.core.compatibility import incompatibility
from durable_fsm.core.snapshot import PendingSend, Running, Snapshot
from tests.building import chart, edge

Asks = Callable[[Any], object]  # Any: a scope, whose data and payload are whatever the case has


STATES = """
    cart
    paid
    kept history
"""


def work() -> None: ...


MADE = chart(STATES, edge("cart", "pay", "paid"), activities={"paid": [Activity("ship", "work", work)]})
AT_REST = Snapshot("Order", "1", "d", "life", ("cart",), {"log": []})
SOON = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"history": {"kept": ("paid",)}}, None),
        ({"timers": (PendingSend("t", "pay", SOON), PendingSend("t", "pay", SOON, "cart"))}, None),
        ({"timers": (PendingSend("t", "error.invoke.ship", SOON, "paid", activity="a"),)}, None),
        ({"activities": (Running("a", "ship", "paid", 1),)}, None),
        ({"configuration": ("gone",)}, "It is in state 'gone', which the chart no longer has as a leaf."),
        ({"configuration": ("",)}, "It is in state '', which the chart no longer has as a leaf."),
        ({"history": {"gone": ()}}, "It remembers history 'gone', which the chart no longer has in this form."),
        ({"history": {"cart": ()}}, "It remembers history 'cart', which the chart no longer has in this form."),
        ({"history": {"kept": ("gone",)}}, "It remembers history 'kept', which the chart no longer has in this form."),
        (
            {"timers": (PendingSend("t", "pay", SOON, "gone"),)},
            "A timer of state 'gone' is pending, which the chart no longer has.",
        ),
        ({"timers": (PendingSend("t", "gone", SOON),)}, "Event 'gone' is pending, which the chart no longer knows."),
        ({"timers": (PendingSend("t", "of another chart", SOON, to="Parcel/p-1"),)}, None),
        (
            {"activities": (Running("a", "gone", "paid", 1),)},
            "Activity 'gone' of state 'paid' is running, which the chart no longer has.",
        ),
        (
            {"activities": (Running("a", "ship", "gone", 1),)},
            "Activity 'ship' of state 'gone' is running, which the chart no longer has.",
        ),
    ],
)
def test_a_snapshot_fits_a_chart_that_still_has_all_it_names(changes: dict[str, object], problem: str | None) -> None:
    assert incompatibility(MADE, replace(AT_REST, **changes)) == problem  # type: ignore[arg-type]
