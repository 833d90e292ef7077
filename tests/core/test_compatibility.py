"""Which snapshots a chart can go on with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from durable_fsm.core.chart import Activity
from durable_fsm.core.codec import milliseconds
from durable_fsm.core.compatibility import incompatibility
from durable_fsm.core.snapshot import PendingSend, Running, Snapshot, Status
from durable_fsm.core.values import changed
from tests.building import chart, edge

Asks = Callable[[Any], object]  # Any: a scope, whose data and payload are whatever the case has


STATES = """
    cart
    paid
    kept history
"""


def work() -> None: ...


MADE = chart(STATES, edge("cart", "pay", "paid"), activities={"paid": [Activity("ship", "work", work)]})
AT_REST = Snapshot("Order", "1", "d", ("cart",), {"log": []}, 1, Status.RUNNING, "life")
SOON = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"history": {"kept": ("paid",)}}, None),
        (
            {
                "timers": (
                    PendingSend("t", "pay", milliseconds(SOON)),
                    PendingSend("t", "pay", milliseconds(SOON), "cart"),
                )
            },
            None,
        ),
        ({"timers": (PendingSend("t", "error.invoke.ship", milliseconds(SOON), "paid", activity="a"),)}, None),
        ({"activities": (Running("a", "ship", "paid", 1),)}, None),
        ({"configuration": ("gone",)}, "It is in state 'gone', which the chart no longer has as a leaf."),
        ({"configuration": ("",)}, "It is in state '', which the chart no longer has as a leaf."),
        ({"configuration": ()}, "Its configuration is wrong: no state at all is active."),
        (
            {"configuration": ("cart", "paid")},
            "Its configuration is wrong: states 'cart', 'paid' cannot be active together.",
        ),
        ({"history": {"gone": ()}}, "It remembers history 'gone', which the chart no longer has in this form."),
        ({"history": {"cart": ()}}, "It remembers history 'cart', which the chart no longer has in this form."),
        ({"history": {"kept": ("gone",)}}, "It remembers history 'kept', which the chart no longer has in this form."),
        (
            {"timers": (PendingSend("t", "pay", milliseconds(SOON), "gone"),)},
            "A timer of state 'gone' is pending, which the chart no longer has.",
        ),
        (
            {"timers": (PendingSend("t", "gone", milliseconds(SOON)),)},
            "Event 'gone' is pending, which the chart no longer knows.",
        ),
        ({"timers": (PendingSend("t", "of another chart", milliseconds(SOON), to="Parcel/p-1"),)}, None),
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
    assert incompatibility(MADE, changed(AT_REST, **changes)) == problem  # type: ignore[arg-type]
