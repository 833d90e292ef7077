"""Every line of the log: its level, its words, and its facts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable_fsm.core.chart import Activity
from durable_fsm.core.events import Failure
from durable_fsm.core.step import start
from durable_fsm.core.turn import Taken
from durable_fsm.errors import EventRejected
from durable_fsm.restate.observability import report
from tests.building import chart, edge

ORDER = chart("cart\npaid", edge("cart", "pay", "paid"))
CART = start(ORDER).snapshot
CHARGE = Activity("charge", "charge", len)
NO_FUNDS = Failure("NoFunds", "no money", place="shop/work.py:42 in charge")
NO = EventRejected(chart="Order", event="pay", configuration=("cart",), accepted=())
SINCE = int(datetime(2026, 12, 1, 9, 30, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What is logged during one invocation, on every level."""
    caplog.set_level(logging.DEBUG, "durable_fsm")
    token = report.current.set(report.Invocation(ORDER, "o-17", "inv_1", "pay", by="operator:ann"))
    yield caplog
    report.current.reset(token)


def taken(outcome: str = "taken", left: str = "paid", **more: Any) -> list[Taken]:
    return [Taken(2, "pay", outcome, configuration=(left,), **more)]


AGAIN = (
    "attempt 2 of 'pay' in activity 'charge' failed: NoFunds: no money (shop/work.py:42 in charge)."
    " It has been failing since 2026-12-01T09:30:00.000+00:00. Next in 1.5 s."
)
WAY = {"event": "pay", "seq": 2, "before": ["cart"], "after": ["paid"]}
WORK = {"activity": "charge", "job": "j1"}


@pytest.mark.parametrize(
    ("told", "level", "kind", "words", "facts"),
    [
        (lambda: report.saved(CART, taken(), CART), "INFO", "taken", "'pay': cart → paid", WAY | {"outcome": "taken"}),
        (
            lambda: report.saved(None, taken(), CART),
            "INFO", "taken", "'pay': nothing → paid", WAY | {"outcome": "taken", "before": []},
        ),
        (
            lambda: report.saved(CART, taken("deferred", "cart"), CART),
            "INFO", "deferred", "'pay' deferred: still in cart", WAY | {"outcome": "deferred", "after": ["cart"]},
        ),
        (
            lambda: report.saved(CART, taken(note="by hand"), CART),
            "INFO", "taken", "'pay': cart → paid", WAY | {"outcome": "taken", "note": "by hand"},
        ),
        (
            lambda: report.saved(CART, taken("rejected", "cart", error=NO), CART),
            "WARNING", "rejected", "'pay' rejected: still in cart",
            WAY | {"outcome": "rejected", "after": ["cart"], "error": "EventRejected"},
        ),
        (
            lambda: report.unchanged("pay", "stale"),
            "DEBUG", "stale", "'pay' stale", {"event": "pay", "outcome": "stale"},
        ),
        *(
            (
                lambda status=status, unheard=unheard: report.rejected("pay", "no", status, unheard=unheard, error="E"),
                level, "rejected", "no", {"event": "pay", "outcome": "rejected", "status": status, "error": "E"},
            )
            for status, unheard, level in [
                (409, False, "INFO"), (403, False, "WARNING"), (409, True, "WARNING"), (499, False, "INFO"),
                (500, False, "ERROR"), (500, True, "ERROR"),
            ]
        ),
        (
            lambda: report.parked("pay", "not now", 3, "shop/order.py:7 in on_pay"),
            "WARNING", "parked", "'pay' is tried again later: not now (shop/order.py:7 in on_pay)",
            {"event": "pay", "tries": 3, "place": "shop/order.py:7 in on_pay"},
        ),
        (
            lambda: report.parked("pay", "not now", 1),
            "WARNING", "parked", "'pay' is tried again later: not now", {"event": "pay", "tries": 1, "place": ""},
        ),
        (lambda: report.deleted(CART), "INFO", "deleted", "deleted", {"seq": CART.seq, "before": ["cart"]}),
        (lambda: report.begun(CHARGE, "j1"), "INFO", "begun", "activity 'charge' begun", WORK),
        (lambda: report.begun(CHARGE, "j1", undo=True), "INFO", "begun", "undo of activity 'charge' begun", WORK),
        (
            lambda: report.retried(CHARGE, "pay", 2, NO_FUNDS, timedelta(seconds=1.5), since=SINCE),
            "WARNING", "retried",
            AGAIN,
            {"activity": "charge", "step": "pay", "attempt": 2, "error": "NoFunds", "place": NO_FUNDS.place},
        ),
        (
            lambda: report.retried(CHARGE, "pay", 1, Failure("E", "no"), timedelta(minutes=1), since=None),
            "WARNING", "retried", "attempt 1 of 'pay' in activity 'charge' failed: E: no. Next in 60 s.",
            {"activity": "charge", "step": "pay", "attempt": 1, "error": "E", "place": ""},
        ),
        (
            lambda: report.ended(CHARGE, None, "j1"),
            "INFO", "ended", "activity 'charge' done", WORK | {"outcome": "done"},
        ),
        (
            lambda: report.ended(CHARGE, Failure("cancelled", "by hand"), "j1", undo=True),
            "INFO", "ended", "undo of activity 'charge' stopped",
            WORK | {"outcome": "stopped", "error": "cancelled", "place": ""},
        ),
        (
            lambda: report.ended(CHARGE, NO_FUNDS, "j1"),
            "WARNING", "ended", "activity 'charge' failed: NoFunds: no money (shop/work.py:42 in charge)",
            WORK | {"outcome": "failed", "error": "NoFunds", "place": NO_FUNDS.place},
        ),
    ],
)  # fmt: skip
def test_what_is_logged(
    told: Callable[[], None], level: str, kind: str, words: str, facts: dict[str, Any], logged: pytest.LogCaptureFixture
) -> None:
    told()

    (record,) = logged.records
    assert (record.levelname, record.getMessage()) == (level, f"{ORDER.name}/o-17: {words}")
    own = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}
    told_facts = {name: value for name, value in vars(record).items() if name not in own}
    assert told_facts.pop("duration_ms") >= 0
    common = {"kind": kind, "chart": ORDER.name, "key": "o-17", "invocation": "inv_1", "by": "operator:ann"}
    assert told_facts == common | facts


def test_a_delivery_that_is_parked_has_a_line_of_its_own(logged: pytest.LogCaptureFixture) -> None:
    report.saved(CART, taken(report.PARKED, "cart"), CART)

    assert logged.records == []
