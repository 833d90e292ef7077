"""The W3C's SCXML test documents, as python-statemachine's source distribution brings them.

https://www.w3.org/Voice/2013/scxml-irp/
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from pathlib import Path

from durable_fsm.core.snapshot import Status
from durable_fsm.frontends import documents
from durable_fsm.testing import Rehearsal
from tests.contract.sources import sources

HTTP = "needs the Basic HTTP event processor"
NO_PYTHON = "compares by an expression that is no Python"

EXCLUDED = {
    "test201": HTTP,
    "test446": NO_PYTHON,
    "test509": HTTP,
    "test510": HTTP,
    "test518": HTTP,
    "test519": HTTP,
    "test520": HTTP,
    "test522": HTTP,
    "test531": HTTP,
    "test532": HTTP,
    "test534": HTTP,
    "test567": HTTP,
    "test577": HTTP,
}
"""Documents that are not run, and why; `test_w3c.py` sees to it that each reason is true."""

MISSING_STATE = "test240"
"""A document whose inner chart names a state that it does not have: read with `strict=False`."""


@cache
def suite() -> dict[str, Path]:
    """Every document by name, children of other documents left out."""
    found = sorted((sources() / "tests" / "scxml" / "w3c").rglob("*.scxml"))
    return {path.stem: path for path in found if "sub" not in path.stem}


def result(path: Path) -> str:
    """The final state that a document reaches within 100 seconds of its own clock; what it is in, if it has not."""
    chart = documents.chart_from(path, trusted=True, strict=path.stem != MISSING_STATE)
    machine = Rehearsal(chart)
    machine.create()
    for _ in range(100):
        if machine.status is not Status.RUNNING:
            break
        machine.advance(timedelta(seconds=1))
    return " ".join(machine.snapshot.configuration)
